-- How to build what was recommended: step by step, with time and disk.

CREATE TYPE citadel.build_step AS (
    step_no int,
    statement text,
    estimated_seconds float8,
    disk_bytes bigint,
    temporary_bytes bigint,
    note text
);
COMMENT ON TYPE citadel.build_step IS
'A step of building an index: the statement, estimated seconds, bytes on disk afterwards (negative: freed), bytes of temporary files meanwhile, what to know';

-- The rates are those of one core with warm files; they are assumed. A build
-- reads the table (twice, when CONCURRENTLY: it looks again for what was missed), makes and sorts an entry for each row,
-- and writes the index. Sorting is rows x log2(rows) comparisons. GIN makes several entries a row, GiST descends its
-- tree for each; BRIN keeps one entry for 128 pages.
CREATE FUNCTION citadel.index_build_seconds(access_method text, table_bytes float8, row_count float8, index_bytes float8,
    without_blocking boolean) RETURNS float8
    LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
    AS $$
    SELECT CASE WHEN without_blocking THEN 2 ELSE 1 END * (table_bytes / 1.0e9 + row_count * 5.0e-8)
           + row_count * CASE access_method
                 WHEN 'btree' THEN 1.0e-7 + 9.0e-9 * log(2, greatest(row_count, 2)::numeric)::float8
                 WHEN 'hash' THEN 4.0e-7
                 WHEN 'brin' THEN 0
                 WHEN 'gin' THEN 4.0e-6
                 ELSE 5.0e-6 END
           + index_bytes / 5.0e8
    $$;
REVOKE ALL ON FUNCTION citadel.index_build_seconds(text, float8, float8, float8, boolean) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION citadel.index_build_seconds(text, float8, float8, float8, boolean) TO pg_monitor;
COMMENT ON FUNCTION citadel.index_build_seconds(text, float8, float8, float8, boolean) IS
'Internal: estimated seconds of building an index over a table of table_bytes and row_count rows, without waiting for other transactions';

