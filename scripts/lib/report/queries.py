"""What the server is asked. Times are seconds since 1970, durations milliseconds, sizes bytes.

:'from' and :'to' are texts of the caller in WINDOW alone; everywhere else they are what WINDOW made of them.
"""

SERVER = """
SELECT current_database() AS database, current_user AS role, current_setting('server_version') AS version,
       current_setting('TimeZone') AS zone, pg_encoding_to_char(d.encoding) AS encoding,
       coalesce((SELECT extversion FROM pg_extension WHERE extname = 'citadel_opt'), '') AS extension,
       pg_has_role('pg_read_all_stats', 'USAGE') AS sees_all
FROM pg_database AS d WHERE d.datname = current_database()
"""

WINDOW = """
SELECT extract(epoch FROM w.begins)::float8 AS begin, extract(epoch FROM w.ends)::float8 AS end,
       extract(epoch FROM citadel.history_clock())::float8 AS now,
       (SELECT extract(epoch FROM min(b.at))::float8 FROM citadel.visible_statement_minute AS b) AS first_minute,
       (SELECT extract(epoch FROM min(b.at))::float8 FROM citadel.visible_statement_day AS b) AS first_day
FROM (SELECT coalesce(nullif(:'to', '')::timestamptz, citadel.history_clock()) AS ends,
             coalesce(nullif(:'from', '')::timestamptz,
                      coalesce(nullif(:'to', '')::timestamptz, citadel.history_clock()) - :'last'::interval) AS begins) AS w
"""

# Everything that ran, by step; the statements in :'top' by themselves, the others as 0.
LOAD = """
WITH part AS MATERIALIZED (
    SELECT * FROM citadel.window_parts(to_timestamp(:'from'), to_timestamp(:'to'), make_interval(secs => :'step'))
), bucket AS (
    SELECT b.at, b.query_id, b.calls, b.errors, b.total_ms FROM citadel.visible_statement_minute AS b
    WHERE b.toplevel AND b.at >= (SELECT minute_from FROM part) AND b.at < (SELECT minute_to FROM part)
        AND (b.at < (SELECT hour_from FROM part) OR b.at >= (SELECT hour_to FROM part))
        AND (b.at < (SELECT day_from FROM part) OR b.at >= (SELECT day_to FROM part))
    UNION ALL
    SELECT b.at, b.query_id, b.calls, b.errors, b.total_ms FROM citadel.visible_statement_hour AS b
    WHERE b.toplevel AND b.at >= (SELECT hour_from FROM part) AND b.at < (SELECT hour_to FROM part)
        AND (b.at < (SELECT day_from FROM part) OR b.at >= (SELECT day_to FROM part))
    UNION ALL
    SELECT b.at, b.query_id, b.calls, b.errors, b.total_ms FROM citadel.visible_statement_day AS b
    WHERE b.toplevel AND b.at >= (SELECT day_from FROM part) AND b.at < (SELECT day_to FROM part)
)
SELECT extract(epoch FROM date_bin(make_interval(secs => :'step'), b.at, '2000-01-01 00:00:00+00'))::float8 AS at,
       CASE WHEN b.query_id = ANY (:'top'::bigint[]) THEN b.query_id ELSE 0 END::text AS id,
       sum(b.calls)::float8 AS calls, sum(b.errors)::float8 AS errors, sum(b.total_ms) AS total_ms
FROM bucket AS b GROUP BY 1, 2 ORDER BY 1, 2
"""

STATEMENTS = """
SELECT t.query_id::text AS id, t.calls, t.errors, t.total_ms, t.total_ms / nullif(t.calls, 0) AS mean_ms, t.max_ms, t.plans,
       citadel.latency_percentile(t.latency, 0.5) AS p50, citadel.latency_percentile(t.latency, 0.95) AS p95,
       citadel.latency_percentile(t.latency, 0.99) AS p99,
       sum(t.total_ms) OVER () AS all_ms, sum(t.calls) OVER ()::float8 AS all_calls, sum(t.errors) OVER ()::float8 AS all_errors,
       count(*) OVER () AS statements,
       (SELECT s.query FROM citadel.visible_statement AS s WHERE s.query_id = t.query_id ORDER BY s.last_seen DESC LIMIT 1) AS text
FROM citadel.statement_totals(to_timestamp(:'from'), to_timestamp(:'to')) AS t
ORDER BY t.query_id = 0, t.total_ms DESC, t.query_id
LIMIT :'most'
"""

PERCENTILES = """
SELECT i.id::text AS id, extract(epoch FROM h.at)::float8 AS at, h.calls, h.errors, h.p50_ms AS p50, h.p95_ms AS p95, h.p99_ms AS p99,
       h.total_ms, h.plans[1]::text AS plan
FROM unnest(:'ids'::bigint[], :'steps'::float8[]) AS i (id, step),
     citadel.query_history(i.id, to_timestamp(:'from'), to_timestamp(:'to'), make_interval(secs => i.step)) AS h
ORDER BY 1, 2
"""

