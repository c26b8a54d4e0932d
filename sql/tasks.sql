-- citadel_tasks: partitions, generator, reports, pages. Runs on a small data set with a fixed reference time.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS citadel_tasks CASCADE;
RESET client_min_messages;
\set VERBOSITY terse
\set SHOW_CONTEXT never

-- Nothing is partitioned at installation, and what needs partitions says so.
SELECT count(*) FROM pg_inherits WHERE inhparent IN
    ('citadel_tasks.hero_workflow_history'::regclass, 'citadel_tasks.hero_task_comments'::regclass);
SELECT citadel_tasks.maintain_partitions();
SELECT citadel_tasks.setup_partitions(NULL);
SELECT citadel_tasks.setup_partitions(-1);
SELECT citadel_tasks.setup_partitions(1, 0);

SHOW search_path;
SELECT citadel_tasks.setup_partitions(3, 12);
SELECT citadel_tasks.setup_partitions(3, 12);
SELECT citadel_tasks.setup_partitions(4, 12);
SHOW search_path;
-- Months in UTC without a gap, none of them a member of the extension; no default partition.
SET timezone = 'UTC';
SELECT count(*), bool_and(lower_bound = date_trunc('month', lower_bound) AND upper_bound = lower_bound + interval '1 month'),
       min(lower_bound) = date_trunc('month', now()) - interval '4 months' AS reaches_back,
       max(upper_bound) = date_trunc('month', now()) + interval '13 months' AS reaches_ahead
FROM citadel_tasks.partition_bounds('citadel_tasks.hero_task_comments');
RESET timezone;
SELECT count(*) FROM pg_depend d JOIN pg_inherits i ON i.inhrelid = d.objid AND d.classid = 'pg_class'::regclass
WHERE d.deptype = 'e' AND i.inhparent = 'citadel_tasks.hero_task_comments'::regclass;
SELECT partdefid FROM pg_partitioned_table WHERE partrelid = 'citadel_tasks.hero_task_comments'::regclass;
-- Each partition has its primary key.
SELECT count(*) - count(i.indexrelid) AS without_key
FROM citadel_tasks.partition_bounds('citadel_tasks.hero_workflow_history') b
LEFT JOIN pg_index i ON i.indrelid = b.partition AND i.indisprimary;

-- No secondary index anywhere.
SELECT count(*) FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid
WHERE c.relnamespace = 'citadel_tasks'::regnamespace AND NOT i.indisprimary AND NOT i.indisunique;

-- The generator refuses what it cannot do.
SELECT citadel_tasks.generate_tasks(0);
SELECT citadel_tasks.generate_tasks(NULL);
SELECT citadel_tasks.generate_tasks(10, 1, 'infinity');
SELECT citadel_tasks.generate_tasks(10, 1, now(), 0);
\set VERBOSITY sqlstate
SELECT citadel_tasks.generate_tasks(10, 1, now() - interval '20 years', 1);
SELECT citadel_tasks.generate_tasks(10, 1, now(), 60);
\set VERBOSITY terse
-- A fixed past: the partitions for it are made first.
SELECT citadel_tasks.setup_partitions(
    (EXTRACT(year FROM age(now(), '2026-01-01')) * 12 + EXTRACT(month FROM age(now(), '2026-01-01')))::integer + 8) > 0 AS made;
SELECT tasks, history > 2000, comments > 1000, dependencies > 150
FROM citadel_tasks.generate_tasks(1000, 42, '2026-01-01 00:00:00+00', 6);
-- Rows are the same wherever this runs.
SELECT md5(string_agg(concat_ws('|', id, task_number, title, status, priority, type, phase, assignee_id, reporter_id, parent_id, tags,
                                metadata, estimated_hours, version), E'\n' ORDER BY id)) FROM citadel_tasks.hero_tasks;
