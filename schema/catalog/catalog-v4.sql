-- The catalogue of LogitCorpus, from version 3 to 4 (PRAGMA user_version = 4): what is kept of each unit as a whole, so that
-- figures over a corpus are read from some lines a unit; views for the everyday questions.

ALTER TABLE unit_index ADD COLUMN software TEXT;   -- JSON of the shard; NULL where a former version indexed it, until `logit repair`

-- Outcomes of the rows of an attacked unit that are not invalid (those are counted in unit_index); 0 for a clean unit.
CREATE TABLE unit_summary (
    unit_id INTEGER PRIMARY KEY REFERENCES unit_index (id),
    fooled INTEGER NOT NULL, failed INTEGER NOT NULL, trivial INTEGER NOT NULL,
    fooled_8bit INTEGER, failed_8bit INTEGER, trivial_8bit INTEGER   -- NULL where the shard has no 8-bit outcome
);

-- Moments of each statistic of row_index over the rows of a unit that are not invalid and have a value; no line where there is
-- none. In double, in the order of shard_row, with compensated sums. The key begins with what the view groups by.
CREATE TABLE unit_statistic (
    statistic TEXT NOT NULL,               -- the column of row_index
    split_id INTEGER NOT NULL, network_id INTEGER NOT NULL, attack_id INTEGER NOT NULL, view INTEGER NOT NULL,
    unit_id INTEGER NOT NULL,
    row_count INTEGER NOT NULL,            -- of rows with a value
    sum REAL, sum_of_squares REAL,
    deviations REAL,                       -- sum of (x - mean of the unit) squared
    minimum REAL, maximum REAL,
    PRIMARY KEY (statistic, split_id, network_id, attack_id, view, unit_id)
) WITHOUT ROWID;

-- The mean of the stored logits, over the rows that are not invalid. No line where a former version indexed the unit, until
-- `logit repair`, or where all rows are invalid.
CREATE TABLE unit_mean (
    unit_id INTEGER PRIMARY KEY REFERENCES unit_index (id),
    row_count INTEGER NOT NULL,
    mean TEXT NOT NULL,                    -- JSON array of doubles, one a class, as json_each and the functions of logitsql take it
    checksum TEXT NOT NULL                 -- XXH3-128 of the text, in hex
);

CREATE TABLE class_index (
    dataset_id INTEGER NOT NULL REFERENCES dataset_index (id),
    label INTEGER NOT NULL,
    name TEXT NOT NULL,
    PRIMARY KEY (dataset_id, label)
) WITHOUT ROWID;
INSERT INTO class_index SELECT d.id, j.key, j.value FROM dataset_index d, json_each(d.class_names) j;

CREATE VIEW datasets AS
SELECT d.name AS dataset, s.name AS split, s.image_count AS images,
       (SELECT count(*) FROM class_index c WHERE c.dataset_id = d.id) AS classes, s.digest, s.source, s.kind
FROM split_index s JOIN dataset_index d ON d.id = s.dataset_id;

CREATE VIEW classes AS
SELECT d.name AS dataset, c.label, c.name AS class FROM class_index c JOIN dataset_index d ON d.id = c.dataset_id;

CREATE VIEW images AS
SELECT d.name AS dataset, s.name AS split, i.ordinal, i.image, i.label, c.name AS class, i.digest
FROM image_index i
JOIN split_index s ON s.id = i.split_id
JOIN dataset_index d ON d.id = s.dataset_id
LEFT JOIN class_index c ON c.dataset_id = s.dataset_id AND c.label = i.label;

CREATE VIEW networks AS
SELECT name AS network, digest, preprocessing, class_count AS classes, block_rows FROM network_index;

