-- causes: why a statement is slow, in words, from its plan (EXPLAIN FORMAT JSON), the catalogue and the samples.
--
-- Every cause is one sentence with the figures it rests on and what could be done. Plans without row counts give
-- estimates only, and the sentence says so. Thresholds stand in the functions, beside the reason for them. All of this
-- reads what it is given and the catalogue, which everybody may read, and nothing looks into tables: so all may call it.

CREATE TYPE citadel.plan_node AS (
    path integer[],
    parent integer[],
    node_type text,
    relation oid,
    relation_name text,
    below_limit boolean,
    parallel_divisor double precision,
    plan_rows double precision,
    loops double precision,
    actual_rows double precision,
    removed_rows double precision,
    filter text,
    node jsonb
);
COMMENT ON TYPE citadel.plan_node IS
    'One node of a plan: place in the tree, relation as it stands in the catalogue now (NULL: gone), rows per loop.';

CREATE FUNCTION citadel.figure(value double precision) RETURNS text
    LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
    AS $$ SELECT to_char(round(value::numeric), 'FM999,999,999,999,999,990') $$;
REVOKE ALL ON FUNCTION citadel.figure(double precision) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION citadel.figure(double precision) TO PUBLIC;
COMMENT ON FUNCTION citadel.figure(double precision) IS 'A count in words of a report: 1,234,567.';

CREATE FUNCTION citadel.percent(share double precision) RETURNS text
    LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
    AS $$
    SELECT CASE WHEN share >= 0.1 THEN round((share * 100)::numeric)::text
                WHEN share >= 0.001 THEN round((share * 100)::numeric, 1)::text
                ELSE 'under 0.1' END || ' %'
    $$;
REVOKE ALL ON FUNCTION citadel.percent(double precision) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION citadel.percent(double precision) TO PUBLIC;
COMMENT ON FUNCTION citadel.percent(double precision) IS 'A share (0..1) in words of a report: 12 %, 0.3 %, under 0.1 %.';

CREATE FUNCTION citadel.plan_relation(schema_name text, relation_name text, search_path text) RETURNS oid
    LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
    AS $$
    SELECT c.oid
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relname = relation_name AND c.relkind IN ('r', 'm', 'p', 'f')
      AND (n.nspname = schema_name OR schema_name IS NULL AND n.nspname NOT IN ('pg_toast', 'information_schema'))
    ORDER BY array_position(string_to_array(replace(replace(search_path, '"', ''), ', ', ','), ','), n.nspname::text),
             n.nspname
    LIMIT 1
    $$;