SELECT md5(string_agg(concat_ws('|', id, task_id, from_status, to_status, changed_by, reason), E'\n' ORDER BY id))
FROM citadel_tasks.hero_workflow_history;
SELECT md5(string_agg(concat_ws('|', id, task_id, author_id, body, is_internal), E'\n' ORDER BY id))
FROM citadel_tasks.hero_task_comments;
SELECT min(created_at) >= '2025-07-01', max(updated_at) <= '2026-01-01', count(*) FILTER (WHERE parent_id IS NOT NULL) > 100
FROM citadel_tasks.hero_tasks;
-- Keys go on where the generator stopped.
INSERT INTO citadel_tasks.hero_tasks (task_number, title, reporter_id) VALUES ('HT-X', 'One more', 1) RETURNING id;
DELETE FROM citadel_tasks.hero_tasks WHERE task_number = 'HT-X';
-- The second call continues.
SELECT tasks FROM citadel_tasks.generate_tasks(10, 42, '2026-01-01 00:00:00+00', 6);
SELECT min(id), max(id), count(*) FROM citadel_tasks.hero_tasks WHERE id > 1000;
DELETE FROM citadel_tasks.hero_task_comments WHERE task_id > 1000;
DELETE FROM citadel_tasks.hero_workflow_history WHERE task_id > 1000;
DELETE FROM citadel_tasks.hero_tasks WHERE id > 1000;

-- Constraints.
INSERT INTO citadel_tasks.hero_tasks (task_number, title, reporter_id, status) VALUES ('a', 'b', 1, 'done');
INSERT INTO citadel_tasks.hero_tasks (task_number, title, reporter_id, status) VALUES ('a', 'b', 1, 'completed');
INSERT INTO citadel_tasks.hero_tasks (task_number, title, reporter_id, tags) VALUES ('a', 'b', 1, ARRAY['x', NULL]);
INSERT INTO citadel_tasks.hero_tasks (task_number, title, reporter_id, metadata) VALUES ('a', 'b', 1, '[]');
INSERT INTO citadel_tasks.hero_task_dependencies (task_id, depends_on_id) VALUES (1, 1);

-- Reports agree with plain counts.
SELECT s.total_tasks = (SELECT count(*) FROM citadel_tasks.hero_tasks WHERE deleted_at IS NULL) AS total,
       s.overdue_tasks = (SELECT count(*) FROM citadel_tasks.hero_tasks WHERE deleted_at IS NULL AND due_at < '2026-01-01'
                          AND status NOT IN ('completed', 'cancelled')) AS overdue,
       s.open_tasks + s.completed_tasks + s.cancelled_tasks = s.total_tasks AS parts,
       (SELECT sum(value::int) FROM jsonb_each_text(s.by_type)) = s.total_tasks AS types,
       s.average_completion_hours > s.median_completion_hours AS skewed
FROM citadel_tasks.get_task_statistics('2026-01-01') s;
SELECT u.open_tasks = (SELECT count(*) FROM citadel_tasks.hero_tasks WHERE deleted_at IS NULL AND assignee_id = 1
                       AND status IN ('draft', 'ready', 'in_progress', 'blocked')) AS open,
       (SELECT COALESCE(sum(value::int), 0) FROM jsonb_each_text(u.open_by_priority)) = u.open_tasks AS priorities
FROM citadel_tasks.get_user_task_summary(1, '2026-01-01') u;
SELECT open_tasks, reported_open_tasks, completed_last_30_days, open_by_priority, next_due_at
FROM citadel_tasks.get_user_task_summary(-5, '2026-01-01');

-- Dependencies: a chain, a diamond and a cycle.
INSERT INTO citadel_tasks.hero_tasks (id, task_number, title, reporter_id)
SELECT g, 'D-' || g, 'Task ' || g, 1 FROM generate_series(2001, 2008) g;
INSERT INTO citadel_tasks.hero_task_dependencies (task_id, depends_on_id)
VALUES (2001, 2002), (2001, 2003), (2002, 2004), (2003, 2004), (2004, 2005), (2005, 2006), (2006, 2004), (2007, 2008), (2008, 2007);
SELECT task_id, depth, required_by, is_open, closes_cycle FROM citadel_tasks.get_task_dependencies(2001);
SELECT task_id, depth FROM citadel_tasks.get_task_dependencies(2001, 1);
SELECT task_id, depth, closes_cycle FROM citadel_tasks.get_task_dependencies(2007, 100);
SELECT count(*) FROM citadel_tasks.get_task_dependencies(-1);
SELECT count(*) FROM citadel_tasks.get_task_dependencies(NULL);
SELECT * FROM citadel_tasks.get_task_dependencies(2001, 0);
SELECT * FROM citadel_tasks.get_task_dependencies(2001, NULL);

-- Cursors.
SELECT citadel_tasks.decode_cursor(citadel_tasks.encode_cursor('k', '{timestamptz,bigint}', ARRAY[NULL, '7']), 'k', '{timestamptz,bigint}');
SELECT citadel_tasks.decode_cursor(citadel_tasks.encode_cursor('k', '{text,integer}', ARRAY['{"Grüße",}' || repeat('x', 100), '-1']),
                                   'k', '{text,integer}');
