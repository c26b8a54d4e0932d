-- generate_tasks(): as many tasks as wanted, with history, comments and dependencies; the same rows for the same seed.
--
-- Set-based: one INSERT a table. Every value is a function of the row number and the seed; moments are offsets from
-- reference_time. What it imitates: tasks arrive faster over the months and ids follow time; most are finished, the
-- chance falling with age (lognormal time to completion, median 6 days), a few are left lying open for ever; a few people hold most
-- tasks (Zipf); texts are lognormal in length; tags and customers have long tails.

CREATE TYPE citadel_tasks.generated AS (
    tasks        bigint,
    history      bigint,
    comments     bigint,
    dependencies bigint
);
COMMENT ON TYPE citadel_tasks.generated IS 'Rows that generate_tasks() added to each table';

CREATE FUNCTION citadel_tasks.generate_task_rows(first_id bigint, tasks bigint, key bigint, reference_time timestamptz,
                                                 start_time timestamptz)
    RETURNS bigint LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp SET "TimeZone" = 'UTC' SET enable_mergejoin = off SET enable_nestloop = off
AS $$
DECLARE
    added bigint;
    users bigint := GREATEST(10, tasks / 2000);
BEGIN
    INSERT INTO citadel_tasks.hero_tasks (id, task_number, title, description, status, priority, type, phase, assignee_id,
        reporter_id, parent_id, tags, metadata, estimated_hours, actual_hours, due_at, started_at, completed_at, created_at,
        updated_at, deleted_at, version)
    OVERRIDING SYSTEM VALUE
    SELECT first_id + s.n - 1, 'HT-' || (first_id + s.n - 1), s.title,
           CASE WHEN s.has_description THEN s.title || '. ' || p.long_text END,
           s.status, s.priority, s.type,
           CASE WHEN s.status IN ('completed', 'cancelled') THEN 'verify' WHEN s.status = 'draft' THEN 'audit'
                WHEN s.status = 'ready' THEN 'decide' ELSE 'apply' END,
           CASE WHEN s.is_assigned THEN s.assignee END, s.reporter,
           CASE WHEN s.parent_offset < s.n THEN first_id + s.n - 1 - s.parent_offset END,
           s.tags, s.metadata, s.estimate,
           CASE WHEN s.status = 'completed' THEN round((s.estimate * s.overrun)::numeric, 2) END,
           s.due_at,
           CASE WHEN s.status NOT IN ('draft', 'ready') THEN s.created_at + (s.touched_at - s.created_at) * 0.25 END,
           CASE WHEN s.status = 'completed' THEN s.touched_at END,
           s.created_at, s.touched_at, CASE WHEN s.is_deleted THEN s.touched_at END,
           CASE WHEN s.status IN ('draft', 'ready') THEN 1 ELSE 3 END
    FROM (
        SELECT d.n, d.text_slot, d.title, d.priority, d.type, d.reporter, d.parent_offset, d.tags, d.metadata, d.overrun,
               d.created_at, d.has_description, d.is_deleted,
               CASE WHEN d.is_closed THEN CASE WHEN d.u_cancel < 0.07 THEN 'cancelled' ELSE 'completed' END
                    WHEN d.is_abandoned THEN CASE WHEN d.u_status < 0.40 THEN 'draft' WHEN d.u_status < 0.75 THEN 'ready'
                                                  ELSE 'blocked' END
                    WHEN d.u_status < 0.20 THEN 'draft' WHEN d.u_status < 0.50 THEN 'ready'
                    WHEN d.u_status < 0.87 THEN 'in_progress' ELSE 'blocked' END AS status,
               d.assignee, d.u_assigned > CASE WHEN d.is_closed THEN 0.03 WHEN d.is_abandoned THEN 0.6 ELSE 0.15 END AS is_assigned,
               CASE WHEN d.is_closed THEN d.created_at + d.lifetime
                    WHEN d.is_abandoned THEN LEAST(reference_time, d.created_at + interval '1 hour' * d.u_touch)
                    ELSE d.created_at + (reference_time - d.created_at) * d.u_touch END AS touched_at,
               CASE WHEN d.has_due THEN date_trunc('day', d.created_at + interval '1 day' * d.due_days) + interval '17 hours' END
                   AS due_at,
               CASE WHEN d.has_estimate THEN d.estimate END AS estimate
        FROM (
            SELECT r.n, r.created_at, r.lifetime, r.is_abandoned,
                   NOT r.is_abandoned AND r.created_at + r.lifetime <= reference_time AS is_closed,
                   citadel_tasks.draw(r.n, key + 4) AS u_cancel,
                   citadel_tasks.draw(r.n, key + 5) AS u_status,
                   citadel_tasks.draw(r.n, key + 6) AS u_assigned,
                   citadel_tasks.draw(r.n, key + 7) AS u_touch,
                   citadel_tasks.draw_zipf(r.n, key + 8, users) AS assignee,
                   -- Who files most is not who works on most.
                   1 + (citadel_tasks.draw_zipf(r.n, key + 9, users) * 7919 + 13) % users AS reporter,
                   CASE WHEN citadel_tasks.draw(r.n, key + 10) < 0.18
                        THEN 1 + floor(200 * power(citadel_tasks.draw(r.n, key + 11), 2))::bigint ELSE r.n END AS parent_offset,
                   (width_bucket(citadel_tasks.draw(r.n, key + 12), ARRAY[0, 0.05, 0.25, 0.75]::float8[]))::smallint AS priority,
                   (ARRAY['feature', 'bug_fix', 'maintenance', 'refactor', 'documentation', 'test', 'research', 'planning',
                          'review', 'deployment'])[width_bucket(citadel_tasks.draw(r.n, key + 13),
                       ARRAY[0, 0.30, 0.58, 0.68, 0.76, 0.83, 0.90, 0.94, 0.97, 0.99]::float8[])] AS type,
                   citadel_tasks.draw(r.n, key + 14) < 0.70 AS has_due,
                   LEAST(400, citadel_tasks.draw_lognormal(r.n, key + 15, 14, 0.8)) AS due_days,
                   citadel_tasks.draw(r.n, key + 17) < 0.65 AS has_estimate,
                   round(LEAST(400, GREATEST(0.25, citadel_tasks.draw_lognormal(r.n, key + 18, 5, 1.0)))::numeric, 2) AS estimate,
                   LEAST(20, citadel_tasks.draw_lognormal(r.n, key + 20, 1.2, 0.4))::numeric AS overrun,
                   citadel_tasks.draw(r.n, key + 22) < 0.88 AS has_description,
                   citadel_tasks.draw(r.n, key + 23) < 0.02 AS is_deleted,
                   (citadel_tasks.draw(r.n, key + 24) * 1023.999)::integer & 1023 AS text_slot,
                   (ARRAY['Fix', 'Add', 'Review', 'Investigate', 'Remove', 'Refactor', 'Document', 'Test', 'Migrate',
                          'Rename', 'Speed up', 'Clean up', 'Design', 'Deploy', 'Restore', 'Replace'])
                       [1 + floor(16 * citadel_tasks.draw(r.n, key + 25))::integer] || ' '
                   || (ARRAY['login redirect', 'invoice export', 'search results', 'password reset', 'nightly import',
                             'rate limits', 'payment retries', 'audit trail', 'mobile layout', 'webhook delivery',
                             'user permissions', 'cache invalidation', 'backup checks', 'calendar sync', 'report totals',
                             'onboarding mail', 'session timeout', 'currency rounding', 'file uploads', 'error messages',
                             'health endpoint', 'release notes', 'test fixtures', 'query plans'])
                       [1 + floor(24 * citadel_tasks.draw(r.n, key + 26))::integer] || ' in '
                   || (ARRAY['billing', 'checkout', 'the admin console', 'the mobile app', 'reporting', 'the public API',
                             'the data warehouse', 'support tools', 'notifications', 'identity', 'scheduling', 'the website'])
                       [1 + floor(12 * citadel_tasks.draw(r.n, key + 27))::integer]
                   || CASE WHEN citadel_tasks.draw(r.n, key + 28) < 0.35
                           THEN ' for customer ' || citadel_tasks.draw_zipf(r.n, key + 29, 5000) ELSE '' END AS title,
                   array_remove(ARRAY[
                       CASE WHEN citadel_tasks.draw(r.n, key + 30) < 0.7 THEN
                           (ARRAY['backend', 'frontend', 'database', 'infrastructure', 'security', 'mobile', 'design', 'docs'])
                               [citadel_tasks.draw_zipf(r.n, key + 31, 8)] END,
                       CASE WHEN citadel_tasks.draw(r.n, key + 32) < 0.25 THEN
                           (ARRAY['urgent', 'customer-request', 'tech-debt', 'regression', 'quick-win', 'needs-info'])
                               [citadel_tasks.draw_zipf(r.n, key + 33, 6)] END,
                       CASE WHEN citadel_tasks.draw(r.n, key + 34) < 0.45 THEN
                           'topic-' || citadel_tasks.draw_zipf(r.n, key + 35, 3000) END,
                       CASE WHEN citadel_tasks.draw(r.n, key + 36) < 0.15 THEN
                           'release-' || to_char(r.created_at, 'YYYY-MM') END], NULL) AS tags,
                   jsonb_build_object(
                       'source', (ARRAY['web', 'email', 'api', 'import'])[citadel_tasks.draw_zipf(r.n, key + 37, 4)],
                       'sprint', floor(EXTRACT(epoch FROM r.created_at) / 1209600)::integer)
                   || CASE WHEN citadel_tasks.draw(r.n, key + 38) < 0.40 THEN
                           jsonb_build_object('customer', citadel_tasks.draw_zipf(r.n, key + 39, 20000)) ELSE '{}' END
                   || CASE WHEN citadel_tasks.draw(r.n, key + 40) < 0.30 THEN
                           jsonb_build_object('points', (ARRAY[1, 2, 3, 5, 8, 13])[citadel_tasks.draw_zipf(r.n, key + 41, 6)],
                                              'flags', jsonb_build_object('escalated', citadel_tasks.draw(r.n, key + 42) < 0.1))
                      ELSE '{}' END AS metadata
            FROM (
                SELECT g AS n,
                       start_time + (reference_time - start_time) * power((g - 0.5) / tasks, 0.75) AS created_at,
                       interval '1 second' * GREATEST(300, 86400 * citadel_tasks.draw_lognormal(g, key + 1, 6, 1.3)) AS lifetime,
                       citadel_tasks.draw(g, key + 3) < 0.03 AS is_abandoned
                FROM generate_series(1, tasks) AS g
                OFFSET 0
            ) AS r
            OFFSET 0
        ) AS d
        OFFSET 0
    ) AS s
    JOIN citadel_tasks.text_pool(key + 50) AS p ON p.slot = s.text_slot;
    GET DIAGNOSTICS added = ROW_COUNT;
    RETURN added;
