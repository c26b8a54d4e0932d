-- Lifecycle policies: bad input, plans, partitions ahead, expiry, undo, default rows, holds of privileges. Crashes, clones
-- and hostile owners: test/tap/6*.pl. Dates move with the clock, so what is printed is counted.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS citadel_opt CASCADE;
CREATE ROLE regress_owner;
CREATE ROLE regress_other;
CREATE SCHEMA lc AUTHORIZATION regress_owner;
SET ROLE regress_owner;

CREATE TABLE lc.ev (id bigint GENERATED ALWAYS AS IDENTITY, at timestamptz NOT NULL, v text) PARTITION BY RANGE (at);
CREATE TABLE lc.two (a timestamptz, b int) PARTITION BY RANGE (a, b);
CREATE TABLE lc.list (a timestamptz, b int) PARTITION BY LIST (b);
CREATE TABLE lc.hash (a timestamptz, b int) PARTITION BY HASH (b);
CREATE TABLE lc.expr (a timestamptz, b int) PARTITION BY RANGE ((b + 1));
CREATE TABLE lc.plain (at timestamptz, v text);
CREATE VIEW lc.view AS SELECT * FROM lc.plain;
CREATE TABLE lc.day (d date, v text) PARTITION BY RANGE (d);
CREATE TABLE lc.base (at timestamptz);
CREATE TABLE lc.heir () INHERITS (lc.base);

-- Bad input: each a clear error, and nothing is left behind.
\set VERBOSITY terse
SELECT citadel.create_lifecycle_policy(NULL, 'at');
SELECT citadel.create_lifecycle_policy('lc.ev', NULL);
SELECT citadel.create_lifecycle_policy('lc.nothing', 'at');
SELECT citadel.create_lifecycle_policy('lc.ev', 'nothing');
SELECT citadel.create_lifecycle_policy('lc.ev', 'v');
SELECT citadel.create_lifecycle_policy('lc.ev', 'id');
SELECT citadel.create_lifecycle_policy('lc.two', 'a');
SELECT citadel.create_lifecycle_policy('lc.list', 'a');
SELECT citadel.create_lifecycle_policy('lc.hash', 'a');
SELECT citadel.create_lifecycle_policy('lc.expr', 'a');
SELECT citadel.create_lifecycle_policy('lc.view', 'at');
SELECT citadel.create_lifecycle_policy('lc.base', 'at', plain_table => 'keep');
SELECT citadel.create_lifecycle_policy('lc.heir', 'at', plain_table => 'keep');
SELECT citadel.create_lifecycle_policy('lc.plain', 'at');
SELECT citadel.create_lifecycle_policy('lc.plain', 'at', plain_table => 'burn');
SELECT citadel.create_lifecycle_policy('lc.plain', 'at', plain_table => 'keep', on_expiry => 'detach', retain => '1 year');
SELECT citadel.create_lifecycle_policy('lc.ev', 'at', plain_table => 'keep');
SELECT citadel.create_lifecycle_policy('lc.ev', 'at', partition_interval => 'soon');
SELECT citadel.create_lifecycle_policy('lc.ev', 'at', partition_interval => '-1 month');
SELECT citadel.create_lifecycle_policy('lc.ev', 'at', partition_interval => '1 month 3 days');
SELECT citadel.create_lifecycle_policy('lc.ev', 'at', partition_interval => '7 hours');
SELECT citadel.create_lifecycle_policy('lc.ev', 'at', partition_interval => '1000 years');
SELECT citadel.create_lifecycle_policy('lc.day', 'd', partition_interval => '6 hours');
SELECT citadel.create_lifecycle_policy('lc.ev', 'at', premake => -1);
SELECT citadel.create_lifecycle_policy('lc.ev', 'at', premake => 5000);
SELECT citadel.create_lifecycle_policy('lc.ev', 'at', retain => '3 days');
SELECT citadel.create_lifecycle_policy('lc.ev', 'at', retain => 'never');
SELECT citadel.create_lifecycle_policy('lc.ev', 'at', on_expiry => 'burn');
SELECT citadel.create_lifecycle_policy('lc.ev', 'at', quarantine => '-1 day');
SELECT citadel.create_lifecycle_policy('lc.ev', 'at', quarantine => '10000000 years');
SELECT citadel.create_lifecycle_policy('lc.ev', 'at', time_zone => 'Mars/Olympus');
SELECT citadel.create_lifecycle_policy('lc.ev', 'at', allowed_hours => 'at night');
SELECT citadel.create_lifecycle_policy('lc.ev', 'at', archive_to => 'moon:base');
SELECT citadel.create_lifecycle_policy('lc.ev', 'at', archive_to => 'server:nowhere');
SELECT citadel.create_lifecycle_policy('lc.ev', 'at', archive_to => 'file:/tmp/x');
SELECT citadel.create_lifecycle_policy('pg_catalog.pg_class', 'relname');
SELECT citadel.alter_lifecycle_policy(4711);
SELECT citadel.drop_lifecycle_policy(4711);
SELECT citadel.suspend_lifecycle_policy(NULL);
SELECT citadel.resume_lifecycle_policy(4711);
SELECT * FROM citadel.preview_lifecycle('lc.ev');
CALL citadel.run_lifecycle('lc.ev');
CALL citadel.run_lifecycle();
CALL citadel.undo_expiry(4711);
BEGIN;
CALL citadel.run_lifecycle();
ROLLBACK;
SET ROLE regress_other;
SELECT citadel.create_lifecycle_policy('lc.ev', 'at');
SELECT count(*) FROM citadel.lifecycle_policy;
RESET ROLE;
SELECT citadel.create_lifecycle_policy('citadel.audit_entry', 'at', plain_table => 'keep');
\set VERBOSITY default
SELECT count(*) FROM citadel.lifecycle_policy;