SELECT citadel_tasks.encode_cursor('k', '{bigint}', '{9}') ~ '^[A-Za-z0-9_-]+$';
SELECT citadel_tasks.decode_cursor(NULL, 'k', '{bigint}') IS NULL;
SELECT citadel_tasks.encode_cursor('', '{bigint}', '{9}');
SELECT citadel_tasks.encode_cursor('k', '{bigint}', '{9,8}');
\set VERBOSITY default
SELECT citadel_tasks.decode_cursor('', 'k', '{bigint}');
SELECT citadel_tasks.decode_cursor('not a cursor!', 'k', '{bigint}');
SELECT citadel_tasks.decode_cursor('AAAA', 'k', '{bigint}');
SELECT citadel_tasks.decode_cursor('A', 'k', '{bigint}');
SELECT citadel_tasks.decode_cursor(repeat('A', 100000), 'k', '{bigint}');
SELECT citadel_tasks.decode_cursor(left(citadel_tasks.encode_cursor('k', '{bigint}', '{9}'), -2), 'k', '{bigint}');
SELECT citadel_tasks.decode_cursor(citadel_tasks.encode_cursor('other', '{bigint}', '{9}'), 'k', '{bigint}');
SELECT citadel_tasks.decode_cursor(citadel_tasks.encode_cursor('k', '{integer}', '{9}'), 'k', '{bigint}');
SELECT citadel_tasks.decode_cursor(citadel_tasks.encode_cursor('k', '{bigint}', '{nine}'), 'k', '{bigint}');
\set VERBOSITY terse
-- Forged with a right digest: another version, no object, deep nesting, a hostile kind of key.
CREATE FUNCTION pg_temp.forge(payload text) RETURNS text LANGUAGE sql AS $$
    SELECT rtrim(translate(replace(encode(substr(sha256(convert_to(payload, 'UTF8')), 1, 4) || convert_to(payload, 'UTF8'), 'base64'),
                                   E'\n', ''), '+/', '-_'), '=') $$;
SELECT citadel_tasks.decode_cursor(pg_temp.forge('{"v": 2, "k": "k", "t": ["bigint"], "d": ["9"]}'), 'k', '{bigint}');
SELECT citadel_tasks.decode_cursor(pg_temp.forge('[1]'), 'k', '{bigint}');
SELECT citadel_tasks.decode_cursor(pg_temp.forge('nonsense'), 'k', '{bigint}');
SELECT citadel_tasks.decode_cursor(pg_temp.forge(repeat('[', 6000)), 'k', '{bigint}');
SELECT citadel_tasks.decode_cursor(pg_temp.forge('{"v": 1, "k": "k", "t": ["bigint"], "d": {"0": 1}}'), 'k', '{bigint}');
SELECT citadel_tasks.decode_cursor(pg_temp.forge('{"v": 1, "k": "k", "t": ["bigint"], "d": ["1); DROP TABLE x; --"]}'), 'k', '{bigint}');

-- Pages: walking page by page gives the whole list once, in every order, with equal keys and NULL due dates.
CREATE FUNCTION pg_temp.walk(sort text, descending boolean, size integer, pages OUT integer, ids OUT bigint[])
    LANGUAGE plpgsql AS $$
DECLARE
    page bigint[];
    last text;
BEGIN
    pages := 0;
    ids := '{}';
    LOOP
        SELECT array_agg(id ORDER BY n), max(cursor) FILTER (WHERE n = last_n) INTO page, last
        FROM (SELECT p.*, row_number() OVER () AS n, count(*) OVER () AS last_n
              FROM citadel_tasks.list_tasks(sort => walk.sort, descending => walk.descending, page_size => size, after => last) p) x;
        EXIT WHEN page IS NULL;
        ids := ids || page;
        pages := pages + 1;
    END LOOP;