-- Partitioned tables come first (ON ONLY, without data, invalid until every partition has its own), then the partitions,
-- then each is attached, deepest first: an index becomes valid when its last partition's is attached.
CREATE FUNCTION citadel.index_build_plan(recommendation_id bigint) RETURNS SETOF citadel.build_step
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
    AS $$
    WITH wanted AS (
        SELECT r.*, c.oid AS root, substring(r.definition, ' USING .*$') AS using_clause,
               (parse_ident(substring(r.definition, '^CREATE (?:UNIQUE )?INDEX (?:CONCURRENTLY )?((?:"(?:[^"]|"")*"|[^ ])+) ON ')))[1] AS index_name
        FROM citadel.index_recommendation r
        LEFT JOIN (pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace)
            ON n.nspname = r.schema_name AND c.relname = r.relation_name
        WHERE r.id = index_build_plan.recommendation_id
    ), tree AS (
        SELECT t.relation AS oid, t.parent, t.depth
        FROM wanted w CROSS JOIN citadel.partition_tree(ARRAY[w.root]) t WHERE w.action <> 'drop'
    ), tables AS (
        SELECT t.*, c.relkind, n.nspname, c.relname, greatest(c.reltuples, 0)::float8 AS row_count,
               CASE WHEN c.relkind = 'p' THEN 0 ELSE c.relpages::float8 * current_setting('block_size')::int END AS table_bytes,
               sum(CASE WHEN c.relkind = 'p' THEN 0 ELSE greatest(c.reltuples, 0) END) OVER ()::float8 AS all_rows
        FROM tree t JOIN pg_class c ON c.oid = t.oid JOIN pg_namespace n ON n.oid = c.relnamespace
    ), named AS (
        SELECT t.*, w.access_method, w.using_clause, w.definition, root.relkind = 'p' AS partitioned, free.name AS index_name,
               (CASE WHEN t.relkind = 'p' THEN 0
                     WHEN t.all_rows > 0 THEN w.size_bytes * t.row_count / t.all_rows
                     ELSE w.size_bytes END)::bigint AS index_bytes
        FROM tables t CROSS JOIN wanted w JOIN pg_class root ON root.oid = w.root
        CROSS JOIN LATERAL (
            SELECT CASE WHEN t.depth = 0 THEN w.index_name
                        WHEN octet_length(plain.name) <= 63 AND NOT EXISTS (
                            SELECT FROM pg_class x JOIN pg_namespace y ON y.oid = x.relnamespace
                            WHERE y.nspname = t.nspname AND x.relname = plain.name) THEN plain.name
                        ELSE 'idx_' || md5(t.oid || ' ' || w.index_name) END AS name
            FROM (SELECT t.relname || CASE WHEN starts_with(w.index_name, w.relation_name || '_')
                                           THEN substr(w.index_name, length(w.relation_name) + 1)
                                           ELSE '_' || w.index_name END AS name) AS plain) AS free
    ), steps AS (
        SELECT 1 AS phase, n.depth AS place, n.nspname || '.' || n.relname AS tie,
               format('CREATE INDEX %I ON ONLY %I.%I%s', n.index_name, n.nspname, n.relname, n.using_clause) AS statement,
               0::float8 AS seconds, 0::bigint AS bytes, 0::bigint AS temporary,
               'holds no rows; invalid until all partitions have theirs' AS note
        FROM named n WHERE n.partitioned AND n.relkind = 'p'
        UNION ALL
        SELECT 2, 0, n.nspname || '.' || n.relname,
               CASE WHEN n.partitioned THEN format('CREATE INDEX CONCURRENTLY %I ON %I.%I%s', n.index_name, n.nspname, n.relname,
                                                   n.using_clause)
                    ELSE n.definition END,
               citadel.index_build_seconds(n.access_method, n.table_bytes, n.row_count, n.index_bytes, true), n.index_bytes,
               CASE WHEN n.access_method IN ('btree', 'hash') AND n.index_bytes > pg_size_bytes(current_setting('maintenance_work_mem'))
                    THEN n.index_bytes ELSE 0 END,
               'waits for transactions that are open; reads and writes go on'
        FROM named n WHERE n.relkind <> 'p'
        UNION ALL
        SELECT 3, -n.depth, n.nspname || '.' || n.relname,
               format('ALTER INDEX %I.%I ATTACH PARTITION %I.%I', p.nspname, p.index_name, n.nspname, n.index_name), 0, 0, 0,
               'a moment under an exclusive lock on the two indexes'
        FROM named n JOIN named p ON p.oid = n.parent
        UNION ALL
        -- Only the keys count: what is before INCLUDE and WHERE has a parenthesis within its own.
        SELECT 4, 0, n.nspname || '.' || n.relname, format('ANALYZE %I.%I', n.nspname, n.relname),
               least((SELECT sum(t.table_bytes) FROM tables t), 30000.0 * current_setting('block_size')::int) / 1.0e9 + 0.1, 0, 0,
               'an index on an expression has no statistics until then'
        FROM named n
        WHERE n.depth = 0 AND regexp_replace(n.using_clause, ' (INCLUDE|WHERE) .*$', '') ~ '\(.*\('
        UNION ALL
        SELECT 5, 0, '', CASE WHEN w.action = 'drop' THEN w.definition
                              ELSE format('DROP INDEX CONCURRENTLY %I.%I', n.nspname, c.relname) END,
               0, CASE WHEN w.action = 'drop' THEN -w.size_bytes ELSE 0 END, 0,
               CASE WHEN w.action = 'drop' THEN 'waits for transactions that are open; reads and writes go on'
                    ELSE 'only when the new index is valid' END
        FROM wanted w LEFT JOIN (pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace) ON c.oid = w.index_oid
        WHERE w.action = 'drop' OR w.action = 'replace' AND c.oid IS NOT NULL
    )
    SELECT row_number() OVER (ORDER BY phase, place, tie)::int, statement, seconds, bytes, temporary, note
    FROM steps ORDER BY 1
    $$;
REVOKE ALL ON FUNCTION citadel.index_build_plan(bigint) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION citadel.index_build_plan(bigint) TO pg_monitor;
COMMENT ON FUNCTION citadel.index_build_plan(bigint) IS
'The steps that build (or drop) what a recommendation says, without blocking reads or writes, with estimated seconds and bytes; on a partitioned table partition by partition. Run each outside a transaction block, as the table''s owner. No rows when there is no such recommendation, or its table is gone';

