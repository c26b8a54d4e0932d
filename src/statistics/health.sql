-- health(): one look at whether citadel_opt does its work, and what it costs.

CREATE FUNCTION citadel.health_figures() RETURNS jsonb
    LANGUAGE sql VOLATILE
    SET search_path = pg_catalog, pg_temp
    SET jit = off
    AS $$
    -- Nothing of the library is asked when the SQL here is of another version.
    SELECT CASE WHEN v.problem IS NOT NULL THEN jsonb_build_object(
        'status', 'error',
        'reasons', jsonb_build_array(v.problem),
        'at', now(),
        'database', current_database(),
        'version', (SELECT e.extversion FROM pg_extension AS e WHERE e.extname = 'citadel_opt'),
        'library_version', citadel.library_version(),
        'server_version', current_setting('server_version'),
        'standby', pg_is_in_recovery(),
        'preloaded', citadel.preloaded())
    ELSE (
    WITH preload AS MATERIALIZED (
        SELECT citadel.preloaded() AS loaded, pg_is_in_recovery() AS standby, current_database() AS database
    ), setting AS MATERIALIZED (
        SELECT coalesce(current_setting('citadel_opt.enabled', true)::boolean, false) AS enabled,
            coalesce(current_setting('citadel_opt.capture', true)::boolean, false) AS capture,
            coalesce(current_setting('citadel_opt.max_job_workers', true)::integer, 0) AS job_workers
    ), extension AS MATERIALIZED (
        SELECT (SELECT e.extversion FROM pg_extension AS e WHERE e.extname = 'citadel_opt') AS version,
            (SELECT e.extversion FROM pg_extension AS e WHERE e.extname = 'pg_stat_statements') AS statements_version,
            (SELECT n.nspname FROM pg_extension AS e JOIN pg_namespace AS n ON n.oid = e.extnamespace
                WHERE e.extname = 'pg_stat_statements') AS statements_schema,
            current_setting('pg_stat_statements.max', true) IS NOT NULL AS statements_loaded
    ), capture AS MATERIALIZED (
        SELECT c.* FROM preload AS p CROSS JOIN LATERAL citadel.capture_counters() AS c WHERE p.loaded
    ), overhead AS MATERIALIZED (
        SELECT o.* FROM preload AS p CROSS JOIN LATERAL citadel.overhead() AS o WHERE p.loaded
    ), worker AS MATERIALIZED (
        SELECT w.* FROM preload AS p CROSS JOIN LATERAL citadel.worker_status() AS w WHERE p.loaded
    ), here AS MATERIALIZED (
        SELECT (SELECT count(*) FROM worker WHERE kind = 'launcher') AS launchers,
            (SELECT count(*) FROM worker AS w, preload AS p WHERE w.kind = 'scheduler' AND w.database = p.database) AS schedulers
    ), job AS MATERIALIZED (
        SELECT j.job_name, j.enabled, j.suspended, j.last_state, j.last_finish, j.last_success, j.failures_in_a_row, j.next_run,
            r.message, r.duration_ms
        FROM citadel.job AS j
        LEFT JOIN citadel.job_run AS r ON r.run_id = j.last_run_id
    ), partition AS MATERIALIZED (
        SELECT i.inhrelid AS oid, i.inhparent::regclass::text AS parent
        FROM pg_inherits AS i
        WHERE i.inhparent IN (to_regclass('citadel.sample'), to_regclass('citadel.statement_delta'),
            to_regclass('citadel.table_delta'), to_regclass('citadel.index_delta'), to_regclass('citadel.statement_minute'),
            to_regclass('citadel.statement_hour'), to_regclass('citadel.table_hour'), to_regclass('citadel.index_hour'))
    ), history AS MATERIALIZED (
        SELECT (SELECT max(s.ended_at) FROM citadel.sample AS s) AS newest_sample,
            (SELECT count(*) FROM partition) AS partitions,
            (SELECT coalesce(sum(citadel.relation_bytes(f.oid)), 0)
                FROM (SELECT oid FROM partition
                    UNION ALL SELECT i.indexrelid FROM partition AS p JOIN pg_index AS i ON i.indrelid = p.oid
                    UNION ALL SELECT c.reltoastrelid FROM partition AS p JOIN pg_class AS c ON c.oid = p.oid
                        WHERE c.reltoastrelid <> 0
                    UNION ALL SELECT x.oid FROM (VALUES (to_regclass('citadel.statement')), (to_regclass('citadel.plan')),
                        (to_regclass('citadel.parameter_set')), (to_regclass('citadel.statement_day')),
                        (to_regclass('citadel.table_day')), (to_regclass('citadel.index_day')),
                        (to_regclass('citadel.watched_relation'))) AS x (oid)
                    UNION ALL SELECT c.reltoastrelid FROM pg_class AS c
                        WHERE c.oid IN (to_regclass('citadel.statement'), to_regclass('citadel.plan'),
                            to_regclass('citadel.statement_day')) AND c.reltoastrelid <> 0) AS f) AS bytes,
            (SELECT jsonb_object_agg(s.source, jsonb_build_object('last_at', s.last_at, 'failure', s.failure))
                FROM citadel.snapshot_state AS s) AS sources
    ), advisor AS MATERIALIZED (
        SELECT a.* FROM citadel.advisor_run AS a ORDER BY a.run_id DESC LIMIT 1
    ), finding (level, reason) AS (
        SELECT 'error', 'citadel_opt is not in shared_preload_libraries: nothing is captured and no job runs'
        FROM preload WHERE NOT loaded
        UNION ALL
        SELECT 'warning', 'citadel_opt.enabled is off: nothing is captured and no job runs'
        FROM preload, setting WHERE loaded AND NOT enabled
        UNION ALL
        SELECT 'warning', 'citadel_opt.capture is off: slow statements are not captured'
        FROM preload, setting WHERE loaded AND enabled AND NOT capture
        UNION ALL
        SELECT 'warning', 'citadel_opt.max_job_workers is 0: no job can run'
        FROM preload, setting WHERE loaded AND enabled AND job_workers = 0
        UNION ALL
        SELECT 'error', 'the launcher does not run; after a crash it comes back within seconds, see the server log'
        FROM preload, here WHERE loaded AND NOT standby AND launchers = 0
        UNION ALL
        SELECT 'error', format('no scheduler runs in database %s: see citadel_opt.databases, max_worker_processes and the '
            'server log', p.database)
        FROM preload AS p, here, setting WHERE loaded AND enabled AND NOT standby AND launchers > 0 AND schedulers = 0
        UNION ALL
        SELECT 'warning', format('the scheduler had an error at %s: %s', w.last_error_at, w.last_error)
        FROM worker AS w, preload AS p
        WHERE w.kind = 'scheduler' AND w.database = p.database AND w.last_error_at > now() - interval '10 minutes'
        UNION ALL
        SELECT CASE WHEN j.failures_in_a_row >= 3 THEN 'error' ELSE 'warning' END,
            format('job %s failed %s times in a row: %s', j.job_name, j.failures_in_a_row, coalesce(j.message, j.last_state))
        FROM job AS j WHERE j.failures_in_a_row > 0
        UNION ALL
        SELECT 'warning', format('job %s waits: this database is a copy; see citadel.adopt_database()', j.job_name)
        FROM job AS j WHERE j.suspended
        UNION ALL
        SELECT 'warning', format('%s captured statements were lost because the buffer was full: raise '
            'citadel_opt.capture_buffer_size or lower citadel_opt.sample_interval', c.dropped_full)
        FROM capture AS c WHERE c.dropped_full > 0
        UNION ALL
        SELECT 'warning', format('capture took more than citadel_opt.max_overhead (%s %%) of the time of statements: since %s it '
            'leaves out %s', round((o.max_share * 100)::numeric, 2), o.since, array_to_string(o.left_out, '; '))
        FROM overhead AS o WHERE o.level > 0
        UNION ALL
        SELECT 'warning', format('history cannot read its source %s: %s', s.source, s.failure)
        FROM citadel.snapshot_state AS s WHERE s.failure IS NOT NULL
        UNION ALL
        SELECT 'warning', format('%s critical alerts are open, the first: %s of %s; see citadel.alert', count(*),
            (array_agg(a.rule ORDER BY a.alert_id))[1], (array_agg(a.subject ORDER BY a.alert_id))[1])
        FROM citadel.alert AS a WHERE a.state = 'open' AND a.severity = 'critical' HAVING count(*) > 0
        UNION ALL
        SELECT 'warning', format('alert rule %s is not judged: %s', r.rule, r.problem)
        FROM citadel.alert_rule_problem AS r
        UNION ALL
        SELECT 'warning', format('figure %s cannot be read since %s: %s', f.figure, f.failed_at, f.message)
        FROM citadel.figure_failure AS f
        UNION ALL
        SELECT 'error', 'pg_stat_statements is not in shared_preload_libraries: query texts and figures are missing'
        FROM extension WHERE NOT statements_loaded
        UNION ALL
        SELECT 'error', 'compute_query_id is off: statements cannot be told apart'
        WHERE current_setting('compute_query_id') = 'off'
    )
    SELECT jsonb_build_object(
        'status', coalesce((SELECT CASE WHEN bool_or(level = 'error') THEN 'error' ELSE 'warning' END FROM finding
            HAVING count(*) > 0), 'ok'),
        'reasons', coalesce((SELECT jsonb_agg(reason ORDER BY level, reason) FROM finding), '[]'),
        'at', now(),
        'database', p.database,
        'version', e.version,
        'library_version', citadel.library_version(),
        'server_version', current_setting('server_version'),
        'standby', p.standby,
        'preloaded', p.loaded,
        'enabled', CASE WHEN p.loaded THEN s.enabled END,
        'capture', CASE WHEN p.loaded THEN (
            SELECT jsonb_build_object('enabled', s.enabled AND s.capture,
                'slow_query_threshold', current_setting('citadel_opt.slow_query_threshold', true)) || to_jsonb(c)
            FROM capture AS c) END,
        'overhead', (SELECT to_jsonb(o) FROM overhead AS o),
        'workers', CASE WHEN p.loaded THEN jsonb_build_object(
            'launcher', (SELECT to_jsonb(w) - '{kind,database,job_name,run_id,tick_runs,tick_errors}'::text[]
                FROM worker AS w WHERE w.kind = 'launcher' LIMIT 1),
            'scheduler', (SELECT to_jsonb(w) - '{kind,job_name,run_id}'::text[]
                FROM worker AS w WHERE w.kind = 'scheduler' AND w.database = p.database LIMIT 1),
            'schedulers', (SELECT count(*) FROM worker WHERE kind = 'scheduler'),
            'job_workers', (SELECT count(*) FROM worker WHERE kind = 'job')) END,
        'jobs', (SELECT jsonb_object_agg(j.job_name, to_jsonb(j) - 'job_name') FROM job AS j),
        'history', jsonb_build_object('newest_sample', h.newest_sample, 'partitions', h.partitions, 'bytes', h.bytes,
            'retention', current_setting('citadel_opt.history_retention', true), 'sources', h.sources,
            'ddl_notes_missed', CASE WHEN p.loaded THEN citadel.ddl_notes_missed() END,
            'open_regressions', (SELECT count(*) FROM citadel.regression AS r WHERE r.state = 'open')),
        'advisor', (SELECT jsonb_build_object('last_run', a.finished_at, 'summary', a.summary,
            'open_recommendations', (SELECT count(*) FROM citadel.index_recommendation AS r WHERE r.status = 'open'))
            FROM (SELECT 1) AS one LEFT JOIN advisor AS a ON true),
        'maintenance', (SELECT jsonb_build_object('mode', current_setting('citadel_opt.maintenance', true),
            'proposed', count(*) FILTER (WHERE m.status = 'proposed'), 'advised', count(*) FILTER (WHERE m.status = 'advised'),
            'failed_last_day', count(*) FILTER (WHERE m.status = 'failed' AND m.finished_at > now() - interval '1 day'))
            FROM citadel.maintenance_action AS m),
        'alerts', (SELECT jsonb_build_object('enabled', current_setting('citadel_opt.alerts', true)::boolean,
            'open', count(*) FILTER (WHERE a.state = 'open'),
            'acknowledged', count(*) FILTER (WHERE a.state = 'acknowledged'),
            'critical', count(*) FILTER (WHERE a.severity = 'critical'),
            'rules', (SELECT count(*) FROM citadel.alert_rule AS r WHERE r.enabled))
            FROM citadel.alert AS a WHERE a.state <> 'resolved'),
        'pg_stat_statements', jsonb_build_object('loaded', e.statements_loaded, 'version', e.statements_version,
            'schema', e.statements_schema),
        'database_is_copy', citadel.database_is_copy(),
        'own_cost', jsonb_build_object(
            'overhead_share', (SELECT o.share FROM overhead AS o),
            'shared_memory_bytes', (SELECT c.buffer_size_bytes + c.delta_size_bytes FROM capture AS c),
            'dropped', (SELECT c.dropped_full + c.dropped_memory + c.dropped_busy + c.discarded + c.deltas_discarded
                FROM capture AS c),
            'counted_with_the_rest', (SELECT c.deltas_evicted FROM capture AS c),
            'history_bytes', h.bytes,
            'job_ms_last_day', (SELECT coalesce(sum(r.duration_ms), 0) FROM citadel.job_run AS r
                WHERE r.finished_at > now() - interval '1 day'))
    )
    FROM preload AS p, setting AS s, extension AS e, history AS h) END
    FROM (SELECT citadel.version_problem() AS problem) AS v
    $$;
COMMENT ON FUNCTION citadel.health_figures() IS
    'Internal: what citadel.health() says while the tables of the extension can be read';
REVOKE ALL ON FUNCTION citadel.health_figures() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION citadel.health_figures() TO pg_monitor;

-- What is wrong with the tables themselves must not silence the one who tells.
CREATE FUNCTION citadel.health() RETURNS jsonb
    AS 'MODULE_PATHNAME', 'citadel_health'
    LANGUAGE C VOLATILE
    SET search_path = pg_catalog, pg_temp
    SET jit = off;
COMMENT ON FUNCTION citadel.health() IS
    'Whether citadel_opt does its work: status (ok, warning, error) with reasons, capture, workers, jobs, history, advisor, '
    'and own cost. Bytes, _ms milliseconds. Without preload the parts in shared memory are null and a reason says so. '
    'When library and SQL are of different versions, or tables of the extension are damaged, it says that, and nothing else.';
REVOKE ALL ON FUNCTION citadel.health() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION citadel.health() TO pg_monitor;
