-- Windows over minutes, hours and days: which bucket table answers for which part of a window.
--
-- Days where they are complete, hours at their edges, minutes at the edges of those and since the last full hour. Finer
-- ones than that only where a step asks for them, coarser ones where the finer have been dropped.

CREATE FUNCTION citadel.window_parts(from_time timestamptz, to_time timestamptz, step interval DEFAULT NULL,
        of_relations boolean DEFAULT false, OUT minute_from timestamptz, OUT minute_to timestamptz, OUT hour_from timestamptz,
        OUT hour_to timestamptz, OUT day_from timestamptz, OUT day_to timestamptz, OUT coarse_from timestamptz, OUT coarse_to timestamptz)
    LANGUAGE sql STABLE PARALLEL RESTRICTED SET search_path = pg_catalog, pg_temp
    AS $$
    WITH kept AS (
        SELECT date_trunc('day', clock.now - (SELECT s.setting::integer FROM pg_settings AS s
                   WHERE s.name = CASE WHEN of_relations THEN 'citadel_opt.history_retention'
                                       ELSE 'citadel_opt.minute_retention' END) * interval '1 minute', 'UTC') AS minutes,
            date_trunc('day', clock.now - (SELECT s.setting::integer FROM pg_settings AS s
                   WHERE s.name = 'citadel_opt.hour_retention') * interval '1 minute', 'UTC') AS hours
        FROM (SELECT citadel.history_clock() AS now) AS clock
    ), state AS (
        SELECT b.step, b.done_until FROM citadel.visible_bucket_state AS b WHERE NOT of_relations
        UNION ALL
        SELECT b.step, b.done_until FROM citadel.visible_relation_state AS b WHERE of_relations
    ), done AS (
        SELECT coalesce((SELECT b.done_until FROM state AS b WHERE b.step = 'hour'), '-infinity') AS hours,
            coalesce((SELECT b.done_until FROM state AS b WHERE b.step = 'day'), '-infinity') AS days
    ), asked AS (
        SELECT date_trunc('minute', from_time) AS begin, to_time AS finish,
            step IS NULL OR extract(epoch FROM step) % 3600 = 0 AS hours_do,
            step IS NULL OR extract(epoch FROM step) % 86400 = 0 AS days_do
    )
    SELECT p.*,
        least(CASE WHEN p.hour_from < p.hour_to THEN p.hour_from END, CASE WHEN p.day_from < p.day_to THEN p.day_from END),
        greatest(CASE WHEN p.hour_from < p.hour_to THEN p.hour_to END, CASE WHEN p.day_from < p.day_to THEN p.day_to END)
    FROM (
        SELECT a.begin, a.finish,
            CASE WHEN a.begin < k.minutes THEN date_trunc('hour', a.begin, 'UTC')
                ELSE date_trunc('hour', a.begin + interval '1 hour' - interval '1 microsecond', 'UTC') END AS hour_from,
            least(d.hours, date_trunc('hour', a.finish, 'UTC'), CASE WHEN NOT a.hours_do THEN k.minutes END) AS hour_to,
            CASE WHEN a.begin < k.hours THEN date_trunc('day', a.begin, 'UTC')
                ELSE date_trunc('day', a.begin + interval '24 hours' - interval '1 microsecond', 'UTC') END AS day_from,
            least(d.days, date_trunc('day', a.finish, 'UTC'), CASE WHEN NOT a.days_do THEN k.hours END) AS day_to
        FROM kept AS k, done AS d, asked AS a) AS p
    $$;
REVOKE ALL ON FUNCTION citadel.window_parts(timestamptz, timestamptz, interval, boolean) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION citadel.window_parts(timestamptz, timestamptz, interval, boolean) TO PUBLIC;
COMMENT ON FUNCTION citadel.window_parts(timestamptz, timestamptz, interval, boolean) IS
    'Which part of a window days answer for, which part hours (those outside the days), and which minutes (those outside both: '
    'outside coarse_from to coarse_to, which are NULL when neither answers for anything). step: how fine the answer has to be; NULL: one sum. of_relations: of the history of tables and indexes, not of statements.';