REGRESSIONS = """
SELECT r.id, r.query_id::text AS statement, r.state, extract(epoch FROM r.since)::float8 AS since,
       extract(epoch FROM r.last_seen)::float8 AS last_seen, extract(epoch FROM r.closed_at)::float8 AS closed,
       r.usual_ms, r.ms, r.worst_ms, r.cause, to_jsonb(r) ->> 'why' AS why, r.evidence,
       (SELECT s.query FROM citadel.visible_statement AS s WHERE s.query_id = r.query_id ORDER BY s.last_seen DESC LIMIT 1) AS text
FROM citadel.regression AS r
WHERE r.since < to_timestamp(:'to') AND coalesce(r.closed_at, 'infinity') >= to_timestamp(:'from')
ORDER BY r.state <> 'open', r.worst_ms / nullif(r.usual_ms, 0) DESC NULLS LAST, r.id LIMIT 50
"""

RECOMMENDATIONS = """
SELECT r.id, r.definition, r.status, r.action, r.size_bytes, r.cost_before, r.cost_after, r.improvement, r.queries_helped, r.reason,
       r.confidence, r.build_seconds, extract(epoch FROM r.first_found)::float8 AS found, format('%s.%s', r.schema_name, r.relation_name) AS relation,
       (SELECT json_agg(json_build_object('id', q.query_id::text, 'before', q.cost_before, 'after', q.cost_after, 'text', q.query))
        FROM (SELECT q.query_id, q.cost_before, q.cost_after,
                  (SELECT s.query FROM citadel.visible_statement AS s WHERE s.query_id = q.query_id ORDER BY s.last_seen DESC LIMIT 1) AS query
              FROM citadel.index_recommendation_query AS q WHERE q.recommendation_id = r.id
              ORDER BY q.cost_before - q.cost_after DESC LIMIT 3) AS q) AS statements
FROM citadel.index_recommendation AS r WHERE r.status = 'open' ORDER BY r.improvement DESC, r.id LIMIT 20
"""

TABLES = """
SELECT h.relation::oid::text AS id, h.schema_name AS schema, h.table_name AS name, extract(epoch FROM h.at)::float8 AS at,
       h.total_bytes, h.table_bytes, h.index_bytes, h.live_rows, h.dead_rows, h.rows_inserted, h.rows_updated, h.rows_deleted,
       h.seq_scans, h.index_scans, NOT EXISTS (SELECT FROM pg_class AS c WHERE c.oid = h.relation) AS gone
FROM citadel.table_history(NULL, to_timestamp(:'from'), to_timestamp(:'to'), make_interval(secs => greatest(:'step'::float8, 3600)), 60) AS h
"""

INDEXES = """
SELECT h.index::oid::text AS id, h.schema_name AS schema, h.index_name AS name, h.table_name, extract(epoch FROM h.at)::float8 AS at,
       h.size_bytes, h.scans, h.rows_read, NOT EXISTS (SELECT FROM pg_class AS c WHERE c.oid = h.index) AS gone
FROM citadel.index_history(NULL, to_timestamp(:'from'), to_timestamp(:'to'), make_interval(secs => greatest(:'step'::float8, 3600)), 200) AS h
"""

RUNWAY = """
SELECT r.relation::text AS name, r.status, r.partitions, r.days_left, r.partitions_ahead, r.premake, r.default_rows, r.alarm, r.last_error, r.covered_until
FROM citadel.partition_runway AS r ORDER BY r.days_left NULLS LAST, r.relation::text LIMIT 40
"""

ALERTS = """
SELECT a.alert_id, a.rule, a.severity, a.subject, a.state, a.value, a.worst_value, a.comparison, a.threshold, a.unit, a.detail,
       extract(epoch FROM a.opened_at)::float8 AS opened, extract(epoch FROM a.resolved_at)::float8 AS resolved, a.note
FROM citadel.alert AS a
WHERE a.opened_at < to_timestamp(:'to') AND coalesce(a.resolved_at, 'infinity') >= to_timestamp(:'from')
ORDER BY a.state = 'resolved', array_position(ARRAY['critical', 'warning', 'info'], a.severity), a.opened_at DESC LIMIT 60
"""

# DDL and changed settings; what one transaction, or a job, did to many objects is one row.
CHANGES = """
SELECT extract(epoch FROM c.at)::float8 AS at, c.what, c.name, c.objects
FROM (SELECT min(d.at) AS at, concat_ws(' ', nullif(d.command, ''), CASE WHEN d.command = '' THEN d.action END) AS what,
          (array_agg(concat_ws('.', d.schema_name, d.object_name) ORDER BY length(d.object_name), d.object_name))[1] AS name, count(*) AS objects
      FROM citadel.ddl_log AS d
      WHERE d.at >= to_timestamp(:'from') AND d.at < to_timestamp(:'to') AND d.schema_name NOT IN ('citadel', 'citadel_archive')
      GROUP BY date_trunc('minute', d.at), d.command, d.action
      UNION ALL
      SELECT s.at, 'setting', format('%s: %s → %s', s.setting, coalesce(s.old_value, 'not set'), coalesce(s.new_value, 'not set')), 1
      FROM citadel.setting_log AS s WHERE s.at >= to_timestamp(:'from') AND s.at < to_timestamp(:'to')) AS c
ORDER BY c.at DESC LIMIT 60
"""

SIZE = """
SELECT extract(epoch FROM s.at)::float8 AS at, s.bytes FROM citadel.database_size AS s
WHERE s.at >= to_timestamp(:'from') - interval '1 hour' AND s.at <= to_timestamp(:'to') ORDER BY s.at
"""