-- Partitions ahead, in whatever way the table was partitioned before.
SET ROLE regress_owner;
CREATE TABLE lc.ev_old PARTITION OF lc.ev FOR VALUES FROM (MINVALUE) TO ('2020-01-01 00:00:00+00');
INSERT INTO lc.ev (at, v) SELECT '2019-01-01 00:00:00+00'::timestamptz + i * interval '1 hour', 'x' || i FROM generate_series(1, 1000) AS i;
GRANT SELECT ON lc.ev TO regress_other;
ALTER TABLE lc.ev REPLICA IDENTITY FULL;
CREATE INDEX ON lc.ev (at);
SELECT citadel.create_lifecycle_policy('lc.ev', 'at', premake => 3) AS ev \gset
\set VERBOSITY sqlstate
SELECT citadel.create_lifecycle_policy('lc.ev', 'at');
\set VERBOSITY default
SELECT citadel.create_lifecycle_policy('lc.ev_old', 'at');
SELECT action, count(*), bool_and(blocked IS NULL) AS free, bool_and(relation = 'lc.ev'::regclass) AS same
FROM citadel.preview_lifecycle('lc.ev') GROUP BY action;
CALL citadel.run_lifecycle('lc.ev');
SELECT count(*) FROM citadel.preview_lifecycle();
SELECT count(*) AS made, bool_and(pg_get_userbyid(c.relowner) = 'regress_owner') AS owner,
       bool_and(has_table_privilege('regress_other', c.oid, 'SELECT')) AS privileges, bool_and(c.relreplident = 'f') AS identity,
       bool_and(EXISTS (SELECT FROM pg_index x WHERE x.indrelid = c.oid)) AS indexed
FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = 'lc.ev'::regclass AND c.relname <> 'ev_old';
SELECT status, partitions, partitions_ahead, days_left BETWEEN 80 AND 130 AS days, alarm, last_error FROM citadel.partition_runway;
INSERT INTO lc.ev (at, v) VALUES (now() + interval '2 months', 'ahead');
SELECT count(*) FROM lc.ev;

-- Days, weeks, quarters, years, hours and numbers; through pg_partman, whose retention stays empty.
CALL public.wait_for_the_next_hour();
CREATE TABLE lc.week (at timestamp NOT NULL) PARTITION BY RANGE (at);
CREATE TABLE lc.quarter (at timestamptz NOT NULL) PARTITION BY RANGE (at);
CREATE TABLE lc.year (at timestamptz NOT NULL) PARTITION BY RANGE (at);
CREATE TABLE lc.hour (at timestamptz NOT NULL) PARTITION BY RANGE (at);
CREATE TABLE lc.number (n int NOT NULL) PARTITION BY RANGE (n);
CREATE TABLE lc.odd (at timestamptz NOT NULL) PARTITION BY RANGE (at);
CREATE TABLE lc."Mixed ""Case" ("The Time" timestamptz NOT NULL) PARTITION BY RANGE ("The Time");
SELECT count(citadel.create_lifecycle_policy(r, c, i, premake => 4, time_zone => z)) FROM (VALUES
    ('lc.day'::regclass, 'd'::name, 'daily', 'UTC'), ('lc.week', 'at', '7 days', 'UTC'), ('lc.quarter', 'at', '3 months', 'Europe/Berlin'),
    ('lc.year', 'at', 'yearly', 'America/New_York'), ('lc.hour', 'at', '1 hour', 'UTC'), ('lc.number', 'n', '1000', 'UTC'),
    ('lc.odd', 'at', '10 days', 'Asia/Kathmandu'), ('lc."Mixed ""Case"', 'The Time', '1 month', 'Australia/Lord_Howe')) AS t (r, c, i, z);