CREATE FUNCTION citadel.history_window(from_time timestamptz, to_time timestamptz, step interval, finest interval,
        OUT begins timestamptz, OUT ends timestamptz, OUT step_length interval)
    LANGUAGE sql STABLE PARALLEL RESTRICTED SET search_path = pg_catalog, pg_temp
    AS $$
    SELECT w.begins, w.ends, coalesce(step, greatest(finest, CASE WHEN w.ends - w.begins <= interval '3 hours' THEN interval '1 minute'
        WHEN w.ends - w.begins <= interval '2 days' THEN interval '10 minutes'
        WHEN w.ends - w.begins <= interval '14 days' THEN interval '1 hour'
        ELSE interval '1 day' END))
    FROM (SELECT coalesce(from_time, coalesce(to_time, clock.now) - interval '1 day') AS begins, coalesce(to_time, clock.now) AS ends
          FROM (SELECT citadel.history_clock() AS now) AS clock) AS w
    WHERE CASE WHEN NOT (isfinite(w.begins) AND isfinite(w.ends))
            THEN citadel.raise_error('22023', 'from_time and to_time must be finite') IS NULL
        WHEN step < interval '1 minute' OR extract(month FROM step) <> 0 OR extract(year FROM step) <> 0
            THEN citadel.raise_error('22023', 'step must be at least a minute and have no months', 'step is ' || step || '.') IS NULL
        WHEN w.begins >= w.ends THEN citadel.raise_error('22023', 'from_time must be before to_time') IS NULL
        ELSE true END
    $$;
REVOKE ALL ON FUNCTION citadel.history_window(timestamptz, timestamptz, interval, interval) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION citadel.history_window(timestamptz, timestamptz, interval, interval) TO PUBLIC;
COMMENT ON FUNCTION citadel.history_window(timestamptz, timestamptz, interval, interval) IS
    'The window and step that a report was asked for, with defaults: the last day; steps of a minute up to 3 hours, 10 minutes up to '
    '2 days, an hour up to 14 days, else a day, but not below finest. Raises 22023 for an empty or infinite window, a step under a minute or with months.';

CREATE TYPE citadel.statement_bucket AS (
    at timestamptz,
    until timestamptz,
    plan_id bigint,
    user_id oid,
    toplevel boolean,
    calls bigint,
    errors bigint,
    total_ms double precision,
    max_ms double precision,
    rows bigint,
    shared_hit bigint,
    shared_read bigint,
    temp_blocks bigint,
    latency bytea,
    error_classes jsonb
);
COMMENT ON TYPE citadel.statement_bucket IS 'A row of citadel.statement_buckets(): a minute, an hour or a day of a statement.';

CREATE FUNCTION citadel.statement_buckets(statement_id bigint, from_time timestamptz, to_time timestamptz,
                                          step interval DEFAULT NULL) RETURNS SETOF citadel.statement_bucket
    LANGUAGE sql STABLE PARALLEL RESTRICTED SET search_path = pg_catalog, pg_temp
    AS $$
    WITH part AS MATERIALIZED (SELECT * FROM citadel.window_parts(from_time, to_time, step))
    SELECT m.at, m.at + interval '1 minute', m.plan_id, m.user_id, m.toplevel, m.calls, m.errors, m.total_ms, m.max_ms, m.rows,
        m.shared_hit, m.shared_read, m.temp_blocks, m.latency, m.error_classes
    FROM citadel.visible_statement_minute AS m
    WHERE m.query_id = statement_id AND m.at >= (SELECT minute_from FROM part) AND m.at < (SELECT minute_to FROM part)
        AND (m.at < (SELECT coalesce(coarse_from, minute_to) FROM part) OR m.at >= (SELECT coarse_to FROM part))
    UNION ALL
    SELECT h.at, h.at + interval '1 hour', h.plan_id, h.user_id, h.toplevel, h.calls, h.errors, h.total_ms, h.max_ms, h.rows,
        h.shared_hit, h.shared_read, h.temp_blocks, h.latency, h.error_classes
    FROM citadel.visible_statement_hour AS h
    WHERE h.query_id = statement_id AND h.at >= (SELECT hour_from FROM part) AND h.at < (SELECT hour_to FROM part)
        AND (h.at < (SELECT day_from FROM part) OR h.at >= (SELECT day_to FROM part))
    UNION ALL
    SELECT d.at, d.at + interval '24 hours', d.plan_id, d.user_id, d.toplevel, d.calls, d.errors, d.total_ms, d.max_ms, d.rows,
        d.shared_hit, d.shared_read, d.temp_blocks, d.latency, d.error_classes
    FROM citadel.visible_statement_day AS d
    WHERE d.query_id = statement_id AND d.at >= (SELECT day_from FROM part) AND d.at < (SELECT day_to FROM part)
    $$;
