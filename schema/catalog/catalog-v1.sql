-- The catalogue of LogitCorpus, version 1 (PRAGMA user_version = 1): an index over the files beside it.
-- `logit repair` rebuilds every table from them; nothing lives here alone. Public are the views; tables may change.

CREATE TABLE dataset_index (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    class_names TEXT NOT NULL              -- JSON array, in class-index order
);

CREATE TABLE split_index (
    id INTEGER PRIMARY KEY,
    dataset_id INTEGER NOT NULL REFERENCES dataset_index (id),
    name TEXT NOT NULL,
    digest TEXT NOT NULL,                  -- SHA-256 of datasets/NAME/SPLIT.images.tsv
    source TEXT NOT NULL,                  -- where the images were when they were added
    kind TEXT NOT NULL,
    image_count INTEGER NOT NULL,
    UNIQUE (dataset_id, name)
);

CREATE TABLE image_index (
    id INTEGER PRIMARY KEY,
    split_id INTEGER NOT NULL REFERENCES split_index (id),
    ordinal INTEGER NOT NULL,
    image TEXT NOT NULL,
    label INTEGER NOT NULL,
    digest TEXT NOT NULL,                  -- SHA-256 of the encoded image
    UNIQUE (split_id, ordinal)
);
CREATE INDEX image_by_name ON image_index (image);

CREATE TABLE network_index (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    digest TEXT NOT NULL,                  -- SHA-256 of the module file
    preprocessing TEXT NOT NULL,
    class_count INTEGER NOT NULL,
    block_rows INTEGER NOT NULL
);

CREATE TABLE attack_index (
    id INTEGER PRIMARY KEY,
    canonical TEXT NOT NULL UNIQUE,        -- `clean`, `pgd`, `pgd:epsilon=8/255`
    name TEXT NOT NULL,
    parameters TEXT NOT NULL               -- canonical JSON
);

CREATE TABLE unit_index (
    id INTEGER PRIMARY KEY,
    split_id INTEGER NOT NULL REFERENCES split_index (id),
    network_id INTEGER NOT NULL REFERENCES network_index (id),
    attack_id INTEGER NOT NULL REFERENCES attack_index (id),
    view INTEGER NOT NULL,
    seed INTEGER NOT NULL,
    list_digest TEXT NOT NULL,
    first_position INTEGER NOT NULL,
    row_count INTEGER NOT NULL,
    correct_count INTEGER NOT NULL,        -- prediction = label, among rows that are not invalid
    invalid_count INTEGER NOT NULL,
    path TEXT NOT NULL UNIQUE,             -- relative to the corpus
    content_digest TEXT NOT NULL,
    file_digest TEXT NOT NULL,
    file_bytes INTEGER NOT NULL,
    created TEXT NOT NULL,
    UNIQUE (split_id, network_id, attack_id, view, list_digest, first_position)
);

CREATE TABLE row_index (
    unit_id INTEGER NOT NULL REFERENCES unit_index (id),
    shard_row INTEGER NOT NULL,
    image_id INTEGER NOT NULL REFERENCES image_index (id),
    prediction INTEGER NOT NULL,
    mean REAL, minimum REAL, maximum REAL, l2 REAL,
    label_margin REAL, label_rank INTEGER,
    status INTEGER, iterations INTEGER, perturbation_l2 REAL, perturbation_linf REAL,
    PRIMARY KEY (unit_id, shard_row)
) WITHOUT ROWID;
CREATE INDEX row_by_image ON row_index (image_id, unit_id);

CREATE TABLE snapshot_index (
    id INTEGER PRIMARY KEY,
    snapshot TEXT NOT NULL UNIQUE,
    tree TEXT NOT NULL,
    parent TEXT,
    message TEXT NOT NULL,
    created TEXT NOT NULL,
    row_count INTEGER NOT NULL
);

CREATE TABLE snapshot_unit (
    snapshot_id INTEGER NOT NULL REFERENCES snapshot_index (id),
    unit_id INTEGER NOT NULL REFERENCES unit_index (id),
    PRIMARY KEY (snapshot_id, unit_id)
) WITHOUT ROWID;

