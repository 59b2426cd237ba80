-- The catalogue of LogitCorpus, from version 4 to 5 (PRAGMA user_version = 5): analyses, with their supporting classes or
-- figures.

CREATE TABLE analysis_index (
    analysis TEXT PRIMARY KEY,             -- the name of analyses/ID.json: the beginning of its SHA-256
    kind TEXT NOT NULL,                    -- `support`, `lowering`, `precision`, `detection`
    defender TEXT NOT NULL, weights_digest TEXT NOT NULL, snapshot TEXT NOT NULL, dataset TEXT NOT NULL,
    split TEXT NOT NULL, selection TEXT, network TEXT NOT NULL, attack TEXT NOT NULL, images INTEGER NOT NULL,
    top INTEGER, corrected_only INTEGER, created TEXT NOT NULL
);

CREATE TABLE support_index (
    analysis TEXT NOT NULL REFERENCES analysis_index (analysis),
    class INTEGER NOT NULL,
    name TEXT NOT NULL,
    rank INTEGER NOT NULL,                 -- from 1, by count
    count INTEGER NOT NULL,                -- images in whose top the class is by S_k
    first INTEGER NOT NULL,                -- images whose largest S_k is the class's
    support REAL NOT NULL,                 -- mean S_k
    pull_count INTEGER NOT NULL, pull_first INTEGER NOT NULL, pull REAL NOT NULL,   -- the same of H_ik
    push_count INTEGER NOT NULL, push_first INTEGER NOT NULL, push REAL NOT NULL,   -- the same of -H_mean,k
    PRIMARY KEY (analysis, class)
) WITHOUT ROWID;

-- Figures of the other kinds, one a line: what was measured of what.
CREATE TABLE figure_index (
    analysis TEXT NOT NULL REFERENCES analysis_index (analysis),
    attack TEXT NOT NULL,
    subject TEXT NOT NULL,                 -- `supporting`, `float16`, `energy`, ...
    measure TEXT NOT NULL,                 -- `corrected`, `at_attacked`, `auc`, ...
    rows INTEGER NOT NULL,
    count INTEGER,                         -- of a share
    value REAL, low REAL, high REAL,       -- with its 95 % interval
    PRIMARY KEY (analysis, attack, subject, measure)
) WITHOUT ROWID;

CREATE VIEW analyses AS
SELECT analysis, kind, defender, weights_digest, snapshot, dataset, split, selection, network, attack, images, top,
       corrected_only, created
FROM analysis_index;

CREATE VIEW supporting_classes AS
SELECT a.analysis, a.defender, a.network, a.attack, a.dataset, a.split, a.selection, s.class, s.name, s.rank, s.count, s.first,
       s.support, s.pull_count, s.pull_first, s.pull, s.push_count, s.push_first, s.push, a.images, a.top, a.corrected_only,
       a.snapshot, a.created
FROM support_index s
JOIN analysis_index a ON a.analysis = s.analysis;

CREATE VIEW analysis_figures AS
SELECT a.analysis, a.kind, a.defender, a.network, a.dataset, a.split, a.selection, f.attack, f.subject, f.measure, f.rows,
       f.count, f.value, f.low, f.high, a.snapshot, a.created
FROM figure_index f
JOIN analysis_index a ON a.analysis = f.analysis;
