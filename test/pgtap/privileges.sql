-- Who may call and read what, that nothing is open by accident, and that everything is described.
\set QUIET on
\pset format unaligned
\pset tuples_only on
\set matrix `cat test/privileges.tsv`
SET client_min_messages = warning;
BEGIN;
CREATE EXTENSION IF NOT EXISTS citadel_opt CASCADE;
SELECT plan(36);

CREATE TEMP VIEW function AS
    SELECT p.oid, p.proname, p.prolang, p.proconfig, p.proacl, p.proowner, p.prosecdef, p.prokind
    FROM pg_proc AS p WHERE p.pronamespace = 'citadel'::regnamespace;
CREATE TEMP VIEW relation AS
    SELECT c.oid, c.relname, c.relkind, c.relacl, c.relowner, c.reltype
    FROM pg_class AS c WHERE c.relnamespace = 'citadel'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm', 'S')
        AND NOT c.relispartition;

-- PUBLIC: the report on one's own statements with what it is made of (pure arithmetic over its arguments and views that
-- check each row), what a table's owner may do with it (each checks ownership, or SELECT on the table), and nothing else.
SELECT set_eq($$
    SELECT proname::text FROM function
    WHERE EXISTS (SELECT FROM aclexplode(coalesce(proacl, acldefault('f', proowner))) AS a WHERE a.grantee = 0)
        AND proname NOT LIKE 'cause\_%' $$,
    ARRAY['raise_error', 'analyze_slow_queries', 'statement_figures', 'statement_causes', 'sample_causes', 'plan_causes', 'plan_nodes',
        'plan_relation', 'wait_causes', 'history_clock', 'latency_merge', 'merge_error_classes', 'window_parts', 'relation_members', 'relation_sizes', 'history_window', 'table_history', 'index_history', 'statement_buckets', 'statement_totals', 'query_history', 'plan_history', 'latency_percentile', 'latency_calls', 'latency_buckets', 'figure', 'percent', 'jit_sentence',
        'place_hold', 'release_hold',
        'create_lifecycle_policy', 'alter_lifecycle_policy', 'drop_lifecycle_policy', 'suspend_lifecycle_policy',
        'resume_lifecycle_policy', 'preview_lifecycle', 'run_lifecycle', 'undo_expiry', 'cancel_operation', 'lifecycle_runway',
        'restore_archive', 'read_archive', 'content_hash'],
    'PUBLIC may call these functions, those that name a cause in a given plan, and no others');
SELECT set_eq($$
    SELECT relname::text FROM relation WHERE EXISTS (SELECT FROM aclexplode(relacl) AS a WHERE a.grantee = 0)
        AND NOT (relkind = 'v' AND relname LIKE 'visible\_%') $$,
    ARRAY['query_performance', 'statement_snapshot_time', 'archive', 'lifecycle_step', 'partition_runway'],
    'PUBLIC may read these views, those that check each row (visible_...), and nothing else');
SELECT is_empty($$
    SELECT relname, a.privilege_type FROM relation, aclexplode(relacl) AS a WHERE a.grantee = 0 AND a.privilege_type <> 'SELECT' $$,
    'PUBLIC may write nothing');
SELECT is_empty($$
    SELECT relname, a.grantee::regrole, a.privilege_type FROM relation, aclexplode(relacl) AS a
    WHERE a.grantee <> relowner AND a.privilege_type <> 'SELECT' $$, 'nobody but the owner may write');
SELECT is_empty($$
    SELECT nspname FROM pg_namespace, aclexplode(nspacl) AS a
    WHERE nspname = 'citadel' AND a.grantee <> nspowner AND a.privilege_type <> 'USAGE' $$,
    'nobody but the owner may create in the schema');