CALL citadel.run_lifecycle();
RESET ROLE;
SELECT relation, status, partitions >= 5 AS made, partitions_ahead >= 4 AS ahead, covered_until IS NOT NULL AS covered, alarm, last_error
FROM citadel.partition_runway ORDER BY policy_id;
SELECT count(*) FROM citadel.preview_lifecycle();
SELECT count(*) > 5 AS registered, count(retention) AS retention FROM part_config WHERE parent_table LIKE 'lc.%';
-- No gap and no overlap, whatever the clocks do in that zone: the bounds are each other's.
SELECT b.inhparent::regclass AS relation, count(*) FILTER (WHERE b.starts <> b.previous_end) AS gaps
FROM (SELECT i.inhparent, split_part(pg_get_expr(c.relpartbound, c.oid), '''', 2)::timestamptz AS starts,
             lag(split_part(pg_get_expr(c.relpartbound, c.oid), '''', 4)::timestamptz) OVER (PARTITION BY i.inhparent
                 ORDER BY split_part(pg_get_expr(c.relpartbound, c.oid), '''', 2)::timestamptz) AS previous_end
      FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
      WHERE c.relnamespace = 'lc'::regnamespace AND c.relkind = 'r' AND i.inhparent NOT IN ('lc.ev'::regclass, 'lc.number'::regclass)) b
GROUP BY b.inhparent ORDER BY b.inhparent::regclass::text;
UPDATE part_config SET retention = '1 year' WHERE parent_table = 'lc.year';
CALL citadel.run_lifecycle('lc.year');
SELECT notes FROM citadel.partition_runway WHERE relation = 'lc.year';
UPDATE part_config SET retention = NULL WHERE parent_table = 'lc.year';
SET ROLE regress_owner;

-- Expiry by true bounds. A partition that began long ago and ends lately stays.
CREATE TABLE lc.wide PARTITION OF lc.ev FOR VALUES FROM ('2020-01-01 00:00:00+00') TO ('2026-01-01 00:00:00+00');
INSERT INTO lc.ev (at, v) VALUES ('2020-05-05', 'in the wide one');
SELECT citadel.alter_lifecycle_policy(:ev, retain => '100 years');
SELECT count(*) FROM citadel.preview_lifecycle('lc.ev');
SELECT citadel.alter_lifecycle_policy(:ev, retain => '48 months', on_expiry => 'archive', allowed_hours => '');
SELECT step_no, action, target, lock, reason ~ 'lies wholly before' AS by_cutoff, blocked FROM citadel.preview_lifecycle('lc.ev')
WHERE target = 'lc.ev_old';
-- What keeps it: switches, views, foreign keys, other owners.
SELECT citadel.alter_lifecycle_policy(:ev, detach_enabled => false);
SELECT DISTINCT blocked FROM citadel.preview_lifecycle('lc.ev') WHERE action = 'detach';
SELECT citadel.alter_lifecycle_policy(:ev, detach_enabled => true, on_expiry => 'drop');
CREATE VIEW lc.reader AS SELECT * FROM lc.ev_old;
SELECT DISTINCT blocked FROM citadel.preview_lifecycle('lc.ev') WHERE action = 'detach';
DROP VIEW lc.reader;
RESET ROLE;
ALTER TABLE lc.ev_old OWNER TO regress_other;
SELECT DISTINCT blocked FROM citadel.preview_lifecycle('lc.ev') WHERE action = 'detach';
ALTER TABLE lc.ev_old OWNER TO regress_owner;
SET ROLE regress_owner;
ALTER TABLE lc.ev ADD PRIMARY KEY (id, at);
CREATE TABLE lc.child (id bigint, at timestamptz, FOREIGN KEY (id, at) REFERENCES lc.ev);
SELECT DISTINCT blocked FROM citadel.preview_lifecycle('lc.ev') WHERE action = 'detach';
DROP TABLE lc.child;
ALTER TABLE lc.ev DROP CONSTRAINT ev_pkey;

-- Drop, with a quarantine; undone; dropped.
SELECT citadel.alter_lifecycle_policy(:ev, on_expiry => 'drop', quarantine => '1 hour');
CALL citadel.run_lifecycle('lc.ev');
SELECT kind, subject, state, lower_bound, upper_bound, not_before > now() AS waits FROM citadel.lifecycle_step ORDER BY operation_id;
SELECT count(*) AS live, (SELECT count(*) FROM lc.ev_old) AS detached FROM lc.ev;
INSERT INTO lc.ev_old (id, at) VALUES (1, '2019-01-01');
\set VERBOSITY sqlstate
SELECT citadel.drop_lifecycle_policy(:ev);
\set VERBOSITY default
SELECT operation_id AS op FROM citadel.lifecycle_step WHERE state = 'quarantined' \gset
CALL citadel.undo_expiry(:op);
SELECT state FROM citadel.lifecycle_step WHERE operation_id = :op;
SELECT count(*) FROM lc.ev;
INSERT INTO lc.ev (at, v) VALUES ('2019-02-02', 'writers are back');
INSERT INTO lc.ev_old (id, at) OVERRIDING SYSTEM VALUE VALUES (1, '2019-01-01');
\set VERBOSITY sqlstate
CALL citadel.undo_expiry(:op);
\set VERBOSITY default
SELECT DISTINCT blocked ~ 'undone' AS undone FROM citadel.preview_lifecycle('lc.ev') WHERE action = 'detach';
CALL citadel.run_lifecycle('lc.ev');
SELECT count(*) FROM lc.ev;
SELECT citadel.alter_lifecycle_policy(:ev, quarantine => '0');
CALL citadel.run_lifecycle('lc.ev');
SELECT kind, subject, state, archive_id FROM citadel.lifecycle_step WHERE subject = 'lc.ev_old' ORDER BY operation_id;
SELECT count(*) AS live, to_regclass('lc.ev_old') IS NULL AS dropped FROM lc.ev;

-- Detach alone; archive to a schema.
CREATE TABLE lc.ev_2018 PARTITION OF lc.ev FOR VALUES FROM ('2018-01-01 00:00:00+00') TO ('2019-01-01 00:00:00+00');
CREATE TABLE lc.ev_2017 PARTITION OF lc.ev FOR VALUES FROM ('2017-01-01 00:00:00+00') TO ('2018-01-01 00:00:00+00');
INSERT INTO lc.ev (at, v) SELECT '2017-01-01 00:00:00+00'::timestamptz + i * interval '1 day', 'y' FROM generate_series(0, 729) AS i;
SELECT citadel.alter_lifecycle_policy(:ev, on_expiry => 'detach');
CALL citadel.run_lifecycle('lc.ev');
SELECT kind, subject, state FROM citadel.lifecycle_step WHERE subject LIKE 'lc.ev\_201_' ORDER BY operation_id;
SELECT count(*) FROM lc.ev_2018;
INSERT INTO lc.ev_2018 (id, at) OVERRIDING SYSTEM VALUE VALUES (1, '2018-01-01');
DELETE FROM lc.ev_2018 WHERE id = 1;
ALTER TABLE lc.ev ATTACH PARTITION lc.ev_2018 FOR VALUES FROM ('2018-01-01 00:00:00+00') TO ('2019-01-01 00:00:00+00');
DROP TABLE lc.ev_2017;
SELECT citadel.alter_lifecycle_policy(:ev, on_expiry => 'archive');
CALL citadel.run_lifecycle('lc.ev');
RESET ROLE;
SELECT a.source_name, a.rows, a.state, a.verification, a.read_from FROM citadel.archive a ORDER BY archive_id;
SELECT count(*) FROM citadel_archive.ev_2018;
SELECT action, outcome, subject_name, row_count FROM citadel.audit_log WHERE policy_id = :ev AND action IN ('detach', 'archive', 'drop', 'undo') ORDER BY at;

-- Rows in the default partition find their way; the odd ones stay and are counted.
SET ROLE regress_owner;
CREATE TABLE lc.def (at timestamptz, v jsonb DEFAULT '{}', g int GENERATED ALWAYS AS (1) STORED) PARTITION BY RANGE (at);
CREATE TABLE lc.def_rest PARTITION OF lc.def DEFAULT;
INSERT INTO lc.def (at) SELECT '2023-01-15 00:00:00+00'::timestamptz + i * interval '1 day' FROM generate_series(0, 59) AS i;
INSERT INTO lc.def (at) VALUES (NULL), ('infinity'), ('-infinity'), (now());
SELECT citadel.create_lifecycle_policy('lc.def', 'at', premake => 2) AS def \gset
SELECT action, count(*) FROM citadel.preview_lifecycle('lc.def') GROUP BY action ORDER BY action;
CALL citadel.run_lifecycle('lc.def');
SELECT count(*) AS rows, count(*) FILTER (WHERE tableoid = 'lc.def_rest'::regclass) AS in_default,
       count(DISTINCT tableoid) AS partitions FROM lc.def;
SELECT partitions, partitions_ahead, default_rows, alarm FROM citadel.partition_runway WHERE policy_id = :def;
SELECT citadel.alter_lifecycle_policy(:def, default_partition => false);
SELECT action, blocked FROM citadel.preview_lifecycle('lc.def');
DELETE FROM lc.def WHERE at IS NULL OR NOT isfinite(at);
CALL citadel.run_lifecycle('lc.def');
SELECT to_regclass('lc.def_rest') IS NULL AS gone;
SELECT citadel.alter_lifecycle_policy(:def, default_partition => true);
CALL citadel.run_lifecycle('lc.def');
SELECT partdefid::regclass FROM pg_partitioned_table WHERE partrelid = 'lc.def'::regclass;
RESET ROLE;
SELECT action, outcome, subject_name, row_count FROM citadel.audit_log WHERE policy_id = :def AND action ~ 'default' AND row_count IS DISTINCT FROM 1 ORDER BY at;
SET ROLE regress_owner;

-- Numbers: by the highest value, and no further than the type.
INSERT INTO lc.number VALUES (3500);
SELECT citadel.alter_lifecycle_policy(policy_id, retain => '2000', on_expiry => 'drop', quarantine => '0')
FROM citadel.partition_runway WHERE relation = 'lc.number';
CALL citadel.run_lifecycle('lc.number');
SELECT string_agg(pg_get_expr(c.relpartbound, c.oid), ', ' ORDER BY c.oid) FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
WHERE i.inhparent = 'lc.number'::regclass;

-- One bad table does not stop the others; names are followed; what is gone is suspended.
RESET ROLE;
CREATE TABLE lc.bad (at timestamptz NOT NULL) PARTITION BY RANGE (at);
ALTER TABLE lc.bad OWNER TO regress_owner;
SELECT citadel.create_lifecycle_policy('lc.bad', 'at', premake => 1) AS bad \gset
ALTER TABLE lc.bad RENAME COLUMN at TO moved;
DROP TABLE lc.week;
ALTER TABLE lc.quarter RENAME TO quarters;
ALTER TABLE lc.quarters OWNER TO regress_other;
SELECT citadel.alter_lifecycle_policy(policy_id, premake => 6) FROM citadel.partition_runway WHERE relation = 'lc.quarters';
GRANT CREATE, USAGE ON SCHEMA lc TO regress_other;
\set VERBOSITY terse
CALL citadel.run_lifecycle();
\set VERBOSITY default
SELECT relation, status, partitions_ahead >= 6 AS ahead, last_error, alarm FROM citadel.partition_runway
WHERE relation IN ('lc.bad', 'lc.week', 'lc.quarters') ORDER BY relation;
SELECT count(*), bool_and(pg_get_userbyid(relowner) = 'regress_other') AS owner FROM pg_class WHERE relname ~ '^quarter' AND relkind = 'r' AND oid > 'lc.bad'::regclass;
SELECT parent_table FROM part_config WHERE parent_table ~ 'lc.(week|quarter)';
SELECT suspended_reason FROM citadel.lifecycle_policy WHERE relation_name = 'week';
SET ROLE regress_owner;
SELECT count(*) FROM citadel.partition_runway WHERE relation IN ('lc.quarters', 'lc.ev');
RESET ROLE;

-- Suspended: nothing happens. Resumed: it goes on.
SELECT citadel.suspend_lifecycle_policy(:ev, 'audit is coming');
SELECT action, blocked FROM citadel.preview_lifecycle('lc.ev');
SELECT alarm FROM citadel.partition_runway WHERE policy_id = :ev;
SELECT citadel.resume_lifecycle_policy(:ev);
SELECT count(*) FROM citadel.preview_lifecycle('lc.ev');
SELECT citadel.drop_lifecycle_policy(policy_id) FROM citadel.lifecycle_policy \g /dev/null
SELECT count(*) FROM citadel.partition_runway;
DROP SCHEMA lc CASCADE;
DELETE FROM part_config WHERE parent_table LIKE 'lc.%';
DROP SCHEMA citadel_archive CASCADE;
DROP OWNED BY regress_owner, regress_other;
DROP ROLE regress_owner, regress_other;
