-- The SQL surface that scripts rely on: names, arguments with defaults, result columns.
\set QUIET on
\pset format unaligned
\pset tuples_only on
SET client_min_messages = warning;
BEGIN;
CREATE EXTENSION IF NOT EXISTS citadel_opt CASCADE;
SELECT plan(73);

-- Arguments: these first, under these names, with these defaults; more may follow at the end.
CREATE FUNCTION pg_temp.arguments_start_with(function_name text, arguments text) RETURNS SETOF text LANGUAGE sql AS $$
    SELECT is((SELECT count(*) FROM pg_proc WHERE pronamespace = 'citadel'::regnamespace AND proname = function_name), 1::bigint,
        function_name || '() exists once')
    UNION ALL
    SELECT ok(coalesce((SELECT starts_with(pg_get_function_arguments(oid), arguments) FROM pg_proc
        WHERE pronamespace = 'citadel'::regnamespace AND proname = function_name), false),
        format('%s(%s ...)', function_name, arguments))
$$;
SELECT pg_temp.arguments_start_with(f, a) FROM (VALUES
    ('get_table_statistics', 'relation regclass DEFAULT NULL::regclass'),
    ('get_index_statistics', 'relation regclass DEFAULT NULL::regclass'),
    ('analyze_slow_queries', 'since interval DEFAULT ''1 day''::interval, min_mean_ms double precision DEFAULT NULL::double precision, max_rows integer DEFAULT 20'),
    ('query_history', 'query_id bigint, from_time timestamp with time zone DEFAULT NULL::timestamp with time zone, to_time timestamp with time zone DEFAULT NULL::timestamp with time zone, step interval DEFAULT NULL::interval'),
    ('plan_history', 'query_id bigint'),
    ('recommend_indexes', 'workload text[] DEFAULT NULL::text[], storage_budget_bytes bigint DEFAULT NULL::bigint, max_key_columns integer DEFAULT 3, weights double precision[] DEFAULT NULL::double precision[], index_kinds text[] DEFAULT NULL::text[], max_indexes integer DEFAULT NULL::integer, time_limit_ms integer DEFAULT NULL::integer, consider_drops boolean DEFAULT NULL::boolean'),
    ('what_if', 'query text, indexes text[], parameters text[] DEFAULT NULL::text[]'),
    ('create_lifecycle_policy', 'relation regclass, time_column name, partition_interval text DEFAULT ''1 month''::text, premake integer DEFAULT 12, retain text DEFAULT NULL::text, on_expiry text DEFAULT ''archive''::text, archive_to text DEFAULT ''schema''::text, quarantine interval DEFAULT ''7 days''::interval'),
    ('alter_lifecycle_policy', 'policy_id bigint'),
    ('drop_lifecycle_policy', 'policy_id bigint'),
    ('suspend_lifecycle_policy', 'policy_id bigint'),
    ('resume_lifecycle_policy', 'policy_id bigint'),
    ('preview_lifecycle', 'relation regclass DEFAULT NULL::regclass'),
    ('run_lifecycle', 'IN relation regclass DEFAULT NULL::regclass'),
    ('undo_expiry', 'IN operation_id bigint'),
    ('health', ''),
    ('alter_job', 'job_name text'),
    ('run_job', 'job_name text'),
    ('wait_for_job', 'IN run_id bigint, IN timeout interval DEFAULT ''00:05:00''::interval'),
    ('acknowledge_alert', 'alert_id bigint, note text DEFAULT NULL::text'),
    ('metrics', ''),
    ('adopt_database', '')
) AS v (f, a);
SELECT function_returns('citadel', 'health', '{}'::name[], 'jsonb');
SELECT function_returns('citadel', 'run_job', '{text}'::name[], 'bigint');

-- Result columns, in this order; more may follow at the end.
CREATE FUNCTION pg_temp.columns_start_with(function_name text, columns text) RETURNS text LANGUAGE sql AS $$
    SELECT ok(coalesce(starts_with((SELECT string_agg(a.attname || ' ' || format_type(a.atttypid, a.atttypmod), ', ' ORDER BY a.attnum)
        FROM pg_proc AS p JOIN pg_type AS t ON t.oid = p.prorettype
        JOIN pg_attribute AS a ON a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped
        WHERE p.pronamespace = 'citadel'::regnamespace AND p.proname = function_name AND t.typnamespace = 'citadel'::regnamespace)
        , columns), false), function_name || ' returns the stated columns as a named type')