END $$;
UPDATE citadel_tasks.hero_tasks SET created_at = '2025-07-02', due_at = '2025-08-01' WHERE id BETWEEN 10 AND 40 AND created_at > '2025-07-02' AND started_at IS NULL;
SELECT sort, descending, w.pages,
       w.ids = CASE sort
           WHEN 'due_at' THEN CASE WHEN descending
               THEN (SELECT array_agg(id ORDER BY due_at DESC NULLS LAST, id DESC) FROM citadel_tasks.hero_tasks WHERE deleted_at IS NULL)
               ELSE (SELECT array_agg(id ORDER BY due_at, id) FROM citadel_tasks.hero_tasks WHERE deleted_at IS NULL) END
           WHEN 'priority' THEN CASE WHEN descending
               THEN (SELECT array_agg(id ORDER BY priority DESC, id DESC) FROM citadel_tasks.hero_tasks WHERE deleted_at IS NULL)
               ELSE (SELECT array_agg(id ORDER BY priority, id) FROM citadel_tasks.hero_tasks WHERE deleted_at IS NULL) END
           WHEN 'updated_at' THEN CASE WHEN descending
               THEN (SELECT array_agg(id ORDER BY updated_at DESC, id DESC) FROM citadel_tasks.hero_tasks WHERE deleted_at IS NULL)
               ELSE (SELECT array_agg(id ORDER BY updated_at, id) FROM citadel_tasks.hero_tasks WHERE deleted_at IS NULL) END
           WHEN 'created_at' THEN CASE WHEN descending
               THEN (SELECT array_agg(id ORDER BY created_at DESC, id DESC) FROM citadel_tasks.hero_tasks WHERE deleted_at IS NULL)
               ELSE (SELECT array_agg(id ORDER BY created_at, id) FROM citadel_tasks.hero_tasks WHERE deleted_at IS NULL) END
           ELSE CASE WHEN descending
               THEN (SELECT array_agg(id ORDER BY id DESC) FROM citadel_tasks.hero_tasks WHERE deleted_at IS NULL)
               ELSE (SELECT array_agg(id ORDER BY id) FROM citadel_tasks.hero_tasks WHERE deleted_at IS NULL) END
       END AS same
FROM unnest(ARRAY['due_at', 'priority', 'updated_at', 'created_at', 'id']) WITH ORDINALITY AS s (sort, o),
     unnest(ARRAY[false, true]) AS descending, LATERAL pg_temp.walk(sort, descending, 37) AS w
ORDER BY o, descending;
-- The time zone and date style of the session do not matter to a cursor.
SET timezone = 'Asia/Kolkata'; SET datestyle = 'German';
SELECT w.pages, w.ids = (SELECT array_agg(id ORDER BY due_at, id) FROM citadel_tasks.hero_tasks WHERE deleted_at IS NULL) AS same
FROM pg_temp.walk('due_at', false, 100) w;
RESET timezone; RESET datestyle;
-- Filters.
SELECT count(*) = (SELECT count(*) FROM citadel_tasks.hero_tasks WHERE assignee_id = 1 AND status IN ('completed', 'ready')
                   AND priority IN (2, 3) AND type = ANY ('{feature,bug_fix}') AND tags @> '{backend}' AND deleted_at IS NULL) AS same
FROM citadel_tasks.list_tasks(1, '{completed,ready}', '{2,3}', '{feature,bug_fix}', 'backend', page_size => 1000);
SELECT count(*) > 0 FROM citadel_tasks.list_tasks(include_deleted => true, page_size => 1000) l
JOIN citadel_tasks.hero_tasks t USING (id) WHERE t.deleted_at IS NOT NULL;
-- Refused.
SELECT * FROM citadel_tasks.list_tasks(sort => 'id; DROP TABLE x');
SELECT * FROM citadel_tasks.list_tasks(sort => NULL);
SELECT * FROM citadel_tasks.list_tasks(page_size => 0);
SELECT * FROM citadel_tasks.list_tasks(page_size => 1001);
SELECT * FROM citadel_tasks.list_tasks(descending => NULL);
SELECT * FROM citadel_tasks.list_tasks(after => 'AAAA');
SELECT count(*) FROM citadel_tasks.list_tasks(descending => true, after => (SELECT cursor FROM citadel_tasks.list_tasks(page_size => 1)));
SELECT count(*) FROM citadel_tasks.list_tasks(assignee => 2, after => (SELECT cursor FROM citadel_tasks.list_tasks(assignee => 1, page_size => 1)));
SELECT count(*) FROM citadel_tasks.list_tasks(sort => 'id', after => (SELECT cursor FROM citadel_tasks.list_tasks(page_size => 1)));

-- Dropping and making again: an old registration is no obstacle.
DROP EXTENSION citadel_tasks;
SELECT count(*) FROM pg_class WHERE relname LIKE 'hero\_%';
CREATE EXTENSION citadel_tasks;
SELECT citadel_tasks.setup_partitions(0, 1);
SELECT citadel_tasks.unregister_partitions();
DROP EXTENSION citadel_tasks;