REVOKE ALL ON FUNCTION citadel.plan_relation(text, text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION citadel.plan_relation(text, text, text) TO PUBLIC;
COMMENT ON FUNCTION citadel.plan_relation(text, text, text) IS
    'The relation that a plan node names; without a schema the first in that search_path. NULL when there is none.';

-- With workers planned, the estimates of partial nodes are per process: as the planner divides them
-- (get_parallel_divisor in costsize.c), so they are multiplied here.
CREATE FUNCTION citadel.plan_nodes(plan jsonb, search_path text DEFAULT NULL) RETURNS SETOF citadel.plan_node
    LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
    AS $$
    WITH RECURSIVE walk AS (
        SELECT ARRAY[1] AS path, NULL::integer[] AS parent, false AS below_limit, 1::double precision AS divisor, root.node
        FROM (SELECT coalesce(plan #> '{0,Plan}', plan -> 'Plan', plan) AS node) AS root
        WHERE jsonb_typeof(root.node) = 'object' AND root.node ? 'Node Type'
        UNION ALL
        SELECT w.path || c.position::integer, w.path, w.below_limit OR w.node ->> 'Node Type' = 'Limit',
               CASE WHEN w.node ? 'Workers Planned'
                    THEN (w.node -> 'Workers Planned')::double precision
                         + greatest(0, 1 - 0.3 * (w.node -> 'Workers Planned')::double precision)
                    ELSE w.divisor END,
               c.node
        FROM walk w, jsonb_array_elements(CASE jsonb_typeof(w.node -> 'Plans') WHEN 'array' THEN w.node -> 'Plans'
                                          ELSE '[]' END) WITH ORDINALITY AS c (node, position)
        WHERE cardinality(w.path) < 200
    )
    SELECT w.path, w.parent, w.node ->> 'Node Type', relation.oid,
           coalesce((SELECT format('%I.%I', n.nspname, c.relname)
                     FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = relation.oid),
                    CASE WHEN w.node ? 'Relation Name'
                         THEN concat_ws('.', quote_ident(w.node ->> 'Schema'), quote_ident(w.node ->> 'Relation Name')) END),
           w.below_limit, w.divisor, (w.node -> 'Plan Rows')::double precision,
           (w.node -> 'Actual Loops')::double precision, (w.node -> 'Actual Rows')::double precision,
           coalesce((w.node -> 'Rows Removed by Filter')::double precision, 0), w.node ->> 'Filter', w.node - 'Plans'
    FROM walk w, LATERAL (SELECT CASE WHEN w.node ? 'Relation Name'
            THEN citadel.plan_relation(w.node ->> 'Schema', w.node ->> 'Relation Name', search_path) END) AS relation (oid)
    $$;
REVOKE ALL ON FUNCTION citadel.plan_nodes(jsonb, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION citadel.plan_nodes(jsonb, text) TO PUBLIC;
COMMENT ON FUNCTION citadel.plan_nodes(jsonb, text) IS
    'The nodes of a plan in the forms that EXPLAIN (FORMAT JSON) and auto_explain print, or of a bare node; no rows for '
    'anything else. A plan deeper than 200 nodes is cut there.';

-- A slow sequential scan that keeps most of what it reads is the right plan; under a fifth kept is where an index starts
-- to pay. Below 1,000 rows nothing is slow. Partitions count together as the table that the statement names.
CREATE FUNCTION citadel.cause_sequential_scan(nodes citadel.plan_node[], counted boolean) RETURNS SETOF text
    LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
    AS $$
    WITH scan AS (
        SELECT n.*, coalesce(pg_partition_root(n.relation), n.relation) AS root,
               CASE WHEN counted THEN (n.actual_rows + n.removed_rows) * n.loops ELSE c.reltuples END AS rows_read,
               CASE WHEN counted THEN n.actual_rows * n.loops ELSE n.plan_rows * n.parallel_divisor END AS rows_kept
        FROM unnest(nodes) n LEFT JOIN pg_class c ON c.oid = n.relation
        WHERE n.node_type = 'Seq Scan' AND n.filter IS NOT NULL
    ), by_table AS (
        SELECT coalesce(root::bigint::text, relation_name) AS key, root, min(relation_name) AS name, count(*) AS scans,
               sum(rows_read) AS rows_read, sum(rows_kept) AS rows_kept, max(loops) AS loops, min(filter) AS filter
        FROM scan GROUP BY 1, 2
    )
    SELECT format('sequential scan on %s reads %s%s rows and keeps %s (%s%s)%s; filter %s: an index on the filtered '
                  'columns would read only what is needed',
                  coalesce((SELECT format('%I.%I', s.nspname, c.relname) FROM pg_class c
                            JOIN pg_namespace s ON s.oid = c.relnamespace WHERE c.oid = t.root), t.name)
                  || CASE WHEN t.scans > 1 THEN format(' (%s partitions or passes)', t.scans) ELSE '' END,
                  CASE WHEN counted THEN '' ELSE 'about ' END, citadel.figure(t.rows_read), citadel.figure(t.rows_kept),
                  citadel.percent(t.rows_kept / t.rows_read), CASE WHEN counted THEN '' ELSE ', estimated' END,
                  CASE WHEN counted AND t.loops >= 10 THEN format(' in %s runs', citadel.figure(t.loops)) ELSE '' END,
                  left(t.filter, 200))
    FROM by_table t
    WHERE t.rows_read >= 1000 AND t.rows_kept <= t.rows_read * 0.2
    ORDER BY t.rows_read DESC
    $$;
REVOKE ALL ON FUNCTION citadel.cause_sequential_scan(citadel.plan_node[], boolean) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION citadel.cause_sequential_scan(citadel.plan_node[], boolean) TO PUBLIC;
COMMENT ON FUNCTION citadel.cause_sequential_scan(citadel.plan_node[], boolean) IS
    'Sequential scans that read 1,000 rows or more and keep a fifth of them or less.';

CREATE FUNCTION citadel.cause_index_filter(nodes citadel.plan_node[], counted boolean) RETURNS SETOF text
    LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
    AS $$
    SELECT format('%s on %s%s fetches %s rows and keeps %s (%s); filter %s: an index that also holds the filtered columns '
                  'would not fetch the others',
                  lower(n.node_type), n.relation_name, coalesce(' using ' || quote_ident(n.node ->> 'Index Name'), ''),
                  citadel.figure((n.actual_rows + n.removed_rows) * n.loops), citadel.figure(n.actual_rows * n.loops),
                  citadel.percent(n.actual_rows / (n.actual_rows + n.removed_rows)), left(n.filter, 200))
    FROM unnest(nodes) n
    WHERE counted AND n.node_type IN ('Index Scan', 'Bitmap Heap Scan') AND n.filter IS NOT NULL
      AND n.removed_rows * n.loops >= 10000 AND n.actual_rows <= n.removed_rows * 0.1
    ORDER BY n.removed_rows * n.loops DESC
    $$;
REVOKE ALL ON FUNCTION citadel.cause_index_filter(citadel.plan_node[], boolean) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION citadel.cause_index_filter(citadel.plan_node[], boolean) TO PUBLIC;
COMMENT ON FUNCTION citadel.cause_index_filter(citadel.plan_node[], boolean) IS
    'Index scans whose filter discards 10,000 rows or more and nine tenths of what was fetched; needs row counts.';

-- Counted plans say where the spill was; the samples' temporary blocks (citadel.sample_causes) say it without.
CREATE FUNCTION citadel.cause_spill(nodes citadel.plan_node[]) RETURNS SETOF text
    LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
    AS $$
    SELECT format('sort by %s spills %s to disk: more work_mem, fewer rows, or an index in that order would avoid it',
                  coalesce((SELECT string_agg(k, ', ') FROM jsonb_array_elements_text(n.node -> 'Sort Key') k), 'its key'),
                  pg_size_pretty((spill.kilobytes * 1024)::bigint))
    FROM unnest(nodes) n, LATERAL (
        SELECT sum(s.kilobytes) AS kilobytes
        FROM (SELECT (w -> 'Sort Space Used')::double precision AS kilobytes
              FROM (SELECT n.node AS w UNION ALL SELECT jsonb_path_query(n.node, 'lax $.Workers[*]')) AS process
              WHERE w ->> 'Sort Space Type' = 'Disk'
              UNION ALL
              SELECT (jsonb_path_query(n.node, 'lax $.*."Sort Space Disk"."Peak Sort Space Used"'))::double precision) AS s
    ) AS spill
    WHERE n.node_type IN ('Sort', 'Incremental Sort') AND spill.kilobytes > 0
    UNION ALL
    SELECT format('hash table of %s spills: %s batches%s; more work_mem (or hash_mem_multiplier), or fewer or narrower '
                  'rows, would keep it in memory', CASE n.node_type WHEN 'Hash' THEN 'a hash join' ELSE 'an aggregate' END,
                  citadel.figure(batches.n),
                  coalesce(', ' || pg_size_pretty((n.node -> 'Disk Usage')::bigint * 1024) || ' on disk', ''))
    FROM unnest(nodes) n, LATERAL (
        SELECT greatest((n.node -> 'Hash Batches')::double precision,
                        CASE WHEN n.node ? 'Disk Usage' THEN (n.node -> 'HashAgg Batches')::double precision END)) AS batches (n)
    WHERE n.node_type IN ('Hash', 'Aggregate') AND batches.n > 1
    $$;
REVOKE ALL ON FUNCTION citadel.cause_spill(citadel.plan_node[]) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION citadel.cause_spill(citadel.plan_node[]) TO PUBLIC;
COMMENT ON FUNCTION citadel.cause_spill(citadel.plan_node[]) IS
    'Sorts and hash tables that went to disk, from the sort space and batches that a counted plan reports.';

-- A sort that keeps few of its rows, because a LIMIT asks for no more, reads all of them only to find the first ones.
CREATE FUNCTION citadel.cause_sort_for_limit(nodes citadel.plan_node[], counted boolean) RETURNS SETOF text
    LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
    AS $$
    WITH sorted AS (
        SELECT s.path, s.node -> 'Sort Key' AS keys, i.relation_name,
               CASE WHEN counted THEN i.actual_rows * i.loops ELSE i.plan_rows * i.parallel_divisor END AS rows_in,
               CASE WHEN counted THEN s.actual_rows * s.loops
                    ELSE (SELECT max(l.plan_rows) FROM unnest(nodes) l
                          WHERE l.node_type = 'Limit' AND l.path = s.path[1:cardinality(l.path)]) END AS rows_out
        FROM unnest(nodes) s JOIN unnest(nodes) i ON i.parent = s.path
        WHERE s.node_type = 'Sort' AND s.below_limit
          AND i.node_type IN ('Seq Scan', 'Index Scan', 'Bitmap Heap Scan')
    )
    SELECT format('sorts %s%s rows of %s to return the first %s: an index in this order (%s) would give them without reading '
                  'the others', CASE WHEN counted THEN '' ELSE 'about ' END, citadel.figure(rows_in), relation_name,
                  citadel.figure(rows_out),
                  (SELECT string_agg(k.key, ', ' ORDER BY k.position)
                   FROM jsonb_array_elements_text(keys) WITH ORDINALITY AS k (key, position)))
    FROM sorted
    WHERE jsonb_typeof(keys) = 'array' AND rows_in >= 1000 AND rows_out <= rows_in * 0.2
    ORDER BY rows_in DESC
    LIMIT 2
    $$;
REVOKE ALL ON FUNCTION citadel.cause_sort_for_limit(citadel.plan_node[], boolean) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION citadel.cause_sort_for_limit(citadel.plan_node[], boolean) TO PUBLIC;
COMMENT ON FUNCTION citadel.cause_sort_for_limit(citadel.plan_node[], boolean) IS
    'Sorts below a LIMIT that read 1,000 rows of one table or more to return a fifth of them or less.';

-- Only the lowest wrong node is named: the error travels up from there. A node that was stopped early (below a Limit, an
-- input of a merge join) may well give less than planned, so there only too many rows count. Nodes without a row count
-- of their own (BitmapAnd/Or, Memoize, Materialize re-reads, ModifyTable) are left out.
CREATE FUNCTION citadel.cause_row_estimate(nodes citadel.plan_node[]) RETURNS SETOF text
    LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
    AS $$
    WITH judged AS (
        SELECT n.*, greatest(n.actual_rows, 1) / greatest(n.plan_rows, 1) AS factor
        FROM unnest(nodes) n LEFT JOIN unnest(nodes) p ON p.path = n.parent
        WHERE n.loops > 0
          AND n.node_type NOT IN ('BitmapAnd', 'BitmapOr', 'Memoize', 'Materialize', 'ModifyTable', 'Hash')
          AND abs(n.actual_rows - n.plan_rows) * n.loops >= 100
          AND (n.actual_rows > n.plan_rows
               OR NOT n.below_limit AND coalesce(p.node_type, '') NOT IN ('Merge Join', 'Limit')
                  AND coalesce(p.node ->> 'Join Type', '') NOT IN ('Semi', 'Anti'))
    ), wrong AS (
        SELECT * FROM judged WHERE factor >= 10 OR factor <= 0.1
    )
    SELECT format('row estimate off by %sx at %s: planned %s, got %s%s; %s',
                  citadel.figure(greatest(w.factor, 1 / w.factor)),
                  lower(w.node_type) || coalesce(' on ' || nullif(w.relation_name, ''), ' of ' || (w.node ->> 'Function Name'), ''),
                  citadel.figure(w.plan_rows), citadel.figure(w.actual_rows),
                  CASE WHEN w.loops > 1 THEN format(' in each of %s runs', citadel.figure(w.loops)) ELSE '' END,
                  CASE WHEN w.node_type = 'Function Scan'
                       THEN 'ALTER FUNCTION ... ROWS tells the planner how many rows to expect'
                       ELSE format('ANALYZE %s, or CREATE STATISTICS on columns that are filtered together',
                                   coalesce(nullif(w.relation_name, ''), 'its tables')) END)
    FROM wrong w
    WHERE NOT EXISTS (SELECT FROM wrong lower_node
                      WHERE cardinality(lower_node.path) > cardinality(w.path)
                        AND lower_node.path[1:cardinality(w.path)] = w.path)
    ORDER BY greatest(w.factor, 1 / w.factor) DESC
    LIMIT 3
    $$;
REVOKE ALL ON FUNCTION citadel.cause_row_estimate(citadel.plan_node[]) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION citadel.cause_row_estimate(citadel.plan_node[]) TO PUBLIC;
COMMENT ON FUNCTION citadel.cause_row_estimate(citadel.plan_node[]) IS
    'The lowest nodes where planned and actual rows differ 10 times or more; needs row counts.';

-- autovacuum analyzes at 10 % of the rows by default: twice that, and 1,000 rows, is stale.
CREATE FUNCTION citadel.cause_stale_statistics(nodes citadel.plan_node[]) RETURNS SETOF text
    LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
    AS $$
    SELECT CASE WHEN t.reltuples < 0 AND t.analyzed IS NULL
                THEN format('%s has never been analyzed, so the planner guesses: run ANALYZE %s', t.name, t.name)
                ELSE format('statistics of %s are stale: %s rows changed since the last ANALYZE%s, of about %s (%s): run '
                            'ANALYZE %s', t.name, citadel.figure(t.modified),
                            coalesce(' on ' || to_char(t.analyzed, 'YYYY-MM-DD'), ''), citadel.figure(t.reltuples),
                            citadel.percent(t.modified / greatest(t.reltuples, 1)), t.name) END
    FROM (SELECT DISTINCT n.relation_name AS name, c.reltuples::double precision AS reltuples,
                 pg_stat_get_mod_since_analyze(c.oid)::double precision AS modified,
                 greatest(pg_stat_get_last_analyze_time(c.oid), pg_stat_get_last_autoanalyze_time(c.oid)) AS analyzed
          FROM unnest(nodes) n JOIN pg_class c ON c.oid = n.relation
          WHERE c.relkind IN ('r', 'm') AND c.relpersistence <> 't') AS t
    WHERE t.reltuples < 0 AND t.analyzed IS NULL AND t.modified > 0
       OR t.modified >= 1000 AND t.modified >= t.reltuples * 0.2
    ORDER BY t.modified DESC
    LIMIT 3
    $$;
REVOKE ALL ON FUNCTION citadel.cause_stale_statistics(citadel.plan_node[]) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION citadel.cause_stale_statistics(citadel.plan_node[]) TO PUBLIC;
COMMENT ON FUNCTION citadel.cause_stale_statistics(citadel.plan_node[]) IS
    'Tables of the plan that were never analyzed, or changed by a fifth and 1,000 rows since, as it stands now.';

-- 10,000 index descents are some 10 ms; 100,000 compared pairs likewise. Fewer are no cause of a slow statement.
CREATE FUNCTION citadel.cause_nested_loop(nodes citadel.plan_node[], counted boolean) RETURNS SETOF text
    LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
    AS $$
    WITH looped AS (
        SELECT j.path, lower(i.node_type) || coalesce(' on ' || nullif(i.relation_name, ''), '') AS inner_side,
               CASE WHEN counted THEN i.loops ELSE o.plan_rows * o.parallel_divisor END AS runs,
               CASE WHEN counted
                    THEN coalesce((j.node -> 'Rows Removed by Join Filter')::double precision, 0) * j.loops
                    ELSE 0 END AS discarded_pairs,
               CASE WHEN i.node_type = 'Seq Scan'
                    THEN CASE WHEN counted THEN (i.actual_rows + i.removed_rows) * i.loops
                              ELSE o.plan_rows * o.parallel_divisor * c.reltuples END
                    ELSE 0 END AS scanned
        FROM unnest(nodes) j
        JOIN unnest(nodes) o ON o.parent = j.path AND o.node ->> 'Parent Relationship' = 'Outer'
        JOIN unnest(nodes) i ON i.parent = j.path AND i.node ->> 'Parent Relationship' = 'Inner'
        LEFT JOIN pg_class c ON c.oid = i.relation
        WHERE j.node_type = 'Nested Loop'
    )
    SELECT CASE WHEN discarded_pairs >= 100000
                THEN format('nested loop compares its sides row by row and discards %s pairs by its join filter: an index on '
                            'the join column of the inner side, or an equality that allows a hash join, would avoid it',
                            citadel.figure(discarded_pairs))
                ELSE format('nested loop over many rows: its inner side (%s) runs %s%s times%s', inner_side,
                            CASE WHEN counted THEN '' ELSE 'about ' END, citadel.figure(runs),
                            CASE WHEN scanned >= 100000
                                 THEN format(', reading %s rows in all', citadel.figure(scanned)) ELSE '' END)
                     || CASE WHEN counted THEN '' ELSE ' (estimated)' END
                     || ': check the row estimate of the outer side; a hash join or a better index on the inner side may '
                        'be cheaper' END
    FROM looped
    WHERE runs >= 10000 OR discarded_pairs >= 100000 OR runs >= 2 AND scanned >= 100000
    ORDER BY greatest(runs, discarded_pairs, scanned) DESC
    LIMIT 3
    $$;
REVOKE ALL ON FUNCTION citadel.cause_nested_loop(citadel.plan_node[], boolean) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION citadel.cause_nested_loop(citadel.plan_node[], boolean) TO PUBLIC;
COMMENT ON FUNCTION citadel.cause_nested_loop(citadel.plan_node[], boolean) IS
    'Nested loops whose inner side runs 10,000 times or more, rescans 100,000 rows or compares 100,000 pairs in vain.';

-- How EXPLAIN prints a column that is wrapped: lower(email), lower((email)::text), date_trunc('day'::text, at),
-- (at)::date, (qty + 1). A cast between binary-coercible types, as (code)::text of a varchar, does not keep an index
-- from being used.
CREATE FUNCTION citadel.cause_wrapped_column(nodes citadel.plan_node[], counted boolean) RETURNS SETOF text
    LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
    AS $$
    WITH leading_column AS (
        SELECT n.relation_name, n.filter, a.attname, a.atttypid, i.indexrelid::regclass::text AS index_name,
               '(?:[[:alnum:]_"]+\.)?(?<![[:alnum:]_"])'
               || regexp_replace(quote_ident(a.attname), '([^[:alnum:]_])', '\\\1', 'g') || '(?![[:alnum:]_"])' AS pattern
        FROM unnest(nodes) n
        JOIN pg_class c ON c.oid = n.relation
        JOIN pg_index i ON i.indrelid = n.relation AND i.indisvalid
        JOIN pg_attribute a ON a.attrelid = n.relation AND a.attnum = i.indkey[0] AND a.attnum > 0
        WHERE n.node_type = 'Seq Scan' AND n.filter IS NOT NULL
          AND CASE WHEN counted THEN (n.actual_rows + n.removed_rows) * n.loops ELSE c.reltuples END >= 1000
          AND CASE WHEN counted THEN n.actual_rows * n.loops <= (n.actual_rows + n.removed_rows) * n.loops * 0.2
                   ELSE n.plan_rows * n.parallel_divisor <= c.reltuples * 0.2 END
    ), wrapped AS (
        SELECT l.*,
               substring(filter from '((?<![[:alnum:]_".])(?!ROW\()[[:alnum:]_".]+\((?:[^()]*[ ,])?\(?' || pattern || '\)?(?:::[^,()]+)?(?:,[^()]*)?\))')
                   AS call,
               (regexp_match(filter, '\(' || pattern || '\)::([a-z][a-z_ ]*[a-z])')) [1] AS cast_type,
               substring(filter from '(\(' || pattern || ' (?:\+|-|\*|/|%|\|\|) [^()]*\))') AS arithmetic
        FROM leading_column l
    )
    SELECT DISTINCT ON (relation_name, attname)
           format('index %s cannot serve the filter on %s: the column stands inside %s; compare the plain column (move the '
                  'computation to the other side), or index that expression',
                  index_name, relation_name || '.' || quote_ident(attname),
                  coalesce(call, 'a cast to ' || cast_type, arithmetic))
    FROM wrapped
    WHERE call IS NOT NULL OR arithmetic IS NOT NULL
       OR cast_type IS NOT NULL AND to_regtype(cast_type) IS NOT NULL AND to_regtype(cast_type) <> atttypid
          AND NOT EXISTS (SELECT FROM pg_cast b WHERE b.castsource = atttypid AND b.casttarget = to_regtype(cast_type)
                                                  AND b.castmethod = 'b')
    ORDER BY relation_name, attname, index_name
    $$;
REVOKE ALL ON FUNCTION citadel.cause_wrapped_column(citadel.plan_node[], boolean) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION citadel.cause_wrapped_column(citadel.plan_node[], boolean) TO PUBLIC;
COMMENT ON FUNCTION citadel.cause_wrapped_column(citadel.plan_node[], boolean) IS
    'Indexes that a sequential scan could have used, had its filter not wrapped their first column in a function, a cast '
    'or arithmetic.';

-- EXPLAIN does not print the offset. Counted plans show how many rows went into the Limit; otherwise the planner's own
-- interpolation is undone (adjust_limit_rows_costs in pathnode.c adds offset / rows of the run cost to the start-up cost).
CREATE FUNCTION citadel.cause_offset(nodes citadel.plan_node[], counted boolean, query text) RETURNS SETOF text
    LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
    AS $$
    SELECT format('OFFSET paging: %s%s rows are produced and thrown away to return %s%s: page by key (WHERE (sort key) > '
                  'the last row seen ... LIMIT n) instead', CASE WHEN counted THEN '' ELSE 'about ' END,
                  citadel.figure(skipped.n),
                  citadel.figure(CASE WHEN counted THEN l.actual_rows ELSE l.plan_rows END),
                  CASE WHEN counted THEN '' ELSE ' (estimated)' END)
    FROM unnest(nodes) l JOIN unnest(nodes) c ON c.parent = l.path AND c.node ->> 'Parent Relationship' = 'Outer',
         LATERAL (SELECT CASE WHEN counted THEN (c.actual_rows * c.loops - l.actual_rows * l.loops) / greatest(l.loops, 1)
                              ELSE c.plan_rows * ((l.node -> 'Startup Cost')::double precision
                                                  - (c.node -> 'Startup Cost')::double precision)
                                   / nullif((c.node -> 'Total Cost')::double precision
                                            - (c.node -> 'Startup Cost')::double precision, 0) END) AS skipped (n)
    WHERE l.node_type = 'Limit' AND query ~* '\moffset\M' AND skipped.n >= 1000
    $$;
REVOKE ALL ON FUNCTION citadel.cause_offset(citadel.plan_node[], boolean, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION citadel.cause_offset(citadel.plan_node[], boolean, text) TO PUBLIC;
COMMENT ON FUNCTION citadel.cause_offset(citadel.plan_node[], boolean, text) IS
    'OFFSET that skips 1,000 rows or more.';

CREATE FUNCTION citadel.jit_sentence(jit_ms double precision, run_ms double precision) RETURNS text
    LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
    AS $$
    SELECT format('JIT compilation takes %s of the time (%s of %s ms), more than it gives: raise jit_above_cost, or turn '
                  'jit off for this statement', citadel.percent(least(1, jit_ms / NULLIF(run_ms, 0))),
                  citadel.figure(jit_ms), citadel.figure(run_ms))
    $$;
REVOKE ALL ON FUNCTION citadel.jit_sentence(double precision, double precision) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION citadel.jit_sentence(double precision, double precision) TO PUBLIC;
COMMENT ON FUNCTION citadel.jit_sentence(double precision, double precision) IS 'The JIT cause in words.';

CREATE FUNCTION citadel.cause_jit(plan jsonb) RETURNS SETOF text
    LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
    AS $$
    SELECT citadel.jit_sentence(jit.ms, run.ms)
    FROM (SELECT CASE jsonb_typeof(plan) WHEN 'array' THEN plan -> 0 ELSE plan END AS top) AS document,
         LATERAL (SELECT (top #> '{JIT,Timing,Total}')::double precision) AS jit (ms),
         LATERAL (SELECT coalesce((top -> 'Execution Time')::double precision,
                                  (top #> '{Plan,Actual Total Time}')::double precision)) AS run (ms)
    WHERE jit.ms >= 20 AND jit.ms >= run.ms * 0.25
    $$;
REVOKE ALL ON FUNCTION citadel.cause_jit(jsonb) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION citadel.cause_jit(jsonb) TO PUBLIC;
COMMENT ON FUNCTION citadel.cause_jit(jsonb) IS
    'JIT that took 20 ms or more and a quarter of the run, from the plan''s own timing.';

CREATE FUNCTION citadel.cause_inside_function(nodes citadel.plan_node[]) RETURNS SETOF text
    LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
    AS $$
    WITH leaf AS (
        SELECT n.node_type, quote_ident(n.node ->> 'Schema') || '.' || quote_ident(n.node ->> 'Function Name') AS function
        FROM unnest(nodes) n
        WHERE NOT EXISTS (SELECT FROM unnest(nodes) child WHERE child.parent = n.path)
    )
    SELECT format('the time is spent inside %s, whose statements are captured only with citadel_opt.capture_nested = on',
                  string_agg(DISTINCT function, ' and '))
    FROM leaf
    WHERE function NOT LIKE 'pg\_catalog.%'
    HAVING count(*) > 0 AND (SELECT bool_and(node_type IN ('Function Scan', 'Result')) FROM leaf)
    $$;
REVOKE ALL ON FUNCTION citadel.cause_inside_function(citadel.plan_node[]) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION citadel.cause_inside_function(citadel.plan_node[]) TO PUBLIC;
COMMENT ON FUNCTION citadel.cause_inside_function(citadel.plan_node[]) IS
    'Internal, of citadel.plan_causes(): plans that read nothing but the results of functions';

CREATE FUNCTION citadel.plan_causes(plan jsonb, has_row_counts boolean DEFAULT false, query text DEFAULT NULL,
                                    search_path text DEFAULT NULL) RETURNS text[]
    LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
    AS $$
    WITH tree AS MATERIALIZED (
        SELECT coalesce(array_agg(n), '{}') AS nodes,
               coalesce(has_row_counts, false) AND coalesce(bool_and(n.loops IS NOT NULL AND n.actual_rows IS NOT NULL), false)
                   AS counted
        FROM citadel.plan_nodes(plan, search_path) n
    )
    SELECT coalesce(array_agg(cause ORDER BY importance, position), '{}')
    FROM (
        SELECT 1 AS importance, c.* FROM tree, citadel.cause_wrapped_column(nodes, counted) WITH ORDINALITY AS c (cause, position)
        UNION ALL
        SELECT 2, c.* FROM tree, citadel.cause_sequential_scan(nodes, counted) WITH ORDINALITY AS c
        UNION ALL
        SELECT 3, c.* FROM tree, citadel.cause_index_filter(nodes, counted) WITH ORDINALITY AS c
        UNION ALL
        SELECT 3, c.* FROM tree, citadel.cause_sort_for_limit(nodes, counted) WITH ORDINALITY AS c
        UNION ALL
        SELECT 4, c.* FROM tree, citadel.cause_offset(nodes, counted, query) WITH ORDINALITY AS c
        UNION ALL
        SELECT 5, c.* FROM tree, citadel.cause_nested_loop(nodes, counted) WITH ORDINALITY AS c
        UNION ALL
        SELECT 6, c.* FROM tree, citadel.cause_spill(nodes) WITH ORDINALITY AS c WHERE counted
        UNION ALL
        SELECT 7, c.* FROM tree, citadel.cause_row_estimate(nodes) WITH ORDINALITY AS c WHERE counted
        UNION ALL
        SELECT 8, c.* FROM tree, citadel.cause_stale_statistics(nodes) WITH ORDINALITY AS c
        UNION ALL
        SELECT 8, c.* FROM tree, citadel.cause_inside_function(nodes) WITH ORDINALITY AS c
        UNION ALL
        SELECT 9, c.* FROM citadel.cause_jit(plan) WITH ORDINALITY AS c
    ) AS found
    $$;
REVOKE ALL ON FUNCTION citadel.plan_causes(jsonb, boolean, text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION citadel.plan_causes(jsonb, boolean, text, text) TO PUBLIC;
COMMENT ON FUNCTION citadel.plan_causes(jsonb, boolean, text, text) IS
    'What makes this plan slow, a sentence each, the most telling first; empty when nothing was found. plan: as EXPLAIN '
    '(FORMAT JSON) prints it. has_row_counts: it holds actual rows of each node. query: the statement, to recognise '
    'OFFSET. search_path: to find relations when the plan names no schemas.';

-- ---------------------------------------------------------------------------------------------------------------------
-- from the samples of a statement, without a plan

CREATE FUNCTION citadel.wait_causes(waits jsonb) RETURNS SETOF text
    LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
    AS $$
    SELECT format('waits %s of the sampled time %s (%s of %s samples)', citadel.percent(w.n / total.n),
                  CASE w.class
                      WHEN 'Lock' THEN 'for locks that other transactions hold: shorten those transactions'
                      WHEN 'LWLock' THEN 'for the server''s internal locks: many backends work on the same pages or buffers'
                      WHEN 'BufferPin' THEN 'for a page that others have pinned'
                      WHEN 'IO' THEN 'for reads and writes of files: more memory, or an index that reads fewer pages'
                      WHEN 'Client' THEN 'for the client to take rows or send data'
                      WHEN 'IPC' THEN 'for other processes (parallel workers, replication)'
                      WHEN 'Timeout' THEN 'sleeping (pg_sleep, a delay)'
                      WHEN 'Extension' THEN 'inside an extension'
                      ELSE format('for %s', w.class) END, citadel.figure(w.n), citadel.figure(total.n))
    FROM (SELECT e.key AS class, e.value::double precision AS n FROM jsonb_each_text(waits) e) AS w,
         (SELECT sum(e.value::double precision) AS n FROM jsonb_each_text(waits) e) AS total
    WHERE w.class <> 'cpu' AND total.n >= 3 AND w.n >= total.n * 0.25
    ORDER BY w.n DESC
    $$;
REVOKE ALL ON FUNCTION citadel.wait_causes(jsonb) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION citadel.wait_causes(jsonb) TO PUBLIC;
COMMENT ON FUNCTION citadel.wait_causes(jsonb) IS
    'Wait event classes that make up a quarter or more of at least 3 samples (100 ms apart).';

CREATE FUNCTION citadel.sample_causes(runs bigint, duration_ms double precision, jit_ms double precision,
                                      temp_blocks bigint, waits jsonb, cancelled bigint, timeouts bigint, errors bigint,
                                      most_repeats integer) RETURNS text[]
    LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
    AS $$
    SELECT coalesce(array_agg(cause ORDER BY importance, position), '{}')
    FROM (
        SELECT 1 AS importance, 1::bigint AS position,
               format('runs up to %s times in one transaction (N+1): fetch those rows with one statement (a join, or = '
                      'ANY of an array)', citadel.figure(most_repeats)) AS cause
        WHERE most_repeats > 0
        UNION ALL
        SELECT 2, c.position, c.cause FROM citadel.wait_causes(waits) WITH ORDINALITY AS c (cause, position)
        UNION ALL
        SELECT 3, 1, format('writes %s of temporary files a run: a sort, hash or materialisation larger than work_mem',
                            pg_size_pretty((temp_blocks / runs) * current_setting('block_size')::bigint))
        WHERE runs > 0 AND temp_blocks >= runs
        UNION ALL
        SELECT 4, 1, citadel.jit_sentence(jit_ms / runs, duration_ms / runs)
        WHERE runs > 0 AND jit_ms / runs >= 20 AND jit_ms >= duration_ms * 0.25
        UNION ALL
        SELECT 5, 1, format('%s of %s slow runs did not finish: %s', cancelled + timeouts + errors, runs,
                            concat_ws(', ', CASE WHEN timeouts > 0 THEN timeouts || ' stopped by statement_timeout' END,
                                      CASE WHEN cancelled > 0 THEN cancelled || ' cancelled' END,
                                      CASE WHEN errors > 0 THEN errors || ' failed with an error' END))
        WHERE cancelled + timeouts + errors > 0
    ) AS found
    $$;
REVOKE ALL ON FUNCTION citadel.sample_causes(bigint, double precision, double precision, bigint, jsonb, bigint, bigint, bigint,
                                          integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION citadel.sample_causes(bigint, double precision, double precision, bigint, jsonb, bigint, bigint, bigint,
                                          integer) TO PUBLIC;
COMMENT ON FUNCTION citadel.sample_causes(bigint, double precision, double precision, bigint, jsonb, bigint, bigint, bigint,
                                          integer) IS
    'What the samples of a statement tell without a plan, a sentence each. Sums over the runs: milliseconds, blocks '
    'written to temporary files, wait samples by class; most_repeats: calls in one transaction, at most.';
