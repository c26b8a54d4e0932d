-- Reports over tasks. Each takes the moment it is about as a parameter, so that it can be tested and repeated.

CREATE TYPE citadel_tasks.task_statistics AS (
    total_tasks              bigint,
    open_tasks               bigint,
    blocked_tasks            bigint,
    completed_tasks          bigint,
    cancelled_tasks          bigint,
    overdue_tasks            bigint,
    due_within_7_days        bigint,
    unassigned_open_tasks    bigint,
    created_last_7_days      bigint,
    completed_last_7_days    bigint,
    completion_ratio         double precision,
    average_completion_hours double precision,
    median_completion_hours  double precision,
    by_status                jsonb,
    by_priority              jsonb,
    by_type                  jsonb,
    by_phase                 jsonb,
    computed_at              timestamptz
);
COMMENT ON TYPE citadel_tasks.task_statistics IS
    'Row of get_task_statistics(): counts of live tasks, completion_ratio 0..1, times from creation to completion in hours';

-- One pass over the table; the by_* counts come from the same grouping.
CREATE FUNCTION citadel_tasks.get_task_statistics(at timestamptz DEFAULT now())
    RETURNS citadel_tasks.task_statistics LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    WITH live AS (
        SELECT t.status, t.priority, t.type, t.phase,
               count(*) AS tasks,
               count(*) FILTER (WHERE t.due_at < at) AS past_due,
               count(*) FILTER (WHERE t.due_at >= at AND t.due_at < at + interval '7 days') AS due_soon,
               count(*) FILTER (WHERE t.assignee_id IS NULL) AS unassigned,
               count(*) FILTER (WHERE t.created_at >= at - interval '7 days') AS created_recently,
               count(*) FILTER (WHERE t.completed_at >= at - interval '7 days') AS completed_recently
        FROM citadel_tasks.hero_tasks t
        WHERE t.deleted_at IS NULL AND t.created_at <= at
        GROUP BY t.status, t.priority, t.type, t.phase
    ),
    totals AS (
        SELECT COALESCE(sum(tasks), 0)::bigint AS total,
               COALESCE(sum(tasks) FILTER (WHERE status NOT IN ('completed', 'cancelled')), 0)::bigint AS open,
               COALESCE(sum(tasks) FILTER (WHERE status = 'blocked'), 0)::bigint AS blocked,
               COALESCE(sum(tasks) FILTER (WHERE status = 'completed'), 0)::bigint AS completed,
               COALESCE(sum(tasks) FILTER (WHERE status = 'cancelled'), 0)::bigint AS cancelled,
               COALESCE(sum(past_due) FILTER (WHERE status NOT IN ('completed', 'cancelled')), 0)::bigint AS overdue,
               COALESCE(sum(due_soon) FILTER (WHERE status NOT IN ('completed', 'cancelled')), 0)::bigint AS due_soon,
               COALESCE(sum(unassigned) FILTER (WHERE status NOT IN ('completed', 'cancelled')), 0)::bigint AS unassigned,
               COALESCE(sum(created_recently), 0)::bigint AS created_recently,
               COALESCE(sum(completed_recently), 0)::bigint AS completed_recently
        FROM live
    ),
    completion AS (
        SELECT avg(hours) AS average, percentile_cont(0.5) WITHIN GROUP (ORDER BY hours) AS median
        FROM (SELECT EXTRACT(epoch FROM t.completed_at - t.created_at)::double precision / 3600 AS hours
              FROM citadel_tasks.hero_tasks t
              WHERE t.deleted_at IS NULL AND t.completed_at IS NOT NULL
                AND t.completed_at >= at - interval '90 days' AND t.completed_at <= at) AS recent
    )
    SELECT total, open, blocked, completed, cancelled, overdue, due_soon, unassigned, created_recently,
           completed_recently, completed::double precision / nullif(total, 0), average, median,
           COALESCE((SELECT jsonb_object_agg(status, n) FROM (SELECT status, sum(tasks) AS n FROM live GROUP BY 1) s), '{}'),
           COALESCE((SELECT jsonb_object_agg(priority, n) FROM (SELECT priority, sum(tasks) AS n FROM live GROUP BY 1) s), '{}'),
           COALESCE((SELECT jsonb_object_agg(type, n) FROM (SELECT type, sum(tasks) AS n FROM live GROUP BY 1) s), '{}'),
           COALESCE((SELECT jsonb_object_agg(phase, n) FROM (SELECT phase, sum(tasks) AS n FROM live GROUP BY 1) s), '{}'),
           at
    FROM totals, completion
$$;
REVOKE ALL ON FUNCTION citadel_tasks.get_task_statistics(timestamptz) FROM PUBLIC;
COMMENT ON FUNCTION citadel_tasks.get_task_statistics(timestamptz) IS
    'Counts of live tasks at a moment (by their present state), and completion times in hours over the 90 days before it';

CREATE TYPE citadel_tasks.user_task_summary AS (
    user_id                  bigint,
    open_tasks               bigint,
    in_progress_tasks        bigint,
    blocked_tasks            bigint,
    overdue_tasks            bigint,
    due_within_7_days        bigint,
    next_due_at              timestamptz,
    oldest_open_at           timestamptz,
    open_estimated_hours     numeric,
    completed_last_30_days   bigint,
    average_completion_hours double precision,
    reported_open_tasks      bigint,
    open_by_priority         jsonb
);
COMMENT ON TYPE citadel_tasks.user_task_summary IS
    'Row of get_user_task_summary(): live tasks of one user, estimates and completion times in hours';

