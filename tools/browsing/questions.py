"""What the browser shows of a corpus: questions with their queries, and plots."""

import html
import pathlib
import urllib.parse

import plots

HIDDEN = (
    "dataset_index split_index image_index class_index network_index attack_index unit_index row_index snapshot_index "
    "snapshot_unit tag_index selection_index defender_index evaluation_index unit_summary unit_statistic unit_mean "
    "analysis_index support_index figure_index"
).split()

VIEWS = {
    "rows": "One line for each image, network, attack and view, with the statistics of its logits.",
    "accuracy": "Accuracy of each network, clean and under each attack.",
    "attack_success": "What became of the attacked images.",
    "statistics": "Mean, variance and range of every statistic.",
    "margins": "Quantiles of the margin of the true class. Reads every row.",
    "perturbations": "Quantiles of the size of the perturbations that fooled. Reads every row.",
    "mean_logits": "The mean logit of each class.",
    "agreement": "How often two networks name the same class, right or wrong. Reads every row.",
    "votes": "What the networks say of each image together. Reads every row.",
    "transfer": "Each defender on each attack, its own and others.",
    "defender_results": "Every figure of every evaluation.",
    "lineage": "Of each shard: images, module, attack and software that its rows come from.",
    "defender_lineage": "Of each defender: snapshot, images and module that it was trained from.",
    "snapshots": "The versions of the corpus.",
    "ancestry": "Each snapshot with all that it came from.",
    "datasets": "Image sets and their splits.", "images": "The images, with their classes.",
    "classes": "The names of the classes.", "networks": "The networks, known by the digests of their modules.",
    "attacks": "The attacks and their parameters.", "defenders": "The defenders and their options.",
    "evaluations": "Evaluations, as recorded.", "analyses": "Analyses of defenders.",
    "supporting_classes": "The classes that a defence rests on.", "analysis_figures": "The figures of the other analyses.",
}

# name: (title, what it says, query). Named parameters become fields to fill in.
QUESTIONS = {
    "how_accurate": (
        "How accurate is each network, clean and attacked?",
        "Rows that are invalid (a logit or gradient was not finite) are left out.",
        """SELECT dataset, split, network, attack, view, rows, correct, 100 * accuracy AS percent
FROM accuracy ORDER BY dataset, split, network, attack <> 'clean', attack, view""",
    ),
    "how_often_fooled": (
        "How often does each attack succeed?",
        "Success is the share of the images that the network had right which the attack turned; trivial are those that it had "
        "wrong before.",
        """SELECT dataset, split, network, attack, view, rows, fooled, failed, trivial, 100 * success AS percent_success
FROM attack_success ORDER BY dataset, split, network, success DESC""",
    ),
    "how_large_perturbations": (
        "How large are the perturbations that fooled?",
        "L2 and L∞ norms over images in [0, 1].",
        "SELECT * FROM perturbations ORDER BY dataset, split, network, norm, median",
    ),
    "one_image": (
        "What is known of one image?",
        "Type the id of an image, or follow the link of an image in any table.",
        """SELECT r.network, r.attack, r.view, r.outcome, r.label, c.class AS label_name, r.prediction, p.class AS prediction_name,
    r.label_margin, r.label_rank, r.perturbation_l2, r.perturbation_linf
FROM rows r
LEFT JOIN classes c ON c.dataset = r.dataset AND c.label = r.label
LEFT JOIN classes p ON p.dataset = r.dataset AND p.label = r.prediction
WHERE r.image = :image ORDER BY r.dataset, r.split, r.network, r.attack <> 'clean', r.attack, r.view""",
    ),
    "largest_logits": (
        "Which classes have the largest logits of one image?",
        "Read from the shard itself: the five largest, with their softmax.",
        """SELECT l.network, l.attack, l.view, t.rank + 1 AS place, t.class, c.class AS name, t.logit, t.probability
FROM logits l, top_k(l.z, 5) t LEFT JOIN classes c ON c.dataset = l.dataset AND c.label = t.class
WHERE l.image = :image ORDER BY l.network, l.attack <> 'clean', l.attack, l.view, t.rank""",
    ),
    "images_that_all_get_wrong": (
        "Which images does no network get right?",
        "Without an attack; the images on which the networks agree most on a wrong class come first.",
        """SELECT v.dataset, v.split, v.ordinal, v.image, c.class AS label, p.class AS vote, v.votes, v.networks
FROM votes v
JOIN classes c ON c.dataset = v.dataset AND c.label = v.label
LEFT JOIN classes p ON p.dataset = v.dataset AND p.label = v.vote
WHERE v.attack = 'clean' AND v.view = 0 AND NOT EXISTS (
    SELECT 1 FROM rows r WHERE r.image = v.image AND r.dataset = v.dataset AND r.split = v.split AND r.attack = 'clean'
        AND r.correct)
ORDER BY v.votes DESC, v.ordinal""",
    ),
    "images_that_resist": (
        "Which images resist every attack?",
        "Of the images that a network has right, those that no attack on it has turned.",
        """SELECT dataset, split, ordinal, image, network, count(*) AS attacks, min(label_margin) AS least_margin
FROM rows WHERE attack <> 'clean' AND status IN (0, 1)
GROUP BY dataset, split, ordinal, network HAVING sum(status = 0) = 0 ORDER BY attacks DESC, least_margin DESC""",
    ),
    "do_networks_agree": (
        "Do two networks err alike?",
        "Of the images that both have wrong, the share to which both give the same wrong class. Under an attack each network sees "
        "its own attacked version.",
        """SELECT dataset, split, attack, view, network, other, images, 100 * same_share AS percent_same, both_wrong, same_wrong,
    100 * same_of_both_wrong AS percent_same_wrong
FROM agreement ORDER BY dataset, split, attack <> 'clean', attack, network, other""",
    ),
    "how_good_is_the_vote": (
        "Is the networks' vote better than each alone?",
        "The class that most networks name, of two the lower.",
        """SELECT dataset, split, attack, view, networks, count(*) AS images, 100 * avg(correct) AS percent_right,
    100 * avg(classes > 1) AS percent_disputed
FROM votes WHERE networks > 1 GROUP BY dataset, split, attack, view, networks
ORDER BY dataset, split, attack <> 'clean', attack""",
    ),
    "what_do_defenders_recover": (
        "What do the defenders recover?",
        "The newest evaluation of each defender: accuracy without and with correction.",
        """SELECT network, attack, defender, trained_attacks, split, selection, rows, 100 * undefended_accuracy AS percent_before,
    100 * corrected_accuracy AS percent_corrected, own
FROM transfer ORDER BY network, attack <> 'clean', attack, percent_corrected DESC""",
    ),
    "which_classes_support": (
        "Which classes does a defence rest on?",
        "Of each analysis of logit support: the classes that are most often among the largest S of an image.",
        """SELECT network, attack, defender, rank, class, name, count, images, 100.0 * count / images AS percent_of_images, support
FROM supporting_classes WHERE rank <= 10 ORDER BY network, attack, defender, analysis, rank""",
    ),
    "where_do_rows_come_from": (
        "Where do the rows come from?",
        "Each shard with the digests of its images, module and attack, and what computed it.",
        """SELECT shard, network, substr(network_digest, 1, 12) AS module, dataset || '/' || split AS images,
    substr(dataset_digest, 1, 12) AS image_list, attack, rows, precision, codec, json_extract(software, '$.libtorch') AS libtorch,
    created
FROM lineage ORDER BY created, shard""",
    ),
    "versions": (
        "Which versions of the corpus are there?", "Snapshots, the newest first.",
        "SELECT substr(snapshot, 1, 12) AS snapshot, tags, message, rows, created, substr(parent, 1, 12) AS parent FROM snapshots "
        "ORDER BY created DESC",
    ),
}


