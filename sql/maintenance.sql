-- The maintain job looks after tables: what it says, what it does, and what it leaves alone.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS citadel_opt CASCADE;
CREATE ROLE regress_keeper;
CREATE SCHEMA kept AUTHORIZATION regress_keeper;
SET ROLE regress_keeper;
-- A function in an index expression runs during ANALYZE; it notes as whom.
CREATE TABLE kept.seen (who text, path text);
CREATE FUNCTION kept.note() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO kept.seen VALUES (current_user, current_setting('search_path'));
END $$;
CREATE FUNCTION kept.spy(x int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    PERFORM kept.note();
    RETURN x;
END $$;
CREATE TABLE kept."odd ""name" (x int) WITH (autovacuum_enabled = off);
CREATE TABLE kept.small (x int) WITH (autovacuum_enabled = off);
CREATE TABLE kept.parted (x int, y text) PARTITION BY RANGE (x);
CREATE TABLE kept.parted_1 PARTITION OF kept.parted FOR VALUES FROM (0) TO (10000) WITH (autovacuum_enabled = off);
CREATE TABLE kept.doubled (x int);
-- It has the name of one of ours, and bounds that are no times.
CREATE TABLE kept.sample (x text) PARTITION BY RANGE (x);
CREATE TABLE kept.sample_1 PARTITION OF kept.sample FOR VALUES FROM ('a') TO ('m');
INSERT INTO kept."odd ""name" SELECT g FROM generate_series(1, 5000) g;
CREATE INDEX ON kept."odd ""name" (kept.spy(x));
INSERT INTO kept.small SELECT g FROM generate_series(1, 500) g;
INSERT INTO kept.parted SELECT g, 'y' FROM generate_series(1, 5000) g;
INSERT INTO kept.doubled VALUES (1), (1);
SELECT pg_stat_force_next_flush();
SELECT 1 AS flushed;
ANALYZE kept.parted_1;
-- An index whose build failed: nobody's that we know.
CREATE UNIQUE INDEX CONCURRENTLY theirs ON kept.doubled (x);
CREATE UNIQUE INDEX CONCURRENTLY citadel_key_1000000_1 ON kept.doubled (x);
TRUNCATE kept.seen;
RESET ROLE;
SELECT pg_stat_force_next_flush();

CREATE PROCEDURE maintain() LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('test.run', citadel.run_job('maintain')::text, false);
END $$;
CREATE VIEW action AS
    SELECT kind, relation_name, status, reason, statement, evidence, error FROM citadel.maintenance_action
    WHERE schema_name = 'kept' ORDER BY kind, relation_name, action_id;

-- Report: nothing is done.
CALL maintain();
SELECT set_config('test.run', current_setting('test.run'), false) <> '' AS queued \gset
SELECT format('CALL citadel.wait_for_job(%s, ''2 minutes'')', current_setting('test.run')) AS wait \gset
:wait;
\x on
SELECT * FROM action;
\x off
SELECT count(*) FROM kept.seen;
SELECT count(*) FROM pg_stat_user_tables WHERE schemaname = 'kept' AND relname LIKE 'odd%' AND last_analyze IS NOT NULL;

-- Outside the allowed hours act does nothing either.
ALTER SYSTEM SET citadel_opt.maintenance = 'act';
SELECT format('ALTER SYSTEM SET citadel_opt.maintenance_hours = %L', to_char(now() + interval '3 hours', 'HH24:MI') || '-' ||
    to_char(now() + interval '4 hours', 'HH24:MI')) AS hours \gset
:hours;
SELECT pg_reload_conf();
SELECT pg_sleep(0.5);
CALL maintain();
SELECT format('CALL citadel.wait_for_job(%s, ''2 minutes'')', current_setting('test.run')) AS wait \gset
:wait;
SELECT kind, relation_name, status FROM action;

-- Act. The index with our name is of no operation of ours, and stays.
ALTER SYSTEM RESET citadel_opt.maintenance_hours;
SELECT pg_reload_conf();
SELECT pg_sleep(0.5);
CALL maintain();
SELECT format('CALL citadel.wait_for_job(%s, ''2 minutes'')', current_setting('test.run')) AS wait \gset
:wait;
SELECT kind, relation_name, status, error FROM action;
SELECT DISTINCT who, path FROM kept.seen;
SELECT relname, last_analyze IS NOT NULL AS analyzed FROM pg_stat_user_tables WHERE schemaname = 'kept' AND relname LIKE 'odd%';
SELECT count(*) > 0 AS statistics_over_partitions FROM pg_statistic WHERE starelid = 'kept.parted'::regclass;

-- One that an operation of ours left goes; its operation has ended.
INSERT INTO citadel.lifecycle_operation (kind, subject_oid, subject_schema, subject_name, state, finished_at)
VALUES ('convert', 'kept.doubled'::regclass, 'kept', 'doubled', 'cancelled', now());
SELECT format('ALTER INDEX kept.citadel_key_1000000_1 RENAME TO citadel_key_%s_1', operation_id) AS rename
FROM citadel.lifecycle_operation WHERE subject_name = 'doubled' \gset
:rename;
CALL maintain();
SELECT format('CALL citadel.wait_for_job(%s, ''2 minutes'')', current_setting('test.run')) AS wait \gset
:wait;
SELECT kind, regexp_replace(relation_name, '_\d+_', '_N_') AS relation_name, status, error FROM action WHERE kind LIKE '%index';
SELECT relname FROM pg_class WHERE relnamespace = 'kept'::regnamespace AND relkind = 'i' AND relname ~ '^(theirs|citadel)';
SELECT action, outcome, actor FROM citadel.audit_log WHERE action = 'drop_invalid_index' ORDER BY at;

-- Off: what was found stays as it was.
ALTER SYSTEM SET citadel_opt.maintenance = 'off';
SELECT pg_reload_conf();
SELECT pg_sleep(0.5);
INSERT INTO kept."odd ""name" SELECT g FROM generate_series(1, 50000) g;
CALL maintain();
SELECT format('CALL citadel.wait_for_job(%s, ''2 minutes'')', current_setting('test.run')) AS wait \gset
:wait;
SELECT count(*) FROM action WHERE status = 'proposed';

-- A function that fails makes its own table fail, and no other.
ALTER SYSTEM SET citadel_opt.maintenance = 'act';
SELECT pg_reload_conf();
SELECT pg_sleep(0.5);
SET ROLE regress_keeper;
CREATE OR REPLACE FUNCTION kept.note() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    SET ROLE NONE;
END $$;
INSERT INTO kept.small SELECT g FROM generate_series(1, 5000) g;
RESET ROLE;
SELECT pg_stat_force_next_flush();
CALL maintain();
SELECT format('CALL citadel.wait_for_job(%s, ''2 minutes'')', current_setting('test.run')) AS wait \gset
:wait;
SELECT kind, relation_name, status, error FROM action WHERE kind = 'analyze' AND (status = 'failed' OR relation_name = 'small');
SELECT last_state FROM citadel.job WHERE job_name = 'maintain';

ALTER SYSTEM RESET citadel_opt.maintenance;
SELECT pg_reload_conf();
DELETE FROM citadel.lifecycle_operation WHERE subject_name = 'doubled';
DROP VIEW action;
DROP PROCEDURE maintain;
DROP SCHEMA kept CASCADE;
DROP ROLE regress_keeper;
