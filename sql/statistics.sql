-- get_table_statistics() and get_index_statistics(): figures, odd tables, wrong arguments, what others may see.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS citadel_opt CASCADE;
CREATE SCHEMA st;
SET search_path = st, public;

-- Bloat: exact widths, so an untouched table has none, and one that lost nine rows of ten has nearly nine tenths.
CREATE TABLE plain (id bigint PRIMARY KEY, flag boolean NOT NULL, n int NOT NULL, at timestamptz NOT NULL)
    WITH (autovacuum_enabled = false);
INSERT INTO plain SELECT g, true, g, now() FROM generate_series(1, 100000) g;
CREATE TABLE filled (LIKE plain) WITH (fillfactor = 50, autovacuum_enabled = false);
INSERT INTO filled SELECT * FROM plain;
CREATE TABLE texts (id int NOT NULL, t text, v text) WITH (autovacuum_enabled = false);
INSERT INTO texts SELECT g, CASE WHEN g % 4 > 0 THEN repeat('x', g % 60) END, repeat('y', 20 + g % 40)
FROM generate_series(1, 50000) g;
SELECT relation, bloat_bytes, advice
FROM citadel.get_table_statistics('plain');
SELECT pg_stat_force_next_flush(); -- else the inserts may be counted after ANALYZE has reset the counters
ANALYZE plain, filled, texts;
SELECT relation, kind, row_estimate, bloat_bytes, dead_rows, dead_ratio, xid_age > 0 AS has_age,
    total_bytes = pg_total_relation_size(relation) AS total_right, table_bytes + toast_bytes = pg_table_size(relation) AS table_right,
    index_bytes = pg_indexes_size(relation) AS index_right
FROM citadel.get_table_statistics('plain')
UNION ALL
SELECT relation, kind, row_estimate, bloat_bytes, dead_rows, dead_ratio, xid_age > 0,
    total_bytes = pg_total_relation_size(relation), table_bytes + toast_bytes = pg_table_size(relation), index_bytes = pg_indexes_size(relation)
FROM citadel.get_table_statistics('filled');
SELECT relation, bloat_bytes < 0.05 * table_bytes AS little_bloat, toast_bytes > 0 AS has_toast
FROM citadel.get_table_statistics('texts');
DELETE FROM plain WHERE id % 10 <> 0;
SELECT pg_stat_force_next_flush();
SELECT rows_deleted, dead_rows, dead_ratio, rows_modified_since_analyze, advice FROM citadel.get_table_statistics('plain');
CALL public.wait_for_old_snapshots();
VACUUM ANALYZE plain;
SELECT round(bloat_bytes / table_bytes::numeric, 2) AS bloat_share, last_vacuum IS NOT NULL AS vacuumed, dead_rows,
    advice FROM citadel.get_table_statistics('plain');

-- Variable widths, NULLs and a dropped column: half of the rows gone is about half of the table.
CREATE TABLE mixed (a int, b bigint, c text, d int NOT NULL, e timestamptz, f numeric, g jsonb, h boolean)
    WITH (autovacuum_enabled = false);
INSERT INTO mixed SELECT g, g, CASE WHEN g % 3 > 0 THEN repeat('t', g % 200) END, g, now(), g * 1.1,
    CASE WHEN g % 2 = 0 THEN jsonb_build_object('k', g) END, true FROM generate_series(1, 30000) g;
CREATE TABLE nulls (a int, b int, c int, d int, e int, f int, g int, h int, i text, j text, k timestamptz)
    WITH (autovacuum_enabled = false);
ALTER TABLE nulls DROP COLUMN d;
INSERT INTO nulls SELECT g, NULL, g, g, NULL, g, NULL, 'abc', NULL, now() FROM generate_series(1, 30000) g;
CALL public.wait_for_old_snapshots();
VACUUM ANALYZE mixed, nulls;
SELECT relation, bloat_bytes::float8 / table_bytes < 0.02 AS none FROM citadel.get_table_statistics('mixed') UNION ALL
SELECT relation, bloat_bytes::float8 / table_bytes < 0.02 FROM citadel.get_table_statistics('nulls');
DELETE FROM mixed WHERE d % 4 < 2;
DELETE FROM nulls WHERE a % 2 = 0;
CALL public.wait_for_old_snapshots();
VACUUM ANALYZE mixed, nulls;
SELECT relation, bloat_bytes::float8 / table_bytes BETWEEN 0.45 AND 0.52 AS half FROM citadel.get_table_statistics('mixed') UNION ALL
SELECT relation, bloat_bytes::float8 / table_bytes BETWEEN 0.45 AND 0.52 FROM citadel.get_table_statistics('nulls');