END
$$;
REVOKE ALL ON FUNCTION citadel_tasks.generate_task_rows(bigint, bigint, bigint, timestamptz, timestamptz) FROM PUBLIC;
COMMENT ON FUNCTION citadel_tasks.generate_task_rows(bigint, bigint, bigint, timestamptz, timestamptz) IS
    'The part of generate_tasks() that adds the tasks themselves';

-- A task's path through the states ends at its present one; times along it are spread between creation and last change.
CREATE FUNCTION citadel_tasks.generate_history_rows(first_id bigint, tasks bigint, key bigint, first_history_id bigint)
    RETURNS bigint LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp SET enable_seqscan = off
AS $$
DECLARE
    added bigint;
BEGIN
    INSERT INTO citadel_tasks.hero_workflow_history (id, task_id, from_status, to_status, from_phase, to_phase, changed_by,
                                                     reason, changed_at)
    SELECT first_history_id - 1 + row_number() OVER (ORDER BY s.id, k), s.id, s.path[k - 1], s.path[k],
           CASE s.path[k - 1] WHEN 'draft' THEN 'audit' WHEN 'ready' THEN 'decide' WHEN 'in_progress' THEN 'apply'
                              WHEN 'blocked' THEN 'apply' END,
           CASE s.path[k] WHEN 'draft' THEN 'audit' WHEN 'ready' THEN 'decide' WHEN 'in_progress' THEN 'apply'
                          WHEN 'blocked' THEN 'apply' ELSE 'verify' END,
           CASE WHEN k = 1 THEN s.reporter_id ELSE COALESCE(s.assignee_id, s.reporter_id) END,
           CASE WHEN s.path[k] IN ('blocked', 'cancelled') THEN
               (ARRAY['waiting for customer', 'waiting for review', 'no longer needed', 'duplicate', 'needs another team'])
                   [1 + floor(5 * citadel_tasks.draw(s.id - first_id + 1, key + 60 + k))::integer] END,
           s.created_at + s.span * CASE WHEN s.steps = 1 THEN 0
                                        ELSE power((k - 1)::double precision / (s.steps - 1), 1.5) END
    FROM (
        SELECT p.id, p.reporter_id, p.assignee_id, p.created_at, p.span, p.path, cardinality(p.path) AS steps
        FROM (
            SELECT t.id, t.reporter_id, t.assignee_id, t.created_at, t.updated_at - t.created_at AS span,
                   CASE WHEN t.status = 'draft' THEN ARRAY['draft']
                        WHEN t.status = 'ready' THEN ARRAY['draft', 'ready']
                        WHEN t.status = 'in_progress' THEN ARRAY['ready', 'in_progress']
                        WHEN t.status = 'blocked' THEN ARRAY['ready', 'in_progress', 'blocked']
                        WHEN citadel_tasks.draw(t.id - first_id + 1, key + 51) < 0.10 THEN
                            ARRAY['draft', 'ready', 'in_progress', 'blocked', 'in_progress', t.status]
                        WHEN citadel_tasks.draw(t.id - first_id + 1, key + 51) < 0.55 THEN
                            ARRAY['ready', 'in_progress', t.status]
                        ELSE ARRAY['in_progress', t.status] END AS path
            FROM citadel_tasks.hero_tasks t
            WHERE t.id >= first_id AND t.id < first_id + tasks
            ORDER BY t.id
            OFFSET 0
        ) AS p
        OFFSET 0
    ) AS s
    CROSS JOIN LATERAL generate_series(1, s.steps) AS k;
    GET DIAGNOSTICS added = ROW_COUNT;
    RETURN added;