class Contents:
    """What a corpus has to choose from."""

    def __init__(self, db):
        def column(sql):
            return [row[0] for row in db.execute(sql)]

        self.rows = column("SELECT coalesce(sum(row_count), 0) FROM unit_index")[0]
        self.datasets = column("SELECT name FROM dataset_index ORDER BY name")
        self.splits = column("SELECT DISTINCT name FROM split_index ORDER BY name <> 'test', name")
        self.networks = column("SELECT name FROM network_index ORDER BY name")
        self.attacks = column("SELECT canonical FROM attack_index ORDER BY canonical <> 'clean', canonical")
        self.has_evaluations = bool(column("SELECT count(*) FROM evaluation_index")[0])
        # The part with rows that a plot begins with.
        first = db.execute(
            "SELECT dataset, split, network FROM accuracy ORDER BY split <> 'test', attack <> 'clean', rows DESC LIMIT 1")
        self.first = first.fetchone() or (None, None, None)


def description(contents):
    def link(place, text, note=""):
        note = f" <span style='color:#666'>{html.escape(note)}</span>" if note else ""
        return f"<li style='margin:0.2em 0'><a href='{place}'>{html.escape(text)}</a>{note}</li>"

    parts = [f"{contents.rows:,} rows of {len(contents.networks)} networks, clean and under "
             f"{max(0, len(contents.attacks) - 1)} attacks. Everything here is read from the corpus and changes nothing."]
    dashboards = plots.dashboards(contents)
    parts.append("<h3>Plots</h3><ul style='list-style:none;padding:0'>" + "".join(
        link(f"/-/dashboards/{name}", board["title"], board["description"]) for name, board in dashboards.items()) + "</ul>")
    parts.append("<h3>Questions</h3><ul style='list-style:none;padding:0'>" + "".join(
        link(f"/catalog/{name}", title) for name, (title, _, _) in QUESTIONS.items()) + "</ul>")
    parts.append("<h3>Tables</h3><ul style='list-style:none;padding:0'>" + "".join(
        link(f"/catalog/{urllib.parse.quote(name)}", name, note) for name, note in VIEWS.items()) + "</ul>")
    return "".join(parts)


def metadata(corpus, contents):
    """Datasette's metadata."""
    name = pathlib.Path(corpus).name
    tables = {table: {"hidden": True} for table in HIDDEN}
    for view, note in VIEWS.items():
        tables[view] = {"description": note}
    tables["rows"]["facets"] = ["network", "attack", "outcome"]
    queries = {
        key: {"title": title, "description": note, "sql": sql, "hide_sql": True}
        for key, (title, note, sql) in QUESTIONS.items()
    }
    return {
        "title": f"Corpus {name}", "description_html": description(contents),
        "databases": {"catalog": {"description": "Every table and question; the start page explains them.", "tables": tables, "queries": queries}},
        "plugins": {"datasette-dashboards": plots.dashboards(contents)},
    }