-- Updates: HOT or not, and scans.
CREATE TABLE hot (id int PRIMARY KEY, n int) WITH (fillfactor = 40, autovacuum_enabled = false);
INSERT INTO hot SELECT g, 0 FROM generate_series(1, 2000) g;
UPDATE hot SET n = 1;
CREATE INDEX ON hot (n);
UPDATE hot SET n = n + 1;
SET enable_seqscan = off;
SELECT n FROM hot WHERE id = 5;
RESET enable_seqscan;
SELECT pg_stat_force_next_flush();
SELECT rows_inserted, rows_updated, hot_update_ratio BETWEEN 0.2 AND 0.5 AS some_hot, index_scans, seq_scans > 0 AS scanned,
    index_scan_ratio > 0 AND index_scan_ratio < 1 AS some_index, cache_hit_ratio BETWEEN 0 AND 1 AS ratio,
    left(advice[2], 4) AS dead
FROM citadel.get_table_statistics('hot');

-- Partitioned: one row, at any depth; its partitions when asked for.
CREATE TABLE parent (id int NOT NULL, k int NOT NULL) PARTITION BY RANGE (k);
SELECT kind, partitions, row_estimate, total_bytes, bloat_bytes, xid_age, advice FROM citadel.get_table_statistics('parent');
CREATE TABLE parent_1 PARTITION OF parent FOR VALUES FROM (0) TO (10) WITH (autovacuum_enabled = false);
CREATE TABLE parent_2 PARTITION OF parent FOR VALUES FROM (10) TO (20) PARTITION BY LIST (id);
CREATE TABLE parent_2_default PARTITION OF parent_2 DEFAULT WITH (autovacuum_enabled = false);
CREATE INDEX parent_id ON parent (id);
CREATE INDEX parent_id_k ON parent (id, k);
CREATE INDEX parent_1_own ON parent_1 (k);
CREATE INDEX parent_1_again ON parent_1 (id);
INSERT INTO parent SELECT g, g % 20 FROM generate_series(1, 10000) g;
CALL public.wait_for_old_snapshots();
VACUUM ANALYZE parent_1, parent_2_default;
SELECT relation, kind, partitions, row_estimate, bloat_bytes,
    total_bytes = (SELECT sum(pg_total_relation_size(relid)) FROM pg_partition_tree('parent')) AS total_right
FROM citadel.get_table_statistics('parent') UNION ALL
SELECT relation, kind, partitions, row_estimate, bloat_bytes,
    total_bytes = (SELECT sum(pg_total_relation_size(relid)) FROM pg_partition_tree('parent_2'))
FROM citadel.get_table_statistics('parent_2') UNION ALL
SELECT relation, kind, partitions, row_estimate, bloat_bytes, total_bytes = pg_total_relation_size('parent_1')
FROM citadel.get_table_statistics('parent_1') ORDER BY 1;
SELECT unnest(advice) FROM citadel.get_table_statistics('parent');
SELECT index, relation, size_bytes > 0 AS has_size, duplicate_of, redundant_to, advice FROM citadel.get_index_statistics('parent')
ORDER BY 1;
SELECT index, relation, duplicate_of, redundant_to, advice FROM citadel.get_index_statistics('parent_1') ORDER BY 1;

-- Odd tables are rows like any others.
CREATE TABLE "Quoted ""Name" ("Col" int PRIMARY KEY);
CREATE TABLE "no columns" ();
INSERT INTO "no columns" SELECT FROM generate_series(1, 1000);
CREATE TABLE dropped (a int, b text, c int);
ALTER TABLE dropped DROP COLUMN b;
INSERT INTO dropped SELECT 1, 2 FROM generate_series(1, 10);
CREATE MATERIALIZED VIEW mat AS SELECT 1 AS one;
CREATE UNLOGGED TABLE unlogged (a int);
CREATE TEMP TABLE temporary_one (a int);
ANALYZE "no columns", dropped, mat, unlogged;
SELECT relation, kind, row_estimate, bloat_bytes, advice FROM citadel.get_table_statistics()
WHERE relation IN ('"Quoted ""Name"'::regclass, '"no columns"'::regclass, 'dropped', 'mat', 'unlogged', 'temporary_one') ORDER BY 1;
SELECT count(*) AS partitions_listed FROM citadel.get_table_statistics() WHERE relation IN ('parent_1'::regclass, 'parent_2', 'parent_2_default');