END
$$;
REVOKE ALL ON FUNCTION citadel_tasks.generate_history_rows(bigint, bigint, bigint, bigint) FROM PUBLIC;
COMMENT ON FUNCTION citadel_tasks.generate_history_rows(bigint, bigint, bigint, bigint) IS
    'The part of generate_tasks() that adds the history of tasks already there';

CREATE FUNCTION citadel_tasks.generate_comment_rows(first_id bigint, tasks bigint, key bigint, first_comment_id bigint)
    RETURNS bigint LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET enable_mergejoin = off
AS $$
DECLARE
    added bigint;
BEGIN
    INSERT INTO citadel_tasks.hero_task_comments (id, task_id, author_id, body, is_internal, created_at, edited_at)
    SELECT first_comment_id - 1 + c.number, c.task_id, c.author, p.short_text, c.is_internal, c.written,
           CASE WHEN c.is_edited THEN c.written + interval '3 minutes' END
    FROM (
        SELECT row_number() OVER (ORDER BY t.id, k) AS number, t.id AS task_id,
               CASE WHEN citadel_tasks.draw(t.draw_id * 64 + k, key + 71) < 0.5 THEN t.reporter_id
                    ELSE COALESCE(t.assignee_id, t.reporter_id) END AS author,
               (citadel_tasks.draw(t.draw_id * 64 + k, key + 72) * 1023.999)::integer & 1023 AS slot,
               citadel_tasks.draw(t.draw_id * 64 + k, key + 73) < 0.3 AS is_internal,
               citadel_tasks.draw(t.draw_id * 64 + k, key + 74) < 0.04 AS is_edited,
               t.created_at + t.span * ((k - citadel_tasks.draw(t.draw_id * 64 + k, key + 75)) / t.comments) AS written
        FROM (
            SELECT h.id, h.id - first_id + 1 AS draw_id, h.reporter_id, h.assignee_id, h.created_at,
                   h.updated_at - h.created_at AS span,
                   LEAST(60, floor(citadel_tasks.draw_lognormal(h.id - first_id + 1, key + 76, 1.0, 1.1)))::integer AS comments
            FROM citadel_tasks.hero_tasks h
            WHERE h.id >= first_id AND h.id < first_id + tasks
            ORDER BY h.id
            OFFSET 0
        ) AS t
        CROSS JOIN LATERAL generate_series(1, t.comments) AS k
    ) AS c
    JOIN citadel_tasks.text_pool(key + 50) AS p ON p.slot = c.slot;
    GET DIAGNOSTICS added = ROW_COUNT;
    RETURN added;
