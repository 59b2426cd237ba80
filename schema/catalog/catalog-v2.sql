-- The catalogue of LogitCorpus, from version 1 to 2 (PRAGMA user_version = 2): kept images, 8-bit outcomes,
-- digests of attacks.

ALTER TABLE unit_index ADD COLUMN kept_images TEXT;      -- `8bit` or `float`: /perturbed of the shard; NULL: none

ALTER TABLE row_index ADD COLUMN status_8bit INTEGER;    -- codes as in status; NULL where the shard has none

ALTER TABLE attack_index ADD COLUMN digest TEXT;         -- SHA-256 of NAME, U+001F, PARAMETERS; never NULL once opened for writing

CREATE VIEW attacks AS SELECT canonical AS attack, name, parameters, digest FROM attack_index;

DROP VIEW rows;

-- A clean row has a status only where it is invalid.
CREATE VIEW rows AS
SELECT d.name AS dataset, s.name AS split, i.ordinal, i.image, i.label, n.name AS network, a.canonical AS attack, u.view,
       r.prediction, r.prediction = i.label AS correct, r.mean, r.minimum, r.maximum, r.l2, r.label_margin, r.label_rank,
       r.status, r.iterations, r.perturbation_l2, r.perturbation_linf, u.path AS shard, r.shard_row,
       CASE r.status WHEN 0 THEN 'fooled' WHEN 1 THEN 'failed' WHEN 2 THEN 'trivial' WHEN 3 THEN 'invalid' END AS outcome,
       r.status_8bit
FROM row_index r
JOIN unit_index u ON u.id = r.unit_id
JOIN image_index i ON i.id = r.image_id
JOIN split_index s ON s.id = u.split_id
JOIN dataset_index d ON d.id = s.dataset_id
JOIN network_index n ON n.id = u.network_id
JOIN attack_index a ON a.id = u.attack_id;
