-- citadel_tasks: its surface, privileges, comments, and that an application role gets along with what it is granted.
\set QUIET on
\pset format unaligned
\pset tuples_only on
SET client_min_messages = warning;
BEGIN;
CREATE EXTENSION IF NOT EXISTS citadel_tasks CASCADE;
SELECT plan(44);

SELECT has_table('citadel_tasks', t, t) FROM unnest(ARRAY['hero_tasks', 'hero_task_dependencies']) t;
SELECT is(relkind, 'p'::"char", relname || ' is partitioned') FROM pg_class
WHERE oid IN ('citadel_tasks.hero_workflow_history'::regclass, 'citadel_tasks.hero_task_comments'::regclass) ORDER BY relname;
SELECT has_function('citadel_tasks', 'get_task_statistics', ARRAY['timestamp with time zone']);
SELECT has_function('citadel_tasks', 'get_user_task_summary', ARRAY['bigint', 'timestamp with time zone']);
SELECT has_function('citadel_tasks', 'get_task_dependencies', ARRAY['bigint', 'integer']);
SELECT has_function('citadel_tasks', 'generate_tasks', ARRAY['bigint', 'integer', 'timestamp with time zone', 'integer']);
SELECT has_function('citadel_tasks', 'setup_partitions', ARRAY['integer', 'integer']);

-- Everything is commented, nothing is open to everybody, every function has its search_path or needs none.
SELECT is_empty($$
    SELECT p.oid::regprocedure FROM pg_proc p WHERE p.pronamespace = 'citadel_tasks'::regnamespace
    AND obj_description(p.oid, 'pg_proc') IS NULL $$, 'every function has a comment');
SELECT is_empty($$
    SELECT c.oid::regclass, a.attname FROM pg_class c LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT attisdropped
    WHERE c.relnamespace = 'citadel_tasks'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
      AND (obj_description(c.oid, 'pg_class') IS NULL
           OR (col_description(c.oid, a.attnum) IS NULL AND c.relname NOT LIKE '%\_template')) $$,
    'every table and column has a comment');
SELECT is_empty($$
    SELECT c.oid::regclass FROM pg_class c WHERE c.relnamespace = 'citadel_tasks'::regnamespace AND c.relkind = 'c'
    AND obj_description(c.oid, 'pg_class') IS NULL
    AND obj_description(c.reltype, 'pg_type') IS NULL $$, 'every row type has a comment');
SELECT is_empty($$
    SELECT p.oid::regprocedure FROM pg_proc p WHERE p.pronamespace = 'citadel_tasks'::regnamespace
    AND EXISTS (SELECT FROM aclexplode(COALESCE(p.proacl, acldefault('f', p.proowner))) a WHERE a.grantee = 0) $$,
    'no function may be executed by PUBLIC');
SELECT is_empty($$
    SELECT c.oid::regclass FROM pg_class c WHERE c.relnamespace = 'citadel_tasks'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'S')
    AND EXISTS (SELECT FROM aclexplode(c.relacl) a WHERE a.grantee = 0) $$, 'no table may be read by PUBLIC');
SELECT is_empty($$
    SELECT p.oid::regprocedure FROM pg_proc p
    WHERE p.pronamespace = 'citadel_tasks'::regnamespace AND p.prosqlbody IS NULL
      AND p.proname NOT IN ('setup_partitions', 'maintain_partitions')
      AND NOT COALESCE('search_path=pg_catalog, pg_temp' = ANY (p.proconfig), false) $$,
    'every function pins its search_path, or is parsed already');
SELECT is_empty($$ SELECT oid::regprocedure FROM pg_proc WHERE pronamespace = 'citadel_tasks'::regnamespace AND prosecdef $$,
    'no function runs with its owner''s rights');