END
$$;
REVOKE ALL ON FUNCTION citadel_tasks.generate_comment_rows(bigint, bigint, bigint, bigint) FROM PUBLIC;
COMMENT ON FUNCTION citadel_tasks.generate_comment_rows(bigint, bigint, bigint, bigint) IS
    'The part of generate_tasks() that adds comments to tasks already there';

CREATE FUNCTION citadel_tasks.generate_tasks(
    tasks bigint, seed integer DEFAULT 1,
    reference_time timestamptz DEFAULT date_trunc('day', now(), 'UTC'), months integer DEFAULT 18)
    RETURNS citadel_tasks.generated LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp SET "TimeZone" = 'UTC'
AS $$
DECLARE
    key              bigint := seed::bigint * 1000003;
    start_time       timestamptz := reference_time - make_interval(months => months);
    parent           text;
    covered          boolean;
    first_id         bigint;
    first_history_id bigint;
    first_comment_id bigint;
    result           citadel_tasks.generated;
BEGIN
    IF tasks IS NULL OR tasks NOT BETWEEN 1 AND 1000000000 THEN
        RAISE EXCEPTION 'tasks must be between 1 and 1000000000' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF seed IS NULL OR reference_time IS NULL OR NOT isfinite(reference_time) THEN
        RAISE EXCEPTION 'seed and reference_time must be given' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF months IS NULL OR months NOT BETWEEN 1 AND 1200 THEN
        RAISE EXCEPTION 'months must be between 1 and 1200' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    FOREACH parent IN ARRAY ARRAY['citadel_tasks.hero_workflow_history', 'citadel_tasks.hero_task_comments'] LOOP
        -- No gap either: the partitions that touch the span must add up to an unbroken range.
        SELECT COALESCE(min(b.lower_bound) <= start_time AND max(b.upper_bound) > reference_time + interval '1 hour'
                        AND bool_and(b.gapless), false)
            INTO covered
            FROM (SELECT lower_bound, upper_bound,
                         lower_bound = lag(upper_bound, 1, lower_bound) OVER (ORDER BY lower_bound) AS gapless
                  FROM citadel_tasks.partition_bounds(parent::regclass)) AS b;
        IF NOT covered THEN
            RAISE EXCEPTION 'partitions of % do not cover % to %', parent, start_time, reference_time
                USING ERRCODE = 'object_not_in_prerequisite_state',
                      HINT = format('Call citadel_tasks.setup_partitions(months_back => %s) first.',
                                    GREATEST(1, (EXTRACT(year FROM age(now(), start_time)) * 12
                                                 + EXTRACT(month FROM age(now(), start_time)))::integer + 1));
        END IF;
    END LOOP;

    -- Keys continue after those there are; nobody may take one meanwhile.
    LOCK TABLE citadel_tasks.hero_tasks, citadel_tasks.hero_workflow_history, citadel_tasks.hero_task_comments
        IN SHARE ROW EXCLUSIVE MODE;
    SELECT COALESCE(max(id), 0) + 1 INTO first_id FROM citadel_tasks.hero_tasks;
    SELECT COALESCE(max(id), 0) + 1 INTO first_history_id FROM citadel_tasks.hero_workflow_history;
    SELECT COALESCE(max(id), 0) + 1 INTO first_comment_id FROM citadel_tasks.hero_task_comments;

    RAISE LOG 'citadel_tasks: generating % tasks', tasks;
    result.tasks := citadel_tasks.generate_task_rows(first_id, tasks, key, reference_time, start_time);
    result.history := citadel_tasks.generate_history_rows(first_id, tasks, key, first_history_id);
    result.comments := citadel_tasks.generate_comment_rows(first_id, tasks, key, first_comment_id);

    -- A dependency points to an earlier task of the last few thousand, so there is no cycle.
    INSERT INTO citadel_tasks.hero_task_dependencies (task_id, depends_on_id, dependency_type, created_at)
    SELECT t.id, first_id + d.n - 1 - d.distance,
           (ARRAY['blocks', 'relates_to', 'duplicates'])[width_bucket(citadel_tasks.draw(d.n * 4 + d.k, key + 82),
                                                                      ARRAY[0, 0.75, 0.97]::float8[])],
           t.created_at
    FROM (SELECT DISTINCT ON (g, distance) g AS n, k,
                 1 + floor(3000 * power(citadel_tasks.draw(g * 4 + k, key + 81), 3))::bigint AS distance
          FROM generate_series(1, tasks) AS g, generate_series(1, 3) AS k
          WHERE citadel_tasks.draw(g * 4 + k, key + 80) < 0.10
          ORDER BY g, distance, k) AS d
    JOIN citadel_tasks.hero_tasks t ON t.id = first_id + d.n - 1
    WHERE d.distance < d.n;
    GET DIAGNOSTICS result.dependencies = ROW_COUNT;

    PERFORM setval('citadel_tasks.hero_tasks_id_seq', first_id + result.tasks - 1);
    PERFORM setval('citadel_tasks.hero_workflow_history_id_seq', first_history_id + result.history - 1);
    IF result.comments > 0 THEN
        PERFORM setval('citadel_tasks.hero_task_comments_id_seq', first_comment_id + result.comments - 1);
    END IF;
    RETURN result;
END
$$;
REVOKE ALL ON FUNCTION citadel_tasks.generate_tasks(bigint, integer, timestamptz, integer) FROM PUBLIC;
COMMENT ON FUNCTION citadel_tasks.generate_tasks(bigint, integer, timestamptz, integer) IS
    'Adds that many tasks with history, comments (about 5 rows a task in all) and dependencies, spread over the months before reference_time; the same arguments on empty tables give the same rows. Run ANALYZE afterwards. Errors: 22023 for arguments out of range, 55000 when partitions do not cover the span';
