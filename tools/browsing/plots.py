"""The plots of tools/browse: dashboards of Vega-Lite charts, each over one query."""

# Colours that colour-blind readers can tell apart (Okabe and Ito), as in the figures of `logit`.
COLOURS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000"]
DASHES = [[1, 0], [6, 3], [2, 2], [9, 3, 2, 3], [4, 1]]
CONFIG = {
    "background": "#00000000", "range": {"category": COLOURS}, "axis": {"labelLimit": 260, "titleFontWeight": "normal"},
    "legend": {"labelLimit": 260}, "line": {"strokeWidth": 2.5},
}
# The statistics that `rows` holds, and those that are computed from the logits.
STATISTICS = [
    "mean", "minimum", "maximum", "l2", "label_margin", "label_rank", "iterations", "perturbation_l2", "perturbation_linf",
]
SCORES = ["logsumexp", "entropy", "margin"]

# What the fields at the top of a dashboard choose; an empty field chooses all.
PART = "(:dataset = '' OR dataset = :dataset) AND (:split = '' OR split = :split)"
ONE = "dataset = :dataset AND split = :split AND network = :network AND view = 0"


def chart(title, query, mark, **encoding):
    return {
        "title": title, "db": "catalog", "query": " ".join(query.split()), "library": "vega-lite",
        "display": {"mark": mark, "encoding": encoding, "config": CONFIG, "height": 300},
    }


def of(field, kind, title=None, **more):
    return {"field": field, "type": kind, "title": title, **more}


def bars(title, query, y, label, **scale):
    """One group of bars a network, one bar an attack."""
    return chart(
        title, query, {"type": "bar", "tooltip": {"content": "data"}},
        x=of("network", "nominal", axis={"labelAngle": 0}), xOffset=of("attack", "nominal"),
        y=of(y, "quantitative", label, **scale), color=of("attack", "nominal"))


def heat_map(title, query, rows, label):
    """Shares by attack, each with its number."""
    made = chart(title, query, "rect")
    places = {"x": of("attack", "nominal", axis={"labelAngle": 0}), "y": of(rows, "nominal")}
    colour = of("percent", "quantitative", label, scale={"scheme": "blues", "domain": [0, 100]})
    ink = {"condition": {"test": "datum.percent > 60", "value": "white"}, "value": "black"}
    made["display"] = {
        "height": 300, "config": CONFIG,
        "layer": [
            {"mark": {"type": "rect", "tooltip": {"content": "data"}}, "encoding": {**places, "color": colour}},
            {"mark": {"type": "text"},
             "encoding": {**places, "text": of("percent", "quantitative", format=".1f"), "color": ink}},
        ],
    }
    return made


def overview(contents):
    percent = {"scale": {"domain": [0, 100]}}
    charts = {
        "accuracy": bars(
            "Accuracy, clean and attacked",
            f"SELECT network, attack || CASE view WHEN 0 THEN '' ELSE ' #' || view END AS attack, rows, 100 * accuracy AS percent "
            f"FROM accuracy WHERE {PART}", "percent", "per cent right", **percent),
        "success": bars(
            "Attack success, of the images that the network had right",
            f"SELECT network, attack || CASE view WHEN 0 THEN '' ELSE ' #' || view END AS attack, fooled, failed, "
            f"100 * success AS percent FROM attack_success WHERE {PART}", "percent", "per cent turned", **percent),
        "perturbation": bars(
            "Median L2 norm of the perturbations that fooled",
            f"SELECT network, attack, rows, median FROM perturbations WHERE {PART} AND norm = 'l2' AND view = 0",
            "median", "L2, images in [0, 1]"),
        "margin": chart(
            "Margin of the true class: median, quartiles, 5 to 95 %",
            f"SELECT network, attack, p05, p25, median, p75, p95 FROM margins WHERE {PART} AND view = 0", "bar"),
    }
    x = {"x": of("network", "nominal", axis={"labelAngle": 0}), "xOffset": of("attack", "nominal")}
    colour = of("attack", "nominal")
    charts["margin"]["display"] = {
        "height": 300, "config": CONFIG,
        "layer": [
            {"mark": {"type": "rule"},
             "encoding": {**x, "y": of("p05", "quantitative", "margin"), "y2": {"field": "p95"}, "color": colour}},
            {"mark": {"type": "bar", "tooltip": {"content": "data"}, "opacity": 0.55},
             "encoding": {**x, "y": of("p25", "quantitative", "margin"), "y2": {"field": "p75"}, "color": colour}},
            {"mark": {"type": "tick", "thickness": 2, "color": "black"},
             "encoding": {**x, "y": of("median", "quantitative", "margin")}},
        ],
    }
    if len(contents.networks) > 1:
        charts["agreement"] = heat_map(
            "Same wrong class, of the images that both networks have wrong",
            f"SELECT network || ' and ' || other AS pair, attack, images, both_wrong, 100 * same_of_both_wrong AS percent "
            f"FROM agreement WHERE {PART} AND view = 0", "pair", "per cent")
    if contents.has_evaluations:
        charts["transfer"] = heat_map(
            "What each defender recovers, by the attack it meets",
            f"SELECT defender || ' on ' || network AS defender, attack, trained_attacks, rows, "
            f"100 * corrected_accuracy AS percent FROM transfer WHERE {PART} AND selection IS NULL", "defender", "per cent right")
    return {
        "title": "Overview", "description": "Accuracy, attacks, margins, agreement and defenders of one split.",
        "filters": filters(contents, "dataset", "split"), "charts": charts,
    }