CREATE FUNCTION citadel.explain_recommendation(recommendation_id bigint) RETURNS text
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
    AS $$
    SELECT concat_ws(E'\n',
        format('Recommendation %s (%s, %s): %s', r.id, r.action, r.status, r.definition),
        '',
        'Why: ' || r.reason,
        '',
        format('Helps %s statement%s%s; cost of the workload %s -> %s (%s less)', r.queries_helped,
               CASE WHEN r.queries_helped = 1 THEN '' ELSE 's' END,
               coalesce(', ' || citadel.percent((r.evidence -> 'load_share')::float8) || ' of the measured load', ''),
               citadel.figure(r.cost_before), citadel.figure(r.cost_after), citadel.percent(r.improvement)),
        (SELECT string_agg(format('  statement %s: cost %s -> %s, %s calls, planned with %s', s ->> 'query_id',
                                  round((s -> 'cost_before')::numeric, 2), round((s -> 'cost_after')::numeric, 2),
                                  round((s -> 'calls')::numeric), s ->> 'planned_with'), E'\n' ORDER BY position)
         FROM jsonb_array_elements(r.evidence -> 'statements') WITH ORDINALITY AS e (s, position)),
        (SELECT format('  worst hit: statement %s, cost %s -> %s', w ->> 'query_id', round((w -> 'cost_before')::numeric, 2),
                       round((w -> 'cost_after')::numeric, 2))
         FROM (SELECT r.evidence -> 'worst_hit') AS h (w) WHERE jsonb_typeof(w) = 'object'),
        '',
        format('Costs %s on disk, %s of planner cost for the writes of the same time%s', pg_size_pretty(r.size_bytes),
               citadel.figure(r.write_cost), coalesce(', about ' || round(r.build_seconds::numeric, 1) || ' s to build', '')),
        r.evidence ->> 'build_note',
        (SELECT format('When it is built: %s (%s)', s.statement, s.note)
         FROM citadel.index_build_plan(r.id) s WHERE s.statement LIKE 'ANALYZE %'),
        '',
        (SELECT 'Instead of it:' || E'\n' || string_agg(format('  %s: %s, %s of its gain', a ->> 'definition',
                pg_size_pretty((a -> 'size_bytes')::bigint), citadel.percent((a -> 'share_of_gain')::float8)), E'\n' ORDER BY position)
         FROM jsonb_array_elements(r.evidence -> 'alternatives') WITH ORDINALITY AS e (a, position) HAVING count(*) > 0),
        format('Confidence %s%s', round(r.confidence::numeric, 2),
               (SELECT ': ' || string_agg(doubt.word, '; ') FROM jsonb_array_elements_text(r.evidence #> '{confidence,reasons}') AS doubt (word))),
        (SELECT format('No set of the indexes considered brings the workload below %s; all recommendations together come to %s',
                       citadel.figure((r.evidence -> 'lower_bound')::float8), citadel.figure((r.evidence -> 'cost_of_all')::float8))
         WHERE r.evidence ? 'lower_bound'))
    FROM citadel.index_recommendation r WHERE r.id = explain_recommendation.recommendation_id
    $$;
REVOKE ALL ON FUNCTION citadel.explain_recommendation(bigint) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION citadel.explain_recommendation(bigint) TO pg_monitor;
COMMENT ON FUNCTION citadel.explain_recommendation(bigint) IS
'A recommendation in words: what it helps, what it costs, what it was compared with, how sure it is; NULL when there is none with this number';

CREATE FUNCTION citadel.recommendation_report(recommendation_id bigint) RETURNS jsonb
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
    AS $$
    SELECT (to_jsonb(r) - 'relation_oid' - 'index_oid')
           || jsonb_build_object('build_plan', coalesce((SELECT jsonb_agg(to_jsonb(s) ORDER BY s.step_no)
                                                         FROM citadel.index_build_plan(r.id) s), '[]'))
    FROM citadel.index_recommendation r WHERE r.id = recommendation_report.recommendation_id
    $$;
REVOKE ALL ON FUNCTION citadel.recommendation_report(bigint) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION citadel.recommendation_report(bigint) TO pg_monitor;
COMMENT ON FUNCTION citadel.recommendation_report(bigint) IS
'A recommendation as one JSON document: its row, evidence with plans, and build plan; NULL when there is none with this number';