REVOKE ALL ON FUNCTION citadel.statement_buckets(bigint, timestamptz, timestamptz, interval) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION citadel.statement_buckets(bigint, timestamptz, timestamptz, interval) TO PUBLIC;
COMMENT ON FUNCTION citadel.statement_buckets(bigint, timestamptz, timestamptz, interval) IS
    'What a statement did in a window, as far as the caller may see it, in as few buckets as answer for steps of that length '
    '(NULL: for one sum). The window begins at a full minute, or at the hour or day when nothing finer is kept.';

CREATE TYPE citadel.statement_total AS (
    query_id bigint,
    calls bigint,
    errors bigint,
    total_ms double precision,
    latency bytea,
    max_ms double precision,
    plans bigint,
    first_seen timestamptz,
    last_seen timestamptz
);
COMMENT ON TYPE citadel.statement_total IS 'A row of citadel.statement_totals(): a statement in a window.';

CREATE FUNCTION citadel.statement_totals(from_time timestamptz, to_time timestamptz) RETURNS SETOF citadel.statement_total
    LANGUAGE sql STABLE PARALLEL RESTRICTED SET search_path = pg_catalog, pg_temp
    AS $$
    WITH part AS MATERIALIZED (SELECT * FROM citadel.window_parts(from_time, to_time))
    SELECT b.query_id, sum(b.calls)::bigint, sum(b.errors)::bigint, sum(b.total_ms), citadel.latency_merge(array_agg(b.latency)),
        max(b.max_ms), count(DISTINCT b.plan_id) FILTER (WHERE b.plan_id <> 0), min(b.at), max(b.until)
    FROM (
        SELECT m.query_id, m.plan_id, m.at, m.at + interval '1 minute' AS until, m.calls, m.errors, m.total_ms, m.max_ms, m.latency
        FROM citadel.visible_statement_minute AS m
        WHERE m.at >= (SELECT minute_from FROM part) AND m.at < (SELECT minute_to FROM part)
            AND (m.at < (SELECT coalesce(coarse_from, minute_to) FROM part) OR m.at >= (SELECT coarse_to FROM part))
        UNION ALL
        SELECT h.query_id, h.plan_id, h.at, h.at + interval '1 hour' AS until, h.calls, h.errors, h.total_ms, h.max_ms, h.latency
        FROM citadel.visible_statement_hour AS h
        WHERE h.at >= (SELECT hour_from FROM part) AND h.at < (SELECT hour_to FROM part)
            AND (h.at < (SELECT day_from FROM part) OR h.at >= (SELECT day_to FROM part))
        UNION ALL
        SELECT d.query_id, d.plan_id, d.at, d.at + interval '24 hours' AS until, d.calls, d.errors, d.total_ms, d.max_ms, d.latency
        FROM citadel.visible_statement_day AS d
        WHERE d.at >= (SELECT day_from FROM part) AND d.at < (SELECT day_to FROM part)
    ) AS b
    GROUP BY b.query_id
    $$;
REVOKE ALL ON FUNCTION citadel.statement_totals(timestamptz, timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION citadel.statement_totals(timestamptz, timestamptz) TO PUBLIC;
COMMENT ON FUNCTION citadel.statement_totals(timestamptz, timestamptz) IS
    'What each statement did in a window, as far as the caller may see it; query 0 is the rest. Times in milliseconds.';