-- The types of $1 and $2 are spelled out, so that the statement also parses where only its text is known.
CREATE FUNCTION citadel_tasks.get_user_task_summary(user_id bigint, at timestamptz DEFAULT now())
    RETURNS citadel_tasks.user_task_summary LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    WITH open_tasks AS (
        SELECT t.status, t.priority, t.due_at, t.created_at, t.estimated_hours
        FROM citadel_tasks.hero_tasks t
        WHERE t.assignee_id = $1::bigint AND t.deleted_at IS NULL
          AND t.status IN ('draft', 'ready', 'in_progress', 'blocked')
    ),
    completed AS (
        SELECT count(*) AS tasks, avg(EXTRACT(epoch FROM t.completed_at - t.created_at)::double precision / 3600) AS hours
        FROM citadel_tasks.hero_tasks t
        WHERE t.assignee_id = $1::bigint AND t.deleted_at IS NULL AND t.status = 'completed'
          AND t.completed_at > $2::timestamptz - interval '30 days' AND t.completed_at <= $2::timestamptz
    )
    SELECT $1::bigint, count(*), count(*) FILTER (WHERE o.status = 'in_progress'), count(*) FILTER (WHERE o.status = 'blocked'),
           count(*) FILTER (WHERE o.due_at < $2::timestamptz),
           count(*) FILTER (WHERE o.due_at >= $2::timestamptz AND o.due_at < $2::timestamptz + interval '7 days'),
           min(o.due_at) FILTER (WHERE o.due_at >= $2::timestamptz), min(o.created_at), COALESCE(sum(o.estimated_hours), 0),
           (SELECT c.tasks FROM completed c), (SELECT c.hours FROM completed c),
           (SELECT count(*) FROM citadel_tasks.hero_tasks r
            WHERE r.reporter_id = $1::bigint AND r.deleted_at IS NULL AND r.status IN ('draft', 'ready', 'in_progress', 'blocked')),
           COALESCE((SELECT jsonb_object_agg(p.priority, p.n)
                     FROM (SELECT priority, count(*) AS n FROM open_tasks GROUP BY 1) AS p), '{}')
    FROM open_tasks o
$$;
REVOKE ALL ON FUNCTION citadel_tasks.get_user_task_summary(bigint, timestamptz) FROM PUBLIC;
COMMENT ON FUNCTION citadel_tasks.get_user_task_summary(bigint, timestamptz) IS
    'What one user has open, overdue and lately completed, as one row; zeros for a user without tasks';

CREATE TYPE citadel_tasks.task_dependency AS (
    task_id         bigint,
    depth           integer,
    required_by     bigint,
    dependency_type text,
    task_number     text,
    title           text,
    status          text,
    is_open         boolean,
    closes_cycle    boolean
);
COMMENT ON TYPE citadel_tasks.task_dependency IS
    'Row of get_task_dependencies(): a task, the shortest number of steps to it, the task that needs it on that way, and whether it is the starting task again';

-- UNION removes equal (task, parent, type, depth) rows at each step, so work is bounded by edges times depth even where
-- many paths meet again or a cycle turns.
CREATE FUNCTION citadel_tasks.get_task_dependencies(task_id bigint, max_depth integer DEFAULT 10)
    RETURNS SETOF citadel_tasks.task_dependency LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF max_depth IS NULL OR max_depth NOT BETWEEN 1 AND 100 THEN
        RAISE EXCEPTION 'max_depth must be between 1 and 100' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    RETURN QUERY
        WITH RECURSIVE walk (id, depth, parent, type) AS (
            SELECT d.depends_on_id, 1, d.task_id, d.dependency_type
            FROM citadel_tasks.hero_task_dependencies d
            WHERE d.task_id = $1
            UNION
            SELECT d.depends_on_id, w.depth + 1, d.task_id, d.dependency_type
            FROM walk w
            JOIN citadel_tasks.hero_task_dependencies d ON d.task_id = w.id
            WHERE w.depth < $2 AND w.id <> $1
        ),
        nearest AS (
            SELECT DISTINCT ON (w.id) w.id, w.depth, w.parent, w.type
            FROM walk w
            ORDER BY w.id, w.depth, w.parent
        )
        SELECT n.id, n.depth, n.parent, n.type, t.task_number, t.title, t.status,
               t.deleted_at IS NULL AND t.status NOT IN ('completed', 'cancelled'), n.id = $1
        FROM nearest n
        JOIN citadel_tasks.hero_tasks t ON t.id = n.id
        ORDER BY n.depth, n.id;
END
$$;
REVOKE ALL ON FUNCTION citadel_tasks.get_task_dependencies(bigint, integer) FROM PUBLIC;
COMMENT ON FUNCTION citadel_tasks.get_task_dependencies(bigint, integer) IS
    'Tasks that a task waits for, directly or through others, each once with its shortest depth, at most max_depth (1 to 100) steps away; safe in cycles, the starting task appears with closes_cycle when it waits for itself. No rows for an unknown task; error 22023 for a depth out of range';
