-- Jobs: what runs by itself or on request in this database, when it ran, and what became of it.

-- Which database the tables belong to. A row with another identity comes with a restored dump or with a copied
-- database. There is deliberately no unique key: a dump restored over a fresh installation brings its row beside ours.
CREATE TABLE citadel.database_identity (
    system_identifier bigint NOT NULL,
    database_oid oid NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT pg_catalog.now()
);
REVOKE ALL ON citadel.database_identity FROM PUBLIC;
GRANT SELECT ON citadel.database_identity TO pg_monitor;
COMMENT ON TABLE citadel.database_identity IS
'The database that recorded this configuration; a row of another database means that this is a restored or cloned one, in which destructive jobs wait for citadel.adopt_database()';
COMMENT ON COLUMN citadel.database_identity.system_identifier IS 'The server''s system identifier (pg_control_system())';
COMMENT ON COLUMN citadel.database_identity.database_oid IS 'OID of the database';
COMMENT ON COLUMN citadel.database_identity.recorded_at IS 'When the extension was created or the database adopted';
SELECT pg_catalog.pg_extension_config_dump('citadel.database_identity', '');

INSERT INTO citadel.database_identity (system_identifier, database_oid)
SELECT c.system_identifier, d.oid
FROM pg_catalog.pg_control_system() c, pg_catalog.pg_database d
WHERE d.datname = pg_catalog.current_database();

-- One row per job that somebody has settings for; a job without a row runs by its defaults.
CREATE TABLE citadel.job_setting (
    job_name text PRIMARY KEY,
    enabled boolean NOT NULL DEFAULT true,
    schedule interval CHECK (schedule >= interval '1 second'),
    max_runtime interval CHECK (max_runtime >= interval '1 second'),
    retry_delay interval NOT NULL DEFAULT interval '1 minute' CHECK (retry_delay >= interval '1 second'),
    changed_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
    changed_by text NOT NULL DEFAULT session_user
);
REVOKE ALL ON citadel.job_setting FROM PUBLIC;
GRANT SELECT ON citadel.job_setting TO pg_monitor;
COMMENT ON TABLE citadel.job_setting IS 'Settings of the jobs in this database; change them with citadel.alter_job()';
COMMENT ON COLUMN citadel.job_setting.job_name IS 'Name of the job, as in citadel.job';
COMMENT ON COLUMN citadel.job_setting.enabled IS 'Whether the job is started by schedule';
COMMENT ON COLUMN citadel.job_setting.schedule IS 'Time from start to start; NULL: the job''s default. A month counts as 30 days';
COMMENT ON COLUMN citadel.job_setting.max_runtime IS 'A run that takes longer is ended and counts as failed; NULL: no limit';
COMMENT ON COLUMN citadel.job_setting.retry_delay IS 'Wait after the first failure; doubles with each further one, up to the schedule or one hour, whichever is longer';
COMMENT ON COLUMN citadel.job_setting.changed_at IS 'When the row was last changed';
COMMENT ON COLUMN citadel.job_setting.changed_by IS 'Session user who changed it';
SELECT pg_catalog.pg_extension_config_dump('citadel.job_setting', '');

-- A restored dump inserts its rows into a database where CREATE EXTENSION has just inserted the same jobs: an insert
-- of a job that is there replaces its row instead of failing.
CREATE FUNCTION citadel.job_setting_merge()
RETURNS trigger
AS 'MODULE_PATHNAME', 'citadel_job_setting_merge'
LANGUAGE C SET search_path = pg_catalog, pg_temp;
REVOKE ALL ON FUNCTION citadel.job_setting_merge() FROM PUBLIC;
COMMENT ON FUNCTION citadel.job_setting_merge() IS
'Internal: makes an insert into citadel.job_setting replace the row of the same job';
CREATE TRIGGER job_setting_merge BEFORE INSERT ON citadel.job_setting
FOR EACH ROW EXECUTE FUNCTION citadel.job_setting_merge();