$$;
SELECT pg_temp.columns_start_with('get_table_statistics', 'relation regclass, kind text, partitions integer, row_estimate bigint, '
    'total_bytes bigint, table_bytes bigint, index_bytes bigint, toast_bytes bigint, dead_rows bigint, dead_ratio double precision, '
    'bloat_bytes bigint, seq_scans bigint, index_scans bigint, index_scan_ratio double precision, rows_inserted bigint, '
    'rows_updated bigint, rows_deleted bigint, hot_update_ratio double precision, cache_hit_ratio double precision, '
    'last_vacuum timestamp with time zone, last_analyze timestamp with time zone, rows_modified_since_analyze bigint, '
    'xid_age integer, advice text[]');
SELECT pg_temp.columns_start_with('get_index_statistics', 'index regclass, relation regclass, definition text, size_bytes bigint, '
    'scans bigint, last_used timestamp with time zone, is_unique boolean, is_valid boolean, duplicate_of regclass, '
    'redundant_to regclass, advice text[]');
SELECT pg_temp.columns_start_with('analyze_slow_queries', 'query_id bigint, query text, calls bigint, total_ms double precision, '
    'mean_ms double precision, p95_ms double precision, max_ms double precision, load_share double precision, '
    'rows_per_call double precision, cache_hit_ratio double precision, temp_bytes bigint, first_seen timestamp with time zone, '
    'last_seen timestamp with time zone, causes text[], recommendations bigint[]');
SELECT pg_temp.columns_start_with('recommend_indexes', 'relation regclass, definition text, access_method text, size_bytes bigint, '
    'cost_before double precision, cost_after double precision, improvement double precision, write_cost double precision, '
    'queries_helped integer, reason text');
SELECT pg_temp.columns_start_with('what_if', 'cost_before double precision, cost_after double precision, indexes_used text[], '
    'plan_before json, plan_after json');

SELECT pg_temp.columns_start_with('preview_lifecycle', 'step_no integer, action text, target text, rows bigint, bytes bigint, lock text, '
    'reason text');
SELECT has_view('citadel', v, v) FROM unnest(ARRAY['query_performance', 'table_performance', 'index_usage', 'advisor_run', 'advisor_progress', 'job',
    'job_run', 'lifecycle_step', 'partition_runway']) AS v;
SELECT has_table('citadel', 'index_recommendation'::name);
SELECT is(count(*), 1::bigint, 'query_performance can be read') FROM (SELECT count(*) FROM citadel.query_performance) AS v;
SELECT is(count(*), 1::bigint, 'table_performance can be read') FROM (SELECT count(*) FROM citadel.table_performance) AS v;
SELECT is(count(*), 1::bigint, 'index_usage can be read') FROM (SELECT count(*) FROM citadel.index_usage) AS v;

-- health(): every part is there.
SELECT ok(citadel.health() ->> 'status' IN ('ok', 'warning', 'error'), 'health() has a status');
SELECT is(jsonb_typeof(citadel.health() -> 'reasons'), 'array', 'health() has reasons');
SELECT is_empty($$
    SELECT key FROM unnest(ARRAY['status', 'reasons', 'at', 'database', 'version', 'library_version', 'server_version', 'standby', 'preloaded', 'enabled',
        'capture', 'workers', 'jobs', 'history', 'advisor', 'pg_stat_statements', 'database_is_copy', 'own_cost']) AS key
    WHERE NOT citadel.health() ? key $$, 'health() has all its parts');
SELECT is(citadel.health() -> 'preloaded', 'true', 'health() knows of preload');
SELECT ok((citadel.health() #>> '{capture,buffer_size_bytes}')::bigint > 1000000, 'health() shows the capture buffer');
SELECT is(citadel.health() #>> '{pg_stat_statements,loaded}', 'true', 'health() sees pg_stat_statements');
SELECT is(citadel.health() #>> '{history,retention}', '30d', 'health() shows the retention');
SELECT is((SELECT count(*) FROM jsonb_object_keys(citadel.health() -> 'jobs')), (SELECT count(*) FROM citadel.job),
    'health() lists all jobs');

SELECT finish();
ROLLBACK;