-- success: of the images that the network had right (or whose prediction was attacked), the share that the attack turned.
CREATE VIEW attack_success AS
SELECT d.name AS dataset, s.name AS split, n.name AS network, a.canonical AS attack, u.view,
       sum(m.fooled + m.failed + m.trivial) AS rows, sum(m.fooled) AS fooled, sum(m.failed) AS failed,
       sum(m.trivial) AS trivial, sum(u.invalid_count) AS invalid,
       sum(m.fooled) * 1.0 / nullif(sum(m.fooled + m.failed), 0) AS success,
       sum(m.fooled_8bit) AS fooled_8bit, sum(m.failed_8bit) AS failed_8bit, sum(m.trivial_8bit) AS trivial_8bit,
       sum(m.fooled_8bit) * 1.0 / nullif(sum(m.fooled_8bit + m.failed_8bit), 0) AS success_8bit
FROM unit_index u
JOIN unit_summary m ON m.unit_id = u.id
JOIN split_index s ON s.id = u.split_id
JOIN dataset_index d ON d.id = s.dataset_id
JOIN network_index n ON n.id = u.network_id
JOIN attack_index a ON a.id = u.attack_id
WHERE a.canonical <> 'clean'
GROUP BY d.name, s.name, n.name, a.canonical, u.view;

-- Of every statistic of `rows`, over the rows that are not invalid. The variance is the population's.
CREATE VIEW statistics AS
WITH part AS (
    SELECT statistic, split_id, network_id, attack_id, view, sum(row_count) AS rows, sum(sum) AS total,
           sum(sum_of_squares) AS squares, sum(sum) / sum(row_count) AS mean, min(minimum) AS minimum,
           max(maximum) AS maximum
    FROM unit_statistic GROUP BY statistic, split_id, network_id, attack_id, view
)
SELECT d.name AS dataset, s.name AS split, n.name AS network, a.canonical AS attack, p.view, p.statistic, p.rows, p.mean,
       (SELECT sum(t.deviations + t.row_count * (t.sum / t.row_count - p.mean) * (t.sum / t.row_count - p.mean)) / p.rows
        FROM unit_statistic t
        WHERE t.statistic = p.statistic AND t.split_id = p.split_id AND t.network_id = p.network_id
            AND t.attack_id = p.attack_id AND t.view = p.view) AS variance,
       p.minimum, p.maximum, p.total AS sum, p.squares AS sum_of_squares
FROM part p
JOIN split_index s ON s.id = p.split_id
JOIN dataset_index d ON d.id = s.dataset_id
JOIN network_index n ON n.id = p.network_id
JOIN attack_index a ON a.id = p.attack_id;

-- The mean logit of each class. Of units without a mean nothing is in it: `rows` says how many rows are.
CREATE VIEW mean_logits AS
SELECT d.name AS dataset, s.name AS split, n.name AS network, a.canonical AS attack, u.view, j.key AS class,
       sum(m.row_count) AS rows, sum(m.row_count * j.value) / sum(m.row_count) AS mean
FROM unit_mean m
JOIN unit_index u ON u.id = m.unit_id
JOIN split_index s ON s.id = u.split_id
JOIN dataset_index d ON d.id = s.dataset_id
JOIN network_index n ON n.id = u.network_id
JOIN attack_index a ON a.id = u.attack_id
JOIN json_each(m.mean) j
GROUP BY d.name, s.name, n.name, a.canonical, u.view, j.key;

-- Margins of the ground truth. Quantiles lie on the line between the two nearest rows, as numpy.quantile's; reads every row.
CREATE VIEW margins AS
WITH ranked AS (
    SELECT dataset, split, network, attack, view, label_margin AS x,
           row_number() OVER (PARTITION BY dataset, split, network, attack, view ORDER BY label_margin) - 1 AS place,
           count(*) OVER (PARTITION BY dataset, split, network, attack, view) - 1 AS last
    FROM rows WHERE status IS NOT 3 AND label_margin IS NOT NULL
)
SELECT dataset, split, network, attack, view, count(*) AS rows, avg(x > 0) AS positive, avg(x) AS mean, min(x) AS minimum,
       sum(x * max(0.0, 1 - abs(place - 0.05 * last))) AS p05, sum(x * max(0.0, 1 - abs(place - 0.25 * last))) AS p25,
       sum(x * max(0.0, 1 - abs(place - 0.50 * last))) AS median, sum(x * max(0.0, 1 - abs(place - 0.75 * last))) AS p75,
       sum(x * max(0.0, 1 - abs(place - 0.95 * last))) AS p95, max(x) AS maximum