-- Indexes that do the work of another.
CREATE TABLE ix (id int PRIMARY KEY, a int, b int, c text, d int, UNIQUE (a, b));
CREATE UNIQUE INDEX ix_same_as_key ON ix (id);
CREATE INDEX ix_plain_same_as_key ON ix (id);
CREATE INDEX ix_prefix ON ix (a);
CREATE INDEX ix_desc ON ix (a DESC);
CREATE INDEX ix_pattern ON ix (c text_pattern_ops);
CREATE INDEX ix_c ON ix (c);
CREATE INDEX ix_collate ON ix (c COLLATE "C", a);
CREATE INDEX ix_lower ON ix (lower(c));
CREATE INDEX ix_lower_a ON ix (lower(c), a);
CREATE INDEX ix_upper ON ix (upper(c));
CREATE INDEX ix_partial ON ix (a) WHERE b > 3;
CREATE INDEX ix_partial_2 ON ix (a, d) WHERE b > 3;
CREATE INDEX ix_include ON ix (b) INCLUDE (d);
CREATE INDEX ix_no_include ON ix (b);
CREATE INDEX ix_hash ON ix USING hash (a);
CREATE INDEX ix_hash_2 ON ix USING hash (a);
CREATE UNIQUE INDEX ix_identity ON ix (id);
ALTER TABLE ix REPLICA IDENTITY USING INDEX ix_identity;
CREATE TABLE refers (ix_id int REFERENCES ix (id));
SELECT index, is_unique, duplicate_of, redundant_to, advice FROM citadel.get_index_statistics('ix')
ORDER BY index::text COLLATE "C";
SELECT index, definition, scans, last_used, is_valid FROM citadel.get_index_statistics('"Quoted ""Name"');

-- Wrong arguments.
\set VERBOSITY default
\set SHOW_CONTEXT never
CREATE VIEW a_view AS SELECT 1 AS one;
CREATE SEQUENCE a_sequence;
CREATE TYPE a_type AS (a int);
CREATE FOREIGN DATA WRAPPER st_fdw;
CREATE SERVER st_server FOREIGN DATA WRAPPER st_fdw;
CREATE FOREIGN TABLE "A foreign one" (a int) SERVER st_server;
SELECT * FROM citadel.get_table_statistics('a_view');
\echo :LAST_ERROR_SQLSTATE
SELECT * FROM citadel.get_table_statistics('a_sequence');
SELECT * FROM citadel.get_table_statistics('ix_prefix');
SELECT * FROM citadel.get_index_statistics('ix_prefix');
SELECT * FROM citadel.get_table_statistics('"A foreign one"');
SELECT * FROM citadel.get_index_statistics('a_type'::regclass);
SELECT * FROM citadel.get_table_statistics(4000000000::oid);
\echo :LAST_ERROR_SQLSTATE
SELECT * FROM citadel.get_table_statistics('no_such_table');
SELECT count(*) FROM citadel.get_table_statistics('ix');

-- A member of pg_monitor sees figures, and no estimate that comes from the contents of tables it may not read.
CREATE ROLE st_monitor;
GRANT pg_monitor TO st_monitor;
CREATE ROLE st_nobody;
GRANT USAGE ON SCHEMA st TO st_monitor;
SET ROLE st_monitor;
SELECT row_estimate, bloat_bytes FROM citadel.get_table_statistics('st.texts');
SELECT count(*) > 5 AS all_of_them FROM citadel.get_index_statistics();
RESET ROLE;
SET ROLE st_nobody;
SELECT * FROM citadel.get_table_statistics();
SELECT * FROM citadel.get_index_statistics();
RESET ROLE;

RESET search_path;
SET client_min_messages = error;
DROP SCHEMA st CASCADE;
DROP FOREIGN DATA WRAPPER st_fdw CASCADE;
REVOKE pg_monitor FROM st_monitor;
DROP ROLE st_monitor, st_nobody;
