-- table_history and index_history over hours and days made up for the purpose, long past.
\set ON_ERROR_STOP 0
\set VERBOSITY terse
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS citadel_opt CASCADE;
RESET client_min_messages;
SET timezone = 'UTC';
CREATE ROLE relation_owner;
CREATE ROLE relation_other;

-- The scheduler of this database is kept away: it would measure and sum up meanwhile.
BEGIN;
-- In the order in which the scheduler locks them.
LOCK TABLE citadel.sample, citadel.statement_delta, citadel.table_delta, citadel.index_delta, citadel.statement_minute, citadel.statement_hour,
    citadel.table_hour, citadel.index_hour IN ACCESS EXCLUSIVE MODE;
CREATE TABLE citadel.table_hour_past PARTITION OF citadel.table_hour FOR VALUES FROM ('2020-01-01') TO ('2020-03-01');
CREATE TABLE citadel.index_hour_past PARTITION OF citadel.index_hour FOR VALUES FROM ('2020-01-01') TO ('2020-03-01');
DELETE FROM citadel.relation_state;
INSERT INTO citadel.relation_state VALUES ('hour', '2020-02-10'), ('day', '2020-02-10');
DELETE FROM citadel.watched_relation;
-- A table and its index; a partitioned table of which one part was detached on the 8th and one dropped on the 10th.
INSERT INTO citadel.watched_relation (relation_id, relation, database, kind, schema_name, relation_name, indexed_relation, indexed_name, owner,
    ancestors, first_seen, oid_since, changed_at, attached_until, gone_at)
SELECT n, 990000 + n, 1, k, 'shop', name, i, t, 'relation_owner'::regrole, a::oid[], '2020-01-01', '-infinity', '2020-01-01', d, g
FROM (VALUES
    (1, 'table', 'orders', NULL::oid, NULL, '{}', 'infinity'::timestamptz, 'infinity'::timestamptz),
    (2, 'index', 'orders_pkey', 990001, 'orders', '{}', 'infinity', 'infinity'),
    (10, 'table', 'events', NULL, NULL, '{}', 'infinity', 'infinity'),
    (11, 'table', 'events_1', NULL, NULL, '{990010}', '2020-01-08 12:00', 'infinity'),
    (12, 'table', 'events_2', NULL, NULL, '{990010}', 'infinity', '2020-01-10 12:00'),
    (13, 'table', 'events_3', NULL, NULL, '{990010}', 'infinity', 'infinity'),
    (20, 'index', 'events_at', 990010, 'events', '{}', 'infinity', 'infinity'),
    (21, 'index', 'events_1_at', 990011, 'events_1', '{990020}', '2020-01-08 12:00', 'infinity'),
    (23, 'index', 'events_3_at', 990013, 'events_3', '{990020}', 'infinity', 'infinity')) AS v (n, k, name, i, t, a, d, g);
-- Every day 100 rows more, of 10 bytes, and 5 for the index; no row for days 4 and 5 of orders.
INSERT INTO citadel.table_day
SELECT d, r, 1, 100, 10, 100, 20, 15, 5, 1000 * n, 500 * n, 100 * n, 5
FROM generate_series('2020-01-01'::timestamptz, '2020-01-12', '1 day') WITH ORDINALITY AS d (d, n), (VALUES (1), (11), (12), (13)) AS r (r)
WHERE NOT (r = 1 AND n IN (4, 5)) AND NOT (r = 12 AND n > 10) AND NOT (r = 13 AND n < 3);
INSERT INTO citadel.index_day
SELECT d, r, 10, 40, 30, 500 * n FROM generate_series('2020-01-01'::timestamptz, '2020-01-12', '1 day') WITH ORDINALITY AS d (d, n), (VALUES (2), (21), (23)) AS r (r);

\set columns 'at, schema_name, table_name, total_bytes, table_bytes, index_bytes, live_rows, dead_rows, rows_inserted, rows_updated, rows_deleted, seq_scans, index_scans'
-- a table: nothing happened on the 4th and 5th; before the window it had a size
SELECT :columns FROM citadel.table_history(990001, '2020-01-03', '2020-01-08', '1 day');
SELECT at, total_bytes, rows_inserted FROM citadel.table_history(990001, '2020-01-04', '2020-01-06', '1 day');
-- a partitioned table is its partitions, while they were attached and there; a part by itself
SELECT at, total_bytes, live_rows, rows_inserted, seq_scans FROM citadel.table_history(990010, '2020-01-01', '2020-01-13', '1 day');
SELECT at, total_bytes, rows_inserted FROM citadel.table_history(990011, '2020-01-07', '2020-01-11', '1 day');
SELECT at, total_bytes, rows_inserted FROM citadel.table_history(990012, '2020-01-08', '2020-01-13', '1 day');
-- everything: each table once
SELECT at, table_name, total_bytes, rows_inserted FROM citadel.table_history(NULL, '2020-01-07', '2020-01-11', '1 day');
-- 30 days by default steps
SELECT count(*), min(at), max(at), sum(rows_inserted) FROM citadel.table_history(990001, '2019-12-25', '2020-02-01');
-- indexes: one, those of a table, those of a partitioned table, all
SELECT at, schema_name, index_name, table_name, size_bytes, scans, rows_read, rows_fetched FROM citadel.index_history(990002, '2020-01-03', '2020-01-06', '1 day');
SELECT at, index_name, size_bytes, scans FROM citadel.index_history(990001, '2020-01-11', '2020-01-13', '1 day');
SELECT at, index_name, table_name, size_bytes, scans FROM citadel.index_history(990010, '2020-01-07', '2020-01-11', '1 day');
SELECT at, index_name, size_bytes, scans FROM citadel.index_history(990020, '2020-01-07', '2020-01-09', '1 day');
SELECT at, index_name, size_bytes, scans FROM citadel.index_history(NULL, '2020-01-08', '2020-01-10', '1 day');