-- Every run, also those that wait. Not part of a dump: it tells about this database's workers.
CREATE TABLE citadel.job_run_log (
    run_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    job_name text NOT NULL,
    requested_by text,
    state text NOT NULL DEFAULT 'queued'
        CHECK (state IN ('queued', 'running', 'succeeded', 'failed', 'cancelled')),
    queued_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
    started_at timestamptz,
    finished_at timestamptz,
    pid integer,
    sqlstate text,
    message text,
    detail text,
    hint text,
    context text
);
CREATE INDEX job_run_log_job ON citadel.job_run_log (job_name, run_id DESC);
CREATE INDEX job_run_log_open ON citadel.job_run_log (run_id) WHERE state IN ('queued', 'running');
REVOKE ALL ON citadel.job_run_log FROM PUBLIC;
COMMENT ON TABLE citadel.job_run_log IS
'Runs of the jobs of this database: the last 1000 of each job, no older than citadel_opt.history_retention. Detail and context of errors may hold data, so only superusers read the table; others read citadel.job_run';
COMMENT ON COLUMN citadel.job_run_log.run_id IS 'Number of the run';
COMMENT ON COLUMN citadel.job_run_log.job_name IS 'Name of the job';
COMMENT ON COLUMN citadel.job_run_log.requested_by IS 'Session user who called citadel.run_job(); NULL: started by schedule';
COMMENT ON COLUMN citadel.job_run_log.state IS 'queued, running, succeeded, failed or cancelled';
COMMENT ON COLUMN citadel.job_run_log.queued_at IS 'When the run was asked for';
COMMENT ON COLUMN citadel.job_run_log.started_at IS 'When its worker started it; committed before the work begins';
COMMENT ON COLUMN citadel.job_run_log.finished_at IS 'When it ended, or was found to have vanished';
COMMENT ON COLUMN citadel.job_run_log.pid IS 'Process id of its worker';
COMMENT ON COLUMN citadel.job_run_log.sqlstate IS 'SQLSTATE of the error; 57P02 when the worker vanished';
COMMENT ON COLUMN citadel.job_run_log.message IS 'Message of the error';
COMMENT ON COLUMN citadel.job_run_log.detail IS 'Detail of the error';
COMMENT ON COLUMN citadel.job_run_log.hint IS 'Hint of the error';
COMMENT ON COLUMN citadel.job_run_log.context IS 'Context of the error';

CREATE TYPE citadel.job_definition AS (
    job_name text,
    description text,
    default_schedule interval,
    destructive boolean
);
COMMENT ON TYPE citadel.job_definition IS 'Row type of citadel.job_definitions()';

CREATE FUNCTION citadel.job_definitions()
RETURNS SETOF citadel.job_definition
AS 'MODULE_PATHNAME', 'citadel_job_definitions'
LANGUAGE C STABLE PARALLEL RESTRICTED ROWS 5 SET search_path = pg_catalog, pg_temp;
REVOKE ALL ON FUNCTION citadel.job_definitions() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION citadel.job_definitions() TO pg_monitor;
COMMENT ON FUNCTION citadel.job_definitions() IS
'The jobs that this version of citadel_opt knows; default_schedule NULL: never by schedule';

CREATE FUNCTION citadel.next_job_run(job_name text, schedule interval, retry_delay interval, destructive boolean,
    known_since timestamptz, last_start timestamptz, last_finish timestamptz, failures_in_a_row integer)
