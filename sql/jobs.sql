-- Jobs: settings, requests, waiting, and what they refuse. What runs when is tested by test/tap/2*.pl.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS citadel_opt CASCADE;

-- The jobs there are, and their defaults.
SELECT count(*) > 0 AS some, bool_and(description <> '') AS described, bool_and(j.schedule >= interval '1 second') AS scheduled
FROM citadel.job j;
SELECT enabled, max_runtime, retry_delay, suspended, failures_in_a_row, next_run > now() - interval '1 day' AS has_next
FROM citadel.job WHERE job_name = 'maintain';
SELECT citadel.database_is_copy(), citadel.adopt_database();

-- Settings.
SELECT citadel.alter_job('maintain', enabled => false, schedule => '2 hours', max_runtime => '10 minutes', retry_delay => '5 seconds');
SELECT enabled, schedule, max_runtime, retry_delay FROM citadel.job WHERE job_name = 'maintain';
SELECT citadel.alter_job('maintain', schedule => '90 seconds');
SELECT enabled, schedule, max_runtime, retry_delay FROM citadel.job WHERE job_name = 'maintain';
SELECT citadel.alter_job('maintain', max_runtime => '0', retry_delay => '0');
SELECT enabled, schedule, max_runtime, retry_delay FROM citadel.job WHERE job_name = 'maintain';
SELECT citadel.alter_job('maintain', enabled => true, schedule => '0');
SELECT j.enabled, j.schedule = d.default_schedule AS default_schedule
FROM citadel.job j JOIN citadel.job_definitions() d USING (job_name) WHERE job_name = 'maintain';
-- An insert of a job that has a row, as a restored dump does it, replaces the row.
INSERT INTO citadel.job_setting (job_name, enabled, schedule) VALUES ('maintain', false, '4 hours');
SELECT job_name, enabled, schedule, max_runtime, retry_delay FROM citadel.job_setting WHERE job_name = 'maintain';
COPY citadel.job_setting (job_name, schedule, changed_by) FROM stdin;
maintain	5 hours	quote "and" \\ , (tab)
weird, "job" (x)	1 day	somebody
weird, "job" (x)	2 days	somebody
\.
SELECT job_name, enabled, schedule, changed_by FROM citadel.job_setting WHERE job_name IN ('maintain', 'weird, "job" (x)') ORDER BY 1;
DELETE FROM citadel.job_setting WHERE job_name LIKE 'weird%';
DELETE FROM citadel.job_setting WHERE job_name = 'maintain';
INSERT INTO citadel.job_setting (job_name) VALUES ('maintain');

-- Bad input: each a clear error, and the next call works.
\set VERBOSITY terse
SELECT citadel.alter_job(NULL);
SELECT citadel.alter_job('no such job');
SELECT citadel.alter_job('');
SELECT citadel.alter_job('Maintain');
SELECT citadel.alter_job(repeat('x', 10000)) \g /dev/null
SELECT citadel.alter_job('maintain', schedule => '0.5 seconds');
SELECT citadel.alter_job('maintain', schedule => '-1 day');
SELECT citadel.alter_job('maintain', max_runtime => '-1 second');
SELECT citadel.alter_job('maintain', retry_delay => '1 millisecond');
SELECT citadel.alter_job('maintain', schedule => '178000000 years');
SELECT citadel.run_job(NULL);
SELECT citadel.run_job('no such job');
CALL citadel.wait_for_job(NULL);
CALL citadel.wait_for_job(1, NULL);
CALL citadel.wait_for_job(1, '-1 second');
CALL citadel.wait_for_job(-1);
CALL citadel.wait_for_job(9223372036854775807);
SELECT citadel.job_setting_merge();
INSERT INTO citadel.job_setting (job_name) VALUES (NULL);
INSERT INTO citadel.job_setting (job_name, schedule) VALUES ('maintain', '0');
INSERT INTO citadel.job_run_log (job_name, state) VALUES ('maintain', 'lost');
\set VERBOSITY default
BEGIN;
CALL citadel.wait_for_job(1);
ROLLBACK;
CREATE PROCEDURE pg_temp.wait() LANGUAGE plpgsql AS $$ BEGIN PERFORM 1; CALL citadel.wait_for_job(-2); EXCEPTION WHEN others THEN RAISE; END $$;
\set VERBOSITY terse
CALL pg_temp.wait();
SELECT enabled, max_runtime, retry_delay FROM citadel.job WHERE job_name = 'maintain';

-- The arithmetic of the scheduler, as SQL.
SELECT citadel.next_job_run('x', NULL, '1 min', false, now(), NULL, NULL, 0) IS NULL AS never;
SELECT citadel.next_job_run('x', '1 hour', '1 min', false, now(), now(), now(), 0) = now() + interval '1 hour' AS from_start_to_start;
SELECT citadel.next_job_run('x', '1 hour', '1 min', true, now(), NULL, NULL, 0) >= now() + interval '1 hour' AS destructive_waits;
SELECT citadel.next_job_run('x', '1 hour', '1 min', false, now(), NULL, NULL, 0) < now() + interval '6 min' AS others_settle;
SELECT citadel.next_job_run('x', '1 hour', '1 min', false, now(), now(), now(), 3)
       BETWEEN now() + interval '216 s' AND now() + interval '240 s' AS backs_off;
SELECT citadel.next_job_run('x', '1 hour', '1 min', false, now(), now() + interval '1 year', NULL, 0) <= clock_timestamp() AS clock_went_back;
SELECT citadel.next_job_run('x', '178000000 years', '1 min', false, now(), now(), now(), 0) AS far_away;

-- A run, from the request to the record.
SELECT citadel.run_job('maintain') AS run_id \gset
CALL citadel.wait_for_job(:run_id, '1 minute');
SELECT job_name, requested_by = session_user AS mine, state, pid IS NOT NULL AS has_pid, duration_ms >= 0 AS took_time, sqlstate, message
FROM citadel.job_run WHERE run_id = :run_id;
SELECT last_state, last_run_id = :run_id AS last, failures_in_a_row FROM citadel.job WHERE job_name = 'maintain';
-- Requests are as transactional as anything else.
BEGIN;
SAVEPOINT s;
SELECT citadel.run_job('maintain') IS NOT NULL AS asked;
ROLLBACK TO s;
COMMIT;
SELECT count(*) AS later_runs FROM citadel.job_run WHERE run_id > :run_id AND requested_by IS NOT NULL;

-- Workers.
SELECT kind, database = current_database() AS here, state IN ('idle', 'working') AS alive, pid IS NOT NULL AS has_pid
FROM citadel.worker_status() WHERE kind = 'launcher' OR database = current_database() AND kind = 'scheduler' ORDER BY 1;

-- Nothing of this for everybody.
SELECT p.oid::regprocedure::text AS public_function
FROM pg_proc p, aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a
WHERE a.grantee = 0 AND p.pronamespace = 'citadel'::regnamespace
  AND p.proname IN ('alter_job', 'run_job', 'wait_for_job', 'adopt_database', 'worker_status', 'job_definitions', 'next_job_run', 'database_is_copy', 'job_setting_merge');
SELECT c.relname AS public_relation
FROM pg_class c, aclexplode(c.relacl) a
WHERE a.grantee = 0 AND c.relnamespace = 'citadel'::regnamespace AND c.relname LIKE 'job%';