-- hours and minutes, of which there are those of the last days: what was summed up is not counted again
CREATE TABLE citadel.table_hour_now PARTITION OF citadel.table_hour DEFAULT;
CREATE TABLE citadel.index_hour_now PARTITION OF citadel.index_hour DEFAULT;
CREATE TABLE citadel.table_delta_now PARTITION OF citadel.table_delta DEFAULT;
CREATE TABLE citadel.index_delta_now PARTITION OF citadel.index_delta DEFAULT;
SELECT date_trunc('hour', citadel.history_clock()) - interval '2 hours' AS hour \gset
UPDATE citadel.relation_state SET done_until = :'hour';
INSERT INTO citadel.table_hour
SELECT :'hour'::timestamptz - n * interval '1 hour', 1, 0, 0, 1, 10, 0, 0, 0, CASE WHEN n <> 6 THEN 1000 * (10 - n) END, 500, 1200, 0 FROM generate_series(1, 6) AS n;
INSERT INTO citadel.table_delta
SELECT :'hour'::timestamptz + n * interval '7 minutes', 990001, 'shop', 'orders', 0, 0, 0, 1, 0, 0, 0, CASE n WHEN 3 THEN 20000 WHEN 6 THEN 21000 END, 700, 1300, 2
FROM generate_series(-20, 6) AS n;
INSERT INTO citadel.index_hour SELECT :'hour'::timestamptz - interval '1 hour', 2, 4, 40, 30, 800;
INSERT INTO citadel.index_delta SELECT :'hour'::timestamptz + n * interval '7 minutes', 990002, 990001, 1, 5, 3 FROM generate_series(-20, 6) AS n;
SELECT at - :'hour'::timestamptz AS after, total_bytes, live_rows, dead_rows, rows_inserted, index_scans
FROM citadel.table_history(990001, :'hour'::timestamptz - interval '7 hours', :'hour'::timestamptz + interval '1 hour', '1 hour');
SELECT at >= :'hour'::timestamptz AS minutes, total_bytes, rows_inserted
FROM citadel.table_history(990001, :'hour'::timestamptz + interval '10 minutes', :'hour'::timestamptz + interval '30 minutes', '1 minute');
SELECT at - :'hour'::timestamptz AS after, size_bytes, scans, rows_read, rows_fetched
FROM citadel.index_history(990002, :'hour'::timestamptz - interval '2 hours', :'hour'::timestamptz + interval '1 hour', '1 hour');
-- how large they were before a moment: by days, by hours that are in no day yet, by the last measuring; nothing before the first
SELECT place, table_bytes, index_bytes, live_rows FROM citadel.relation_sizes(ARRAY[1, 1, 1, 2, 2, 1, 2, 12345, NULL]::bigint[],
    ARRAY['2020-01-01 12:00', '2020-01-03', '2020-01-06', '2020-01-06', :'hour'::timestamptz, :'hour', '-infinity', '2020-01-06', NULL]) ORDER BY place;
-- minutes of before it had this OID are not its
UPDATE citadel.watched_relation SET oid_since = :'hour'::timestamptz + interval '30 minutes' WHERE relation_id = 1;
SELECT sum(rows_inserted) FROM citadel.table_history(990001, :'hour', :'hour'::timestamptz + interval '1 hour', '1 minute');

-- owners see their tables
SET ROLE relation_owner;
SELECT count(*) FROM citadel.table_history(990001, '2020-01-03', '2020-01-08', '1 day');
SELECT count(*) FROM citadel.index_history(990001, '2020-01-03', '2020-01-08', '1 day');
SELECT count(*) FROM citadel.relation_sizes('{1,2}', '{2020-01-06,2020-01-06}');
RESET ROLE;
SET ROLE relation_other;
SELECT count(*) FROM citadel.relation_sizes('{1,2}', '{2020-01-06,2020-01-06}');
SELECT count(*) FROM citadel.table_history(NULL, '2020-01-03', '2020-01-08', '1 day');
SELECT count(*) FROM citadel.table_history(990010, '2020-01-03', '2020-01-08', '1 day');
SELECT count(*) FROM citadel.index_history(NULL, '2020-01-03', '2020-01-08', '1 day');
SELECT count(*) FROM citadel.visible_relation;
SELECT count(*) FROM citadel.watched_relation;
ROLLBACK;

-- what was asked for wrongly, and what there is not
SELECT citadel.table_history(NULL, step => '59 seconds');
SELECT citadel.table_history('pg_class', step => '1 month');
SELECT citadel.table_history(NULL, now(), now() - interval '1 hour');
SELECT citadel.index_history(NULL, step => '-1 hour');
SELECT citadel.index_history(NULL, 'infinity', 'infinity');
SELECT count(*) FROM citadel.table_history('pg_class');
SELECT count(*) FROM citadel.table_history(4294967295);
DROP ROLE relation_owner, relation_other;