SELECT set_eq($$
    SELECT e.conf::regclass::text FROM pg_extension x, unnest(x.extconfig) AS e (conf) WHERE x.extname = 'citadel_tasks' $$,
    ARRAY['citadel_tasks.hero_tasks', 'citadel_tasks.hero_tasks_id_seq', 'citadel_tasks.hero_task_dependencies',
          'citadel_tasks.hero_workflow_history_id_seq', 'citadel_tasks.hero_task_comments_id_seq'],
    'user data and sequences are dumped');

SELECT cmp_ok(citadel_tasks.setup_partitions(6, 12), '=', 38, 'setup_partitions makes 19 months of two tables');
SELECT is(citadel_tasks.setup_partitions(6, 12), 0, 'and no more when called again');
SELECT is_empty($$
    SELECT i.inhrelid::regclass FROM pg_inherits i JOIN pg_depend d ON d.objid = i.inhrelid AND d.deptype = 'e'
    WHERE i.inhparent IN ('citadel_tasks.hero_workflow_history'::regclass, 'citadel_tasks.hero_task_comments'::regclass) $$,
    'no partition belongs to the extension');
SELECT results_eq($$
    SELECT count(*)::int FROM pg_inherits i JOIN pg_index x ON x.indrelid = i.inhrelid AND x.indisprimary
    WHERE i.inhparent = 'citadel_tasks.hero_task_comments'::regclass $$, ARRAY[19], 'each partition has a primary key');

-- Two databases that generate with one seed hold the same rows.
CREATE FUNCTION pg_temp.fingerprint() RETURNS text LANGUAGE sql AS $$
    SELECT concat_ws(' ', (SELECT sum(hashtextextended(t::text, 0)) FROM citadel_tasks.hero_tasks t),
                     (SELECT sum(hashtextextended(t::text, 0)) FROM citadel_tasks.hero_workflow_history t),
                     (SELECT sum(hashtextextended(t::text, 0)) FROM citadel_tasks.hero_task_comments t),
                     (SELECT sum(hashtextextended(t::text, 0)) FROM citadel_tasks.hero_task_dependencies t)) $$;
SET LOCAL timezone = 'UTC';
SAVEPOINT empty;
SELECT (citadel_tasks.generate_tasks(2000, 7, date_trunc('day', now()), 5)).tasks AS made \gset
SELECT pg_temp.fingerprint() AS first \gset
ROLLBACK TO empty;
SET LOCAL timezone = 'America/Los_Angeles';
SET LOCAL work_mem = '64kB';
SELECT (citadel_tasks.generate_tasks(2000, 7, date_trunc('day', now(), 'UTC'), 5)).tasks AS made \gset
SET LOCAL timezone = 'UTC';
SELECT pg_temp.fingerprint() AS second \gset
ROLLBACK TO empty;
SELECT (citadel_tasks.generate_tasks(2000, 8, date_trunc('day', now()), 5)).tasks AS made \gset
SELECT pg_temp.fingerprint() AS third \gset
ROLLBACK TO empty;
SELECT is(:'second'::text, :'first'::text, 'one seed, the same rows, whatever the session''s settings');
SELECT isnt(:'third'::text, :'first'::text, 'another seed, other rows');

SELECT * FROM citadel_tasks.generate_tasks(20000, 1, date_trunc('day', now()), 5) \gset made_
SELECT is(:made_tasks, 20000, 'as many tasks as asked for');
SELECT cmp_ok((:made_tasks + :made_history + :made_comments) / 20000.0, '>', 4.5, 'about five rows a task, at least');
SELECT cmp_ok((:made_tasks + :made_history + :made_comments) / 20000.0, '<', 6.0, 'about five rows a task, at most');
SELECT cmp_ok((SELECT max(n) FROM (SELECT count(*) AS n FROM citadel_tasks.hero_tasks WHERE assignee_id IS NOT NULL GROUP BY assignee_id) x), '>',
              (SELECT 3 * percentile_cont(0.5) WITHIN GROUP (ORDER BY n) FROM (SELECT count(*) AS n FROM citadel_tasks.hero_tasks
               WHERE assignee_id IS NOT NULL GROUP BY assignee_id) x)::bigint, 'assignees are skewed');