CREATE TABLE tag_index (name TEXT PRIMARY KEY, snapshot TEXT NOT NULL);

CREATE TABLE selection_index (
    name TEXT PRIMARY KEY,
    dataset TEXT NOT NULL, split TEXT NOT NULL, image_count INTEGER NOT NULL, provenance TEXT NOT NULL,
    created TEXT NOT NULL
);

CREATE TABLE defender_index (
    name TEXT PRIMARY KEY,
    snapshot TEXT NOT NULL, dataset TEXT NOT NULL, split TEXT NOT NULL, network TEXT NOT NULL, attacks TEXT NOT NULL,
    selection TEXT, classes INTEGER NOT NULL, options TEXT NOT NULL, epochs_done INTEGER NOT NULL,
    weights_digest TEXT NOT NULL, created TEXT NOT NULL
);

CREATE TABLE evaluation_index (
    evaluation TEXT NOT NULL,
    defender TEXT NOT NULL, snapshot TEXT NOT NULL, dataset TEXT NOT NULL, split TEXT NOT NULL, selection TEXT,
    network TEXT NOT NULL, attack TEXT NOT NULL, rows INTEGER NOT NULL,
    undefended_correct INTEGER NOT NULL, corrected_correct INTEGER NOT NULL, created TEXT NOT NULL,
    PRIMARY KEY (evaluation, attack)
) WITHOUT ROWID;

CREATE VIEW rows AS
SELECT d.name AS dataset, s.name AS split, i.ordinal, i.image, i.label, n.name AS network, a.canonical AS attack, u.view,
       r.prediction, r.prediction = i.label AS correct, r.mean, r.minimum, r.maximum, r.l2, r.label_margin, r.label_rank,
       r.status, r.iterations, r.perturbation_l2, r.perturbation_linf, u.path AS shard, r.shard_row,
       CASE r.status WHEN 0 THEN 'fooled' WHEN 1 THEN 'failed' WHEN 2 THEN 'trivial' WHEN 3 THEN 'invalid' END AS outcome
FROM row_index r
JOIN unit_index u ON u.id = r.unit_id
JOIN image_index i ON i.id = r.image_id
JOIN split_index s ON s.id = u.split_id
JOIN dataset_index d ON d.id = s.dataset_id
JOIN network_index n ON n.id = u.network_id
JOIN attack_index a ON a.id = u.attack_id;

-- Rows that are not invalid, from the counts of each unit.
CREATE VIEW accuracy AS
SELECT d.name AS dataset, s.name AS split, n.name AS network, a.canonical AS attack, u.view,
       sum(u.row_count - u.invalid_count) AS rows, sum(u.correct_count) AS correct,
       sum(u.correct_count) * 1.0 / nullif(sum(u.row_count - u.invalid_count), 0) AS accuracy,
       sum(u.invalid_count) AS invalid
FROM unit_index u
JOIN split_index s ON s.id = u.split_id
JOIN dataset_index d ON d.id = s.dataset_id
JOIN network_index n ON n.id = u.network_id
JOIN attack_index a ON a.id = u.attack_id
GROUP BY d.name, s.name, n.name, a.canonical, u.view;

CREATE VIEW snapshots AS
SELECT c.snapshot, c.tree, c.parent, c.message, c.created, c.row_count AS rows,
       (SELECT group_concat(t.name, ',') FROM tag_index t WHERE t.snapshot = c.snapshot) AS tags
FROM snapshot_index c;

CREATE VIEW defenders AS
SELECT name AS defender, snapshot, dataset, split, network, attacks, selection, classes, options, epochs_done,
       weights_digest, created
FROM defender_index;

CREATE VIEW evaluations AS
SELECT evaluation, defender, snapshot, dataset, split, selection, network, attack, rows, undefended_correct,
       corrected_correct, undefended_correct * 1.0 / nullif(rows, 0) AS undefended_accuracy,
       corrected_correct * 1.0 / nullif(rows, 0) AS corrected_accuracy, created
FROM evaluation_index;