FROM ranked GROUP BY dataset, split, network, attack, view;

-- How far the attack had to go, over the images that it fooled; images in [0, 1]. Quantiles as in margins; reads every row.
CREATE VIEW perturbations AS
WITH sizes AS (
    SELECT dataset, split, network, attack, view, 'l2' AS norm, perturbation_l2 AS x FROM rows WHERE status = 0
    UNION ALL
    SELECT dataset, split, network, attack, view, 'linf', perturbation_linf FROM rows WHERE status = 0
), ranked AS (
    SELECT dataset, split, network, attack, view, norm, x,
           row_number() OVER (PARTITION BY dataset, split, network, attack, view, norm ORDER BY x) - 1 AS place,
           count(*) OVER (PARTITION BY dataset, split, network, attack, view, norm) - 1 AS last
    FROM sizes WHERE x IS NOT NULL
)
SELECT dataset, split, network, attack, view, norm, count(*) AS rows, avg(x) AS mean, min(x) AS minimum,
       sum(x * max(0.0, 1 - abs(place - 0.05 * last))) AS p05, sum(x * max(0.0, 1 - abs(place - 0.25 * last))) AS p25,
       sum(x * max(0.0, 1 - abs(place - 0.50 * last))) AS median, sum(x * max(0.0, 1 - abs(place - 0.75 * last))) AS p75,
       sum(x * max(0.0, 1 - abs(place - 0.95 * last))) AS p95, max(x) AS maximum
FROM ranked GROUP BY dataset, split, network, attack, view, norm;

-- Two networks on the same images, or each on its own attacked version of them: how often they name the same class, and the
-- same wrong one. Reads every row.
CREATE VIEW agreement AS
SELECT d.name AS dataset, s.name AS split, a.canonical AS attack, u.view, n.name AS network, o.name AS other,
       count(*) AS images, sum(r.prediction = q.prediction) AS same,
       sum(r.prediction <> i.label AND q.prediction <> i.label) AS both_wrong,
       sum(r.prediction = q.prediction AND r.prediction <> i.label) AS same_wrong,
       avg(r.prediction = q.prediction) AS same_share,
       sum(r.prediction = q.prediction AND r.prediction <> i.label) * 1.0
           / nullif(sum(r.prediction <> i.label AND q.prediction <> i.label), 0) AS same_of_both_wrong
FROM row_index r
JOIN unit_index u ON u.id = r.unit_id
JOIN network_index n ON n.id = u.network_id
JOIN row_index q ON q.image_id = r.image_id
JOIN unit_index v ON v.id = q.unit_id AND v.attack_id = u.attack_id AND v.view = u.view
JOIN network_index o ON o.id = v.network_id AND o.name > n.name
JOIN image_index i ON i.id = r.image_id
JOIN split_index s ON s.id = u.split_id
JOIN dataset_index d ON d.id = s.dataset_id
JOIN attack_index a ON a.id = u.attack_id
WHERE r.status IS NOT 3 AND q.status IS NOT 3
GROUP BY d.name, s.name, a.canonical, u.view, n.name, o.name;

-- What the networks say of each image together: the class that most of them name (of two, the lower), how many do, and how
-- many classes they name. Under an attack each network votes on its own attacked version. Reads every row.
CREATE VIEW votes AS
WITH counts AS (
    SELECT dataset, split, ordinal, image, label, attack, view, prediction, count(*) AS votes
    FROM rows WHERE status IS NOT 3 GROUP BY dataset, split, ordinal, image, label, attack, view, prediction
), ranked AS (
    SELECT *, row_number() OVER (PARTITION BY dataset, split, ordinal, attack, view ORDER BY votes DESC, prediction) AS place,
           sum(votes) OVER (PARTITION BY dataset, split, ordinal, attack, view) AS networks,
           count(*) OVER (PARTITION BY dataset, split, ordinal, attack, view) AS classes
    FROM counts
)
SELECT dataset, split, ordinal, image, label, attack, view, networks, classes, prediction AS vote, votes,
       prediction = label AS correct
