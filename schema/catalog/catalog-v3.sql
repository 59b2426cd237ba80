-- The catalogue of LogitCorpus, from version 2 to 3 (PRAGMA user_version = 3): what `logit verify` compares without opening a
-- shard, and what `logit ingest --repair` needs to make a unit again. NULL where a former version indexed the unit, until
-- `logit repair`.

ALTER TABLE unit_index ADD COLUMN codec TEXT;            -- `raw`, `zstd`
ALTER TABLE unit_index ADD COLUMN precision TEXT;        -- of the stored logits: `float32`
ALTER TABLE unit_index ADD COLUMN file_checksum TEXT;    -- XXH3-128 of the file's bytes, in hex
ALTER TABLE unit_index ADD COLUMN row_digest TEXT;       -- XXH3-128 of the unit's rows in row_index (schema/integrity.md)
ALTER TABLE unit_index ADD COLUMN block_rows INTEGER;    -- images that the network computed at once
ALTER TABLE unit_index ADD COLUMN status_8bit INTEGER;   -- 1: the rows have an 8-bit outcome
ALTER TABLE unit_index ADD COLUMN ordinals TEXT;         -- of the rows, in order: `0-4095`, `0-4,1300-1304`; NULL beyond 16 KiB