SELECT cmp_ok((SELECT avg((status NOT IN ('completed', 'cancelled'))::int) FROM citadel_tasks.hero_tasks), '<', 0.2, 'few tasks are open');
SELECT cmp_ok((SELECT avg(created_at::date - current_date) FILTER (WHERE status = 'in_progress') FROM citadel_tasks.hero_tasks), '>',
              (SELECT avg(created_at::date - current_date) FILTER (WHERE status = 'completed') FROM citadel_tasks.hero_tasks),
              'what is being worked on is younger than what is done');
SELECT is_empty('SELECT id FROM citadel_tasks.hero_tasks WHERE updated_at > now() OR created_at > updated_at', 'nothing happens in the future');
SELECT is_empty($$ SELECT h.id FROM citadel_tasks.hero_workflow_history h JOIN citadel_tasks.hero_tasks t ON t.id = h.task_id
    WHERE h.changed_at NOT BETWEEN t.created_at AND t.updated_at $$, 'history lies within the life of its task');
SELECT is_empty($$ SELECT t.id FROM citadel_tasks.hero_tasks t WHERE t.status IS DISTINCT FROM
    (SELECT h.to_status FROM citadel_tasks.hero_workflow_history h WHERE h.task_id = t.id ORDER BY h.id DESC LIMIT 1) AND t.id <= 500 $$,
    'history ends at the present status');
SELECT is_empty('SELECT task_id FROM citadel_tasks.hero_task_dependencies WHERE depends_on_id >= task_id', 'generated dependencies have no cycle');

-- A role of the application, without and with what grant_access() gives.
CREATE ROLE citadel_tasks_app_test;
CREATE ROLE citadel_tasks_reader_test;
SET LOCAL ROLE citadel_tasks_app_test;
SELECT throws_ok('SELECT * FROM citadel_tasks.hero_tasks LIMIT 1', '42501', NULL, 'nothing is granted at installation');
RESET ROLE;
SELECT throws_ok('SELECT citadel_tasks.grant_access(NULL)', '22023', NULL, 'grant_access refuses NULL');
SELECT lives_ok('SELECT citadel_tasks.grant_access(''citadel_tasks_app_test'')', 'grant_access');
SELECT lives_ok('SELECT citadel_tasks.grant_access(''citadel_tasks_reader_test'', read_only => true)', 'grant_access, read only');
GRANT USAGE ON SCHEMA public TO citadel_tasks_app_test, citadel_tasks_reader_test;
SET LOCAL ROLE citadel_tasks_app_test;
SELECT lives_ok($$
    WITH t AS (INSERT INTO citadel_tasks.hero_tasks (task_number, title, reporter_id) VALUES ('APP-1', 'By the application', 1) RETURNING id)
    INSERT INTO citadel_tasks.hero_workflow_history (task_id, to_status, changed_by) SELECT id, 'draft', 1 FROM t $$, 'the application creates a task');
SELECT lives_ok($$ INSERT INTO citadel_tasks.hero_task_comments (task_id, author_id, body) VALUES (1, 1, 'x') $$, 'comments');
SELECT lives_ok($$ SELECT * FROM citadel_tasks.list_tasks(assignee => 1) $$, 'lists');
SELECT lives_ok($$ SELECT citadel_tasks.get_task_statistics(), citadel_tasks.get_user_task_summary(1), citadel_tasks.get_task_dependencies(1) $$, 'and reports');
SELECT throws_ok('DELETE FROM citadel_tasks.hero_workflow_history', '42501', NULL, 'history is not rewritten');
SELECT throws_ok('SELECT citadel_tasks.generate_tasks(1)', '42501', NULL, 'nor does the application generate');
RESET ROLE;
SET LOCAL ROLE citadel_tasks_reader_test;
SELECT throws_ok('UPDATE citadel_tasks.hero_tasks SET version = 2', '42501', NULL, 'a reader does not write');
RESET ROLE;
SELECT * FROM finish();
ROLLBACK;