-- pg_monitor: figures and texts without literals.
SELECT set_eq($$
    SELECT proname::text FROM function WHERE has_function_privilege('pg_monitor', oid, 'EXECUTE')
        AND NOT EXISTS (SELECT FROM aclexplode(proacl) AS a WHERE a.grantee = 0) $$,
    ARRAY['get_table_statistics', 'get_index_statistics', 'health', 'health_figures', 'recommend_indexes', 'what_if', 'preloaded', 'library_version', 'version_problem', 'capture_counters',
        'captured_statements', 'worker_status', 'job_definitions', 'next_job_run', 'database_is_copy', 'checked_table',
        'index_definition', 'heap_bloat', 'relation_bytes', 'partition_tree',
        'verify_audit_log', 'advisor_progress_rows', 'stop_advisor', 'index_build_seconds', 'index_build_plan',
        'explain_recommendation', 'recommendation_report', 'figure_definitions', 'disk_space', 'metrics', 'metrics_top', 'overhead', 'ddl_notes_missed'],
    'pg_monitor may call these functions besides');
SELECT set_eq($$
    SELECT relname::text FROM relation WHERE relkind <> 'S' AND NOT has_table_privilege('pg_monitor', oid, 'SELECT') $$,
    ARRAY['parameter_set', 'job_run_log', 'table_counter',
        'audit_entry', 'audit_pending', 'lifecycle_request', 'hold'], 'only superusers read these tables whole');
SELECT set_eq($$
    SELECT attname::text FROM pg_attribute AS a JOIN relation AS r ON r.oid = a.attrelid
    WHERE r.relname = 'hold' AND a.attnum > 0 AND NOT has_column_privilege('pg_monitor', r.oid, a.attnum, 'SELECT') $$,
    ARRAY['predicate'], 'of holds pg_monitor reads all but the predicate');
SELECT ok(NOT has_function_privilege('pg_monitor', f, 'EXECUTE'), 'pg_monitor may not call ' || f) FROM unnest(ARRAY[
    'citadel.alter_job(text, boolean, interval, interval, interval)', 'citadel.run_job(text)', 'citadel.wait_for_job(bigint, interval)',
    'citadel.adopt_database()']) AS f;

-- Functions cannot be bent by the caller's search_path. Without a SET clause: procedures that commit, those that run no
-- SQL, and three that resolve the statements they are given in the caller's.
SELECT set_eq($$
    SELECT proname::text FROM function
    WHERE NOT EXISTS (SELECT FROM unnest(proconfig) AS s WHERE s = 'search_path=pg_catalog, pg_temp') $$,
    ARRAY['wait_for_job', 'relation_bytes', 'index_definition', 'recommend_indexes', 'what_if',
        'run_lifecycle', 'restore_archive', 'undo_expiry', 'advisor_progress_rows', 'stop_advisor'], 'all functions but these pin search_path');
SELECT is_empty($$
    SELECT proname FROM function AS f JOIN pg_language AS l ON l.oid = f.prolang WHERE l.lanname NOT IN ('c', 'sql') $$,
    'functions are C or SQL');
SELECT is_empty($$
    SELECT proname FROM function AS f JOIN pg_language AS l ON l.oid = f.prolang
    WHERE l.lanname <> 'c' AND NOT EXISTS (SELECT FROM unnest(f.proconfig) AS s WHERE s LIKE 'search\_path=%') $$,
    'every SQL function pins search_path');
SELECT set_eq('SELECT proname::text FROM function WHERE prosecdef', ARRAY['adopt_database', 'alter_job', 'run_job', 'database_is_copy',
        'verify_audit_log', 'seal_audit_log', 'acknowledge_alert'],
    'functions that run as the extension''s owner');
SELECT is_empty($$
    SELECT relname FROM relation WHERE relkind = 'v' AND EXISTS (SELECT FROM aclexplode(relacl) AS a WHERE a.grantee = 0)
        AND NOT EXISTS (SELECT FROM pg_class AS c, unnest(c.reloptions) AS o WHERE c.oid = relation.oid AND o LIKE 'security_barrier%') $$,
    'views open to PUBLIC are security barriers');

-- Everything is described.
SELECT is_empty('SELECT proname FROM function WHERE obj_description(oid, ''pg_proc'') IS NULL', 'every function has a comment');
SELECT is_empty('SELECT relname FROM relation WHERE relkind <> ''S'' AND obj_description(oid, ''pg_class'') IS NULL',
    'every table and view has a comment');