FROM ranked WHERE place = 1;

-- Each figure of an evaluation beside what the defender was trained on.
CREATE VIEW defender_results AS
SELECT e.defender, d.network AS trained_network, d.attacks AS trained_attacks, e.dataset, e.split, e.selection, e.network,
       e.attack, e.rows, e.undefended_correct * 1.0 / nullif(e.rows, 0) AS undefended_accuracy,
       e.corrected_correct * 1.0 / nullif(e.rows, 0) AS corrected_accuracy,
       (e.corrected_correct - e.undefended_correct) * 1.0 / nullif(e.rows, 0) AS gain, e.snapshot, e.evaluation, e.created
FROM evaluation_index e LEFT JOIN defender_index d ON d.name = e.defender;

-- The newest figure of each defender on each attack: the paper's Table 3 as lines.
CREATE VIEW transfer AS
SELECT network, attack, trained_network, trained_attacks, defender, dataset, split, selection, rows, undefended_accuracy,
       corrected_accuracy, attack = trained_attacks AS own, created
FROM (SELECT *, row_number() OVER (
          PARTITION BY defender, dataset, split, selection, network, attack ORDER BY created DESC, evaluation DESC) AS place
      FROM defender_results)
WHERE place = 1;

-- Of each shard: from which images, module, attack and software its rows are, and which snapshots hold it.
CREATE VIEW lineage AS
SELECT u.path AS shard, d.name AS dataset, s.name AS split, s.digest AS dataset_digest, n.name AS network,
       n.digest AS network_digest, n.preprocessing, a.canonical AS attack, a.parameters AS attack_parameters,
       a.digest AS attack_digest, u.view, u.seed, u.row_count AS rows, u.block_rows, u.codec, u.precision, u.kept_images,
       u.content_digest, u.file_digest, u.software, u.created,
       (SELECT group_concat(c.snapshot, ',') FROM snapshot_unit x JOIN snapshot_index c ON c.id = x.snapshot_id
        WHERE x.unit_id = u.id) AS snapshots
FROM unit_index u
JOIN split_index s ON s.id = u.split_id
JOIN dataset_index d ON d.id = s.dataset_id
JOIN network_index n ON n.id = u.network_id
JOIN attack_index a ON a.id = u.attack_id;

-- Of each defender: the snapshot it was trained from with its parent, the images, and the module whose logits it corrects.
CREATE VIEW defender_lineage AS
SELECT f.name AS defender, f.weights_digest, f.snapshot, c.tree, c.parent, c.created AS snapshot_created, f.dataset, f.split,
       s.digest AS dataset_digest, f.selection, f.network, n.digest AS network_digest, f.attacks, f.options, f.created
FROM defender_index f
LEFT JOIN snapshot_index c ON c.snapshot = f.snapshot
LEFT JOIN dataset_index d ON d.name = f.dataset
LEFT JOIN split_index s ON s.dataset_id = d.id AND s.name = f.split
LEFT JOIN network_index n ON n.name = f.network;

-- Each snapshot with all that it came from, nearest first.
CREATE VIEW ancestry AS
WITH RECURSIVE up (snapshot, ancestor, steps) AS (
    SELECT snapshot, parent, 1 FROM snapshot_index WHERE parent IS NOT NULL
    UNION ALL
    SELECT up.snapshot, c.parent, up.steps + 1 FROM up JOIN snapshot_index c ON c.snapshot = up.ancestor
    WHERE c.parent IS NOT NULL AND up.steps < 100000
)
SELECT up.snapshot, up.ancestor, up.steps, c.message, c.created, c.row_count AS rows
FROM up LEFT JOIN snapshot_index c ON c.snapshot = up.ancestor;