RETURNS timestamptz
AS 'MODULE_PATHNAME', 'citadel_next_job_run'
LANGUAGE C STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp;
REVOKE ALL ON FUNCTION citadel.next_job_run(text, interval, interval, boolean, timestamptz, timestamptz, timestamptz, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION citadel.next_job_run(text, interval, interval, boolean, timestamptz, timestamptz, timestamptz, integer) TO pg_monitor;
COMMENT ON FUNCTION citadel.next_job_run(text, interval, interval, boolean, timestamptz, timestamptz, timestamptz, integer) IS
'Internal: when a job with this history is due; the scheduler and citadel.job use the same arithmetic. NULL schedule: never';

CREATE FUNCTION citadel.database_is_copy()
RETURNS boolean
LANGUAGE SQL STABLE PARALLEL SAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
    SELECT EXISTS (
        SELECT FROM citadel.database_identity i
        WHERE i.system_identifier <> (SELECT c.system_identifier FROM pg_control_system() c)
           OR i.database_oid <> (SELECT d.oid FROM pg_database d WHERE d.datname = current_database()))
$$;
REVOKE ALL ON FUNCTION citadel.database_is_copy() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION citadel.database_is_copy() TO pg_monitor;
COMMENT ON FUNCTION citadel.database_is_copy() IS
'Whether this database was restored from a dump or cloned from another one and not adopted yet; destructive jobs do not start then. pg_upgrade makes a copy, too: the new server has another system identifier';

CREATE VIEW citadel.job AS
SELECT d.job_name,
       d.description,
       coalesce(s.enabled, true) AS enabled,
       coalesce(s.schedule, d.default_schedule) AS schedule,
       s.max_runtime,
       coalesce(s.retry_delay, interval '1 minute') AS retry_delay,
       d.destructive,
       d.destructive AND citadel.database_is_copy() AS suspended,
       last.run_id AS last_run_id,
       last.state AS last_state,
       last.started_at AS last_start,
       last.finished_at AS last_finish,
       good.finished_at AS last_success,
       failed.runs AS failures_in_a_row,
       citadel.next_job_run(d.job_name, coalesce(s.schedule, d.default_schedule),
                            coalesce(s.retry_delay, interval '1 minute'), d.destructive,
                            greatest(known.since, s.changed_at),
                            last.started_at, last.finished_at, failed.runs) AS next_run
FROM citadel.job_definitions() d
LEFT JOIN citadel.job_setting s ON s.job_name OPERATOR(pg_catalog.=) d.job_name
CROSS JOIN (SELECT pg_catalog.max(i.recorded_at) AS since FROM citadel.database_identity i) known
LEFT JOIN LATERAL (
    SELECT r.run_id, r.state, coalesce(r.started_at, r.queued_at) AS started_at, r.finished_at
    FROM citadel.job_run_log r
    WHERE r.job_name OPERATOR(pg_catalog.=) d.job_name
    ORDER BY r.run_id DESC LIMIT 1) last ON true
LEFT JOIN LATERAL (
    SELECT r.run_id, r.finished_at
    FROM citadel.job_run_log r
    WHERE r.job_name OPERATOR(pg_catalog.=) d.job_name AND r.state OPERATOR(pg_catalog.=) 'succeeded'
    ORDER BY r.run_id DESC LIMIT 1) good ON true
CROSS JOIN LATERAL (
    SELECT pg_catalog.count(*)::integer AS runs
    FROM (SELECT FROM citadel.job_run_log r
          WHERE r.job_name OPERATOR(pg_catalog.=) d.job_name
            AND r.run_id OPERATOR(pg_catalog.>) coalesce(good.run_id, 0)
            AND r.state IN ('failed', 'cancelled')
          LIMIT 64) unsuccessful) failed;
REVOKE ALL ON citadel.job FROM PUBLIC;
GRANT SELECT ON citadel.job TO pg_monitor;
COMMENT ON VIEW citadel.job IS 'The jobs of this database: settings, last run, next run';
COMMENT ON COLUMN citadel.job.job_name IS 'Name of the job';
COMMENT ON COLUMN citadel.job.description IS 'What it does';
COMMENT ON COLUMN citadel.job.enabled IS 'Whether it is started by schedule';
COMMENT ON COLUMN citadel.job.schedule IS 'Time from start to start; NULL: only on request';
COMMENT ON COLUMN citadel.job.max_runtime IS 'Longest run allowed; NULL: no limit';
COMMENT ON COLUMN citadel.job.retry_delay IS 'Wait after the first failure; doubles with each further one';
COMMENT ON COLUMN citadel.job.destructive IS 'Whether it removes data';
COMMENT ON COLUMN citadel.job.suspended IS 'A destructive job in a restored or cloned database waits for citadel.adopt_database()';
COMMENT ON COLUMN citadel.job.last_run_id IS 'The latest run';
COMMENT ON COLUMN citadel.job.last_state IS 'State of the latest run';
COMMENT ON COLUMN citadel.job.last_start IS 'Start of the latest run';
COMMENT ON COLUMN citadel.job.last_finish IS 'End of the latest run';
COMMENT ON COLUMN citadel.job.last_success IS 'End of the latest run that succeeded';
COMMENT ON COLUMN citadel.job.failures_in_a_row IS 'Runs that failed or were cancelled since the last success; counted up to 64';
COMMENT ON COLUMN citadel.job.next_run IS 'When it is due, if enabled and not suspended; a time in the past: as soon as a worker is free';

CREATE VIEW citadel.job_run AS
SELECT run_id, job_name, requested_by, state, queued_at, started_at, finished_at,
       pg_catalog.round((pg_catalog.date_part('epoch', finished_at OPERATOR(pg_catalog.-) started_at)
           OPERATOR(pg_catalog.*) 1000)::numeric, 3)::float8 AS duration_ms,
       pid, sqlstate, message, hint
FROM citadel.job_run_log;
REVOKE ALL ON citadel.job_run FROM PUBLIC;
GRANT SELECT ON citadel.job_run TO pg_monitor;
COMMENT ON VIEW citadel.job_run IS 'Runs of the jobs of this database; detail and context of errors are in citadel.job_run_log, for superusers';
COMMENT ON COLUMN citadel.job_run.duration_ms IS 'Milliseconds from start to end';

CREATE FUNCTION citadel.alter_job(job_name text, enabled boolean DEFAULT NULL, schedule interval DEFAULT NULL,
    max_runtime interval DEFAULT NULL, retry_delay interval DEFAULT NULL)
RETURNS void
AS 'MODULE_PATHNAME', 'citadel_alter_job'
LANGUAGE C VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp;
REVOKE ALL ON FUNCTION citadel.alter_job(text, boolean, interval, interval, interval) FROM PUBLIC;
COMMENT ON FUNCTION citadel.alter_job(text, boolean, interval, interval, interval) IS
'Changes settings of a job; NULL leaves one as it is. schedule interval ''0'' returns to the default schedule, max_runtime interval ''0'' means no limit, retry_delay interval ''0'' the default of a minute. For superusers and those granted EXECUTE';

CREATE FUNCTION citadel.run_job(job_name text)
RETURNS bigint
AS 'MODULE_PATHNAME', 'citadel_run_job'
LANGUAGE C VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp;
REVOKE ALL ON FUNCTION citadel.run_job(text) FROM PUBLIC;
COMMENT ON FUNCTION citadel.run_job(text) IS
'Queues a run of the job, which starts when this transaction has committed and a worker is free; returns its run_id for citadel.wait_for_job() and citadel.job_run. For superusers and those granted EXECUTE';

-- No SET clause: the procedure commits, and pins search_path inside.
CREATE PROCEDURE citadel.wait_for_job(run_id bigint, timeout interval DEFAULT interval '5 minutes')
AS 'MODULE_PATHNAME', 'citadel_wait_for_job'
LANGUAGE C;
REVOKE ALL ON PROCEDURE citadel.wait_for_job(bigint, interval) FROM PUBLIC;
COMMENT ON PROCEDURE citadel.wait_for_job(bigint, interval) IS
'Commits, then waits until the run has ended, holding no snapshot; raises the job''s own error if it failed. Refuses to run inside a transaction block. For superusers and those granted EXECUTE';

CREATE FUNCTION citadel.adopt_database()
RETURNS boolean
AS 'MODULE_PATHNAME', 'citadel_adopt_database'
LANGUAGE C VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp;
REVOKE ALL ON FUNCTION citadel.adopt_database() FROM PUBLIC;
COMMENT ON FUNCTION citadel.adopt_database() IS
'Says that this restored or cloned database is now one of its own, so that destructive jobs may start; true when it was not adopted before. For superusers and those granted EXECUTE';

CREATE TYPE citadel.worker_status AS (
    kind text,
    pid integer,
    database text,
    state text,
    job_name text,
    run_id bigint,
    started_at timestamptz,
    last_cycle_at timestamptz,
    cycles bigint,
    tick_runs bigint,
    tick_errors bigint,
    last_error text,
    last_error_at timestamptz
);
COMMENT ON TYPE citadel.worker_status IS 'Row type of citadel.worker_status()';

CREATE FUNCTION citadel.worker_status()
RETURNS SETOF citadel.worker_status
AS 'MODULE_PATHNAME', 'citadel_worker_status'
LANGUAGE C VOLATILE PARALLEL RESTRICTED ROWS 10 SET search_path = pg_catalog, pg_temp;
REVOKE ALL ON FUNCTION citadel.worker_status() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION citadel.worker_status() TO pg_monitor;
COMMENT ON FUNCTION citadel.worker_status() IS
'The background workers of citadel_opt in the whole cluster: kind (launcher, scheduler, job), pid, database, state (starting, idle, working, paused), the run of a job worker, and of a scheduler its cycles and the runs and errors of its periodic tasks. Empty when not preloaded';