SELECT is_empty($$
    SELECT t.typname FROM pg_type AS t LEFT JOIN pg_class AS c ON c.oid = t.typrelid
    WHERE t.typnamespace = 'citadel'::regnamespace AND t.typcategory <> 'A' AND (c.oid IS NULL OR c.relkind = 'c')
        AND obj_description(t.oid, 'pg_type') IS NULL AND obj_description(c.oid, 'pg_class') IS NULL $$, 'every type has a comment');
SELECT isnt(obj_description('citadel'::regnamespace, 'pg_namespace'), NULL, 'the schema has a comment');

-- Everything has its row in the table of who may do what, by which test/tap/930_privileges.pl calls it.
SELECT is_empty(format($$
    SELECT 'function', proname FROM function WHERE strpos(%1$L, E'\nfunction\t' || proname || E'\t') = 0
    UNION ALL SELECT k, relname FROM relation, LATERAL (SELECT CASE relkind WHEN 'v' THEN 'view' WHEN 'm' THEN 'view' WHEN 'S' THEN 'sequence'
        ELSE 'table' END) AS v (k) WHERE strpos(%1$L, E'\n' || k || E'\t' || relname || E'\t') = 0
    UNION ALL SELECT 'type', typname FROM pg_type AS t LEFT JOIN pg_class AS c ON c.oid = t.typrelid
    WHERE typnamespace = 'citadel'::regnamespace AND typelem = 0 AND coalesce(c.relkind, 'c') = 'c'
        AND strpos(%1$L, E'\ntype\t' || typname || E'\t') = 0 $$, :'matrix'), 'everything has a row in test/privileges.tsv');

-- As the roles themselves.
CREATE ROLE tap_monitor;
GRANT pg_monitor TO tap_monitor;
CREATE ROLE tap_nobody;
INSERT INTO citadel.statement VALUES (-42, 'tap_nobody'::regrole, 'SELECT mine', NULL, false, now(), now()),
    (-43, 'tap_monitor'::regrole, 'SELECT another''s', NULL, false, now(), now());
SET ROLE tap_monitor;
SELECT lives_ok('SELECT * FROM citadel.get_table_statistics()', 'pg_monitor: get_table_statistics');
SELECT lives_ok('SELECT * FROM citadel.get_index_statistics()', 'pg_monitor: get_index_statistics');
SELECT lives_ok('SELECT citadel.health()', 'pg_monitor: health');
SELECT lives_ok('SELECT * FROM citadel.query_performance', 'pg_monitor: query_performance');
SELECT lives_ok('SELECT * FROM citadel.table_performance', 'pg_monitor: table_performance');
SELECT lives_ok('SELECT * FROM citadel.index_usage', 'pg_monitor: index_usage');
SELECT lives_ok('SELECT * FROM citadel.job, citadel.job_run, citadel.advisor_run', 'pg_monitor: jobs and advisor runs');
SELECT is(count(*), 2::bigint, 'pg_monitor sees statements of all') FROM citadel.visible_statement WHERE query_id IN (-42, -43);
SELECT throws_ok('SELECT * FROM citadel.parameter_set', '42501', NULL, 'pg_monitor sees no literals');
SELECT throws_ok('DELETE FROM citadel.sample', '42501', NULL, 'pg_monitor may not change history');
RESET ROLE;
SET ROLE tap_nobody;
SELECT throws_ok('SELECT citadel.health()', '42501', NULL, 'others: no health');
SELECT throws_ok('SELECT * FROM citadel.get_table_statistics()', '42501', NULL, 'others: no statistics');
SELECT is(array_agg(query), ARRAY['SELECT mine'], 'others see their own statements')
FROM citadel.visible_statement WHERE query_id IN (-42, -43);
SELECT lives_ok('SELECT * FROM citadel.analyze_slow_queries()', 'others: analyze_slow_queries of their own');
RESET ROLE;

SELECT finish();
ROLLBACK;
