-- Indexes that several statements or tables ask for together: foreign keys, and predicates that imply each other.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS citadel_opt CASCADE;
RESET client_min_messages;
CREATE SCHEMA ar;
SET search_path = ar;
SET max_parallel_workers_per_gather = 0;
CREATE TABLE parent (id int PRIMARY KEY, name text);
INSERT INTO parent SELECT i, 'parent ' || i FROM generate_series(1, 1000) i;
CREATE TABLE child (id int PRIMARY KEY, parent_id int REFERENCES parent, other_id int REFERENCES parent ON DELETE CASCADE, status text, deleted_at date, amount int);
INSERT INTO child SELECT i, i * 7919 % 1000 + 1, i * 1013 % 1000 + 1, CASE WHEN i % 100 = 0 THEN 'open' ELSE 'done' END, CASE WHEN i % 50 = 0 THEN date '2026-01-01' END, i * 31 % 9973
    FROM generate_series(1, 50000) i;
CALL public.wait_for_old_snapshots();
VACUUM ANALYZE parent, child;
CREATE FUNCTION advise(workload text[]) RETURNS TABLE (key text, helped int, sound boolean) LANGUAGE sql AS $$
    SELECT regexp_replace(definition, '^CREATE INDEX (CONCURRENTLY )?[^ ]+ ON ar.', ''), queries_helped, cost_after < cost_before AND size_bytes > 0
    FROM citadel.recommend_indexes(workload, NULL, 1) ORDER BY 1
$$;
-- A deletion looks for the rows that reference it: both foreign keys want an index.
SELECT * FROM advise(ARRAY['DELETE FROM parent WHERE id = $1']);
-- Nothing is deleted, or the key has an index, or the table is not referenced.
SELECT * FROM advise(ARRAY['SELECT * FROM parent WHERE id = $1', 'UPDATE parent SET name = $2 WHERE id = $1', 'DELETE FROM child WHERE id = $1']);
-- So does a change of what they reference, on a partitioned table too, whose partition counts its columns differently.
SELECT * FROM advise(ARRAY['UPDATE parent SET id = $2 WHERE id = $1']);
CREATE TABLE region (kind int, id int, name text, PRIMARY KEY (kind, id)) PARTITION BY LIST (kind);
CREATE TABLE region_1 (gone int, name text, id int NOT NULL, kind int NOT NULL);
ALTER TABLE region_1 DROP COLUMN gone;
ALTER TABLE region ATTACH PARTITION region_1 FOR VALUES IN (1);
INSERT INTO region SELECT 1, i, 'region ' || i FROM generate_series(1, 1000) i;
CREATE TABLE town (id int PRIMARY KEY, kind int, region int, FOREIGN KEY (kind, region) REFERENCES region);
INSERT INTO town SELECT i, 1, i * 7919 % 1000 + 1 FROM generate_series(1, 50000) i;
CALL public.wait_for_old_snapshots();
VACUUM ANALYZE region, town;
SELECT * FROM advise(ARRAY['UPDATE region SET id = $2 WHERE kind = 1 AND id = $1']);
SELECT * FROM advise(ARRAY['UPDATE region SET name = $2 WHERE kind = 1 AND id = $1']);
CREATE INDEX ON child (parent_id);
SELECT * FROM advise(ARRAY['DELETE FROM parent WHERE id = $1']);
CREATE INDEX ON child (other_id, amount);
SELECT * FROM advise(ARRAY['DELETE FROM parent WHERE id = $1']);
-- A caller who may not read the referencing table learns nothing of it.
CREATE ROLE ar_deleter;
GRANT pg_monitor TO ar_deleter;
GRANT USAGE ON SCHEMA ar TO ar_deleter;
GRANT SELECT, DELETE ON parent TO ar_deleter;
DROP INDEX child_parent_id_idx;
SET ROLE ar_deleter;
SELECT * FROM advise(ARRAY['DELETE FROM parent WHERE id = $1']);
RESET ROLE;
-- One partial index for statements that ask for more than its predicate.
SELECT * FROM advise(ARRAY['SELECT * FROM child WHERE deleted_at IS NOT NULL AND amount = 5', 'SELECT * FROM child WHERE deleted_at > ''2025-12-31'' AND amount BETWEEN 7 AND 9']);
SET client_min_messages = warning;
DROP SCHEMA ar CASCADE;
DROP OWNED BY ar_deleter;
DROP ROLE ar_deleter;