def histogram_query(value, source):
    """Over edges that all variants share: those of numpy.histogram."""
    return f"""
        WITH numbers AS (SELECT attack, {value} AS x FROM {source} WHERE {ONE} AND status IS NOT 3),
        ends AS (SELECT min(x) AS low, max(x) AS high FROM numbers),
        counts AS (SELECT attack, histogram(x, min(1000, max(1, CAST(:bins AS INTEGER))), (SELECT low FROM ends),
            (SELECT high FROM ends)) AS histogram FROM numbers WHERE x IS NOT NULL GROUP BY attack)
        SELECT c.attack, b.low, b.high, b.count AS images FROM counts c, histogram_bins(c.histogram) b
        UNION ALL SELECT c.attack, max(b.high), max(b.high), 0 FROM counts c, histogram_bins(c.histogram) b GROUP BY 1
        ORDER BY 1, 2"""


def outlines(title, query):
    """Histograms as outlines, one upon the other; each ends in a line without width, where its outline comes down."""
    made = chart(title, query, "area")
    x, y = of("low", "quantitative", None), of("images", "quantitative", "images", stack=None)
    legend = {"symbolType": "square", "symbolOpacity": 1, "symbolStrokeWidth": 0}
    colour = of("attack", "nominal", "attack", legend=legend)
    made["display"] = {
        "height": 300, "config": CONFIG,
        "layer": [
            {"mark": {"type": "bar", "opacity": 0.18, "binSpacing": 0},
             "encoding": {"x": {**x, "bin": {"binned": True}}, "x2": {"field": "high"}, "y": y, "color": colour}},
            {"mark": {"type": "line", "interpolate": "step-after", "tooltip": {"content": "data"}, "point": False},
             "encoding": {"x": x, "y": y, "color": colour,
                          "strokeDash": of("attack", "nominal", legend=None, scale={"range": DASHES})}},
        ],
    }
    return made


def logits(contents):
    names = ", ".join(f"'{name}'" for name in STATISTICS)
    chosen = " ".join(f"WHEN '{name}' THEN {name}" for name in STATISTICS)
    scores = " ".join(f"WHEN '{name}' THEN {name}(z)" for name in SCORES)
    charts = {
        "histogram": outlines(
            "Histogram of the statistic, clean and attacked",
            histogram_query(f"CASE :statistic {chosen} END", "rows")),
        "score": outlines(
            "Histogram of the score, computed from the logits", histogram_query(f"CASE :score {scores} END", "logits")),
        "statistics": chart(
            "Mean and standard deviation of the statistic",
            f"SELECT attack, rows, mean, mean - sqrt(variance) AS low, mean + sqrt(variance) AS high FROM statistics "
            f"WHERE {ONE} AND statistic = :statistic AND :statistic IN ({names})", "bar"),
        "classes": chart(
            "Mean logit of each class",
            f"SELECT attack, class, rows, mean FROM mean_logits WHERE {ONE} ORDER BY attack, class",
            {"type": "line", "tooltip": {"content": "data"}, "point": False, "strokeWidth": 1.5},
            x=of("class", "quantitative", "class"), y=of("mean", "quantitative", "mean logit"),
            color=of("attack", "nominal")),
    }
    y = of("attack", "nominal")
    charts["statistics"]["display"] = {
        "height": 300, "config": CONFIG,
        "layer": [
            {"mark": {"type": "rule", "strokeWidth": 2},
             "encoding": {"y": y, "x": of("low", "quantitative", "mean ± standard deviation", scale={"zero": False}),
                          "x2": {"field": "high"},
                          "color": of("attack", "nominal", legend=None)}},
            {"mark": {"type": "circle", "size": 110, "opacity": 1, "tooltip": {"content": "data"}},
             "encoding": {"y": y, "x": of("mean", "quantitative"), "color": of("attack", "nominal", legend=None)}},
        ],
    }
    chosen = filters(contents, "dataset", "split", "network")
    chosen["statistic"] = {"name": "Statistic", "type": "select", "options": STATISTICS, "default": "mean"}
    chosen["score"] = {"name": "Score", "type": "select", "options": SCORES, "default": "logsumexp"}
    chosen["bins"] = {"name": "Bins", "type": "number", "min": 1, "max": 1000, "default": 20}
    return {
        "title": "Logits", "description": "How the logits of one network are spread, clean and under each attack.",
        "filters": chosen, "charts": charts,
    }


def filters(contents, *names):
    options = {"dataset": contents.datasets, "split": contents.splits, "network": contents.networks}
    first = dict(zip(("dataset", "split", "network"), contents.first))
    return {
        name: {"name": name.capitalize(), "type": "select", "options": options[name], "default": first[name] or ""}
        for name in names
    }


def dashboards(contents):
    return {"overview": overview(contents), "logits": logits(contents)}
