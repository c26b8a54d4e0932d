-- get_index_statistics(): size and use of indexes, and which of them do the work of another one.

CREATE FUNCTION citadel.index_definition(index oid, part integer DEFAULT 0) RETURNS text
    AS 'MODULE_PATHNAME', 'citadel_index_definition'
    LANGUAGE C STRICT VOLATILE PARALLEL RESTRICTED; -- no SET clause: it runs no SQL, and setting costs more than the function
COMMENT ON FUNCTION citadel.index_definition(oid, integer) IS
    'Internal: definition of an index (part 0), of its column number part, or its predicate (part -1), as pg_get_indexdef() and '
    'pg_get_expr() give it. NULL instead of waiting while another session has the table locked exclusively, and for what is gone.';
REVOKE ALL ON FUNCTION citadel.index_definition(oid, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION citadel.index_definition(oid, integer) TO pg_monitor;

CREATE FUNCTION citadel.get_index_statistics(relation regclass DEFAULT NULL) RETURNS SETOF citadel.index_statistics
    LANGUAGE sql VOLATILE ROWS 1000
    SET search_path = pg_catalog, pg_temp
    SET jit = off
    AS $$
    WITH RECURSIVE chosen AS (
        (SELECT c.oid
        FROM pg_class AS c
        JOIN pg_namespace AS n ON n.oid = c.relnamespace
        WHERE $1 IS NULL AND c.relkind IN ('r', 'p', 'm')
            AND n.nspname <> 'information_schema' AND (n.nspname !~ '^pg_' OR n.oid = pg_my_temp_schema())
        UNION ALL
        SELECT citadel.checked_table($1)::oid WHERE $1 IS NOT NULL)
        UNION
        SELECT h.inhrelid FROM chosen JOIN pg_inherits AS h ON h.inhparent = chosen.oid
        JOIN pg_class AS c ON c.oid = h.inhrelid
        WHERE $1 IS NOT NULL AND c.relispartition
    ), attached AS (
        -- indexes of partitions that belong to an index of the partitioned table are part of its row
        SELECT i.indexrelid AS oid, h.inhparent AS parent, i.indrelid, i.indisvalid AS valid
        FROM chosen
        JOIN pg_index AS i ON i.indrelid = chosen.oid
        LEFT JOIN pg_inherits AS h ON h.inhrelid = i.indexrelid
            AND EXISTS (SELECT FROM pg_index AS p JOIN chosen AS o ON o.oid = p.indrelid WHERE p.indexrelid = h.inhparent)
    ), tree AS (
        SELECT a.oid AS root, a.oid FROM attached AS a WHERE a.parent IS NULL
        UNION ALL
        SELECT t.root, a.oid FROM tree AS t JOIN attached AS a ON a.parent = t.oid
    ), used AS (
        SELECT t.root, coalesce(sum(citadel.relation_bytes(t.oid)), 0) AS bytes,
            coalesce(sum(pg_stat_get_numscans(t.oid)), 0) AS scans,
            coalesce(max(u.scans_total), 0) AS scans_total, min(u.first_seen) AS first_seen,
            greatest(max(u.last_used), max(CASE WHEN pg_stat_get_numscans(t.oid) > 0
                AND current_setting('server_version_num')::integer >= 160000
                THEN (SELECT (to_jsonb(s) ->> 'last_idx_scan')::timestamptz FROM pg_stat_all_indexes AS s
                    WHERE s.indexrelid = t.oid) END)) AS last_used
        FROM tree AS t
        LEFT JOIN citadel.index_counter AS u ON u.index = t.oid
        GROUP BY t.root
    ), referenced AS MATERIALIZED (
        -- once, because no index of pg_constraint leads with conindid
        SELECT DISTINCT f.conindid AS oid FROM pg_constraint AS f WHERE f.contype = 'f'
    ), shape AS MATERIALIZED (
        -- everything that decides what an index can do, as text that can be compared; keys end in a blank, so that the
        -- leading columns of one are a prefix of the other
        SELECT i.indexrelid AS oid, i.indrelid, i.indisunique, i.indisprimary, i.indisexclusion, i.indisreplident,
            i.indisvalid AND i.indisready AND i.indislive AS valid, i.indisclustered,
            i.indnullsnotdistinct, c.relam, c.relkind, c.relispartition, t.parent, am.amname, c.relname, n.nspname,
            k.oid IS NOT NULL AS is_constraint, k.conname, f.oid IS NOT NULL AS referenced,
            (SELECT string_agg(x.key::text, ' ' ORDER BY x.place) || ' '
                FROM unnest((i.indkey::smallint[])[0:i.indnkeyatts - 1]) WITH ORDINALITY AS x (key, place)) AS keys,
            (i.indkey::smallint[])[0:i.indnkeyatts - 1] AS key_columns,
            (i.indkey::smallint[])[i.indnkeyatts:i.indnatts - 1] AS included,
            array_to_string(i.indclass::oid[], ' ') || ' ' AS classes,
            array_to_string(i.indcollation::oid[], ' ') || ' ' AS collations,
            array_to_string(i.indoption::smallint[], ' ') || ' ' AS orders,
            CASE WHEN i.indexprs IS NOT NULL THEN (
                SELECT string_agg(coalesce(citadel.index_definition(i.indexrelid, x.place::integer), i.indexprs::text), ','
                    ORDER BY x.place) || ','
                FROM unnest(i.indkey::smallint[]) WITH ORDINALITY AS x (key, place)
                WHERE x.key = 0) ELSE '' END AS expressions,
            CASE WHEN i.indpred IS NULL THEN ''
                ELSE coalesce(citadel.index_definition(i.indexrelid, -1), i.indpred::text) END AS predicate,
            CASE WHEN am.amname <> 'btree' THEN (
                SELECT string_agg(a.attnum || array_to_string(a.attoptions, ','), ' ' ORDER BY a.attnum)
                FROM pg_attribute AS a WHERE a.attrelid = i.indexrelid AND a.attoptions IS NOT NULL) END AS class_options
        FROM attached AS t
        JOIN pg_index AS i ON i.indexrelid = t.oid
        JOIN pg_class AS c ON c.oid = i.indexrelid
        JOIN pg_namespace AS n ON n.oid = c.relnamespace
        JOIN pg_am AS am ON am.oid = c.relam
        LEFT JOIN LATERAL (
            SELECT k.oid, k.conname
            FROM pg_constraint AS k
            WHERE k.conrelid = i.indrelid AND k.conindid = i.indexrelid AND k.contype IN ('p', 'u', 'x')
            LIMIT 1
        ) AS k ON i.indisunique OR i.indisexclusion
        LEFT JOIN referenced AS f ON f.oid = i.indexrelid
    ), ranked AS MATERIALIZED (
        -- of several that do the same, the first is the one to keep: valid, then what a partitioned table or a constraint
        -- needs, then unique
        SELECT s.*, row_number() OVER (PARTITION BY s.indrelid ORDER BY s.valid DESC, s.relispartition DESC, s.indisprimary DESC,
            s.referenced DESC, s.is_constraint DESC, s.indisreplident DESC, s.indisunique DESC,
            s.indisclustered DESC, s.oid) AS place
        FROM shape AS s
    ), pair AS (
        SELECT a.oid, b.oid AS other, b.place, b.relname AS other_name,
            cardinality(a.included) = cardinality(b.included) AND a.included @> b.included AND a.keys = b.keys AS same
        FROM ranked AS a
        JOIN ranked AS b ON b.indrelid = a.indrelid AND b.oid <> a.oid AND b.relam = a.relam AND b.predicate = a.predicate
            AND starts_with(b.keys, a.keys) AND starts_with(b.classes, a.classes)
            AND starts_with(b.collations, a.collations) AND starts_with(b.orders, a.orders)
            AND starts_with(b.expressions, a.expressions) AND b.class_options IS NOT DISTINCT FROM a.class_options
            AND b.valid
        WHERE a.parent IS NULL AND NOT a.indisexclusion AND NOT a.indisprimary AND NOT a.indisreplident
            AND (a.keys = b.keys AND a.expressions = b.expressions
                    AND cardinality(a.included) = cardinality(b.included) AND a.included @> b.included
                    AND b.place < a.place
                    AND (NOT a.indisunique OR b.indisunique AND b.indnullsnotdistinct = a.indnullsnotdistinct)
                OR NOT a.indisunique AND a.amname = 'btree' AND (b.key_columns || b.included) @> a.included
                    AND (a.keys <> b.keys OR cardinality(b.included) > cardinality(a.included)))
    ), related AS (
        SELECT p.oid,
            (array_agg(p.other ORDER BY p.place) FILTER (WHERE p.same))[1] AS duplicate_of,
            (array_agg(p.other ORDER BY p.place) FILTER (WHERE NOT p.same))[1] AS redundant_to
        FROM pair AS p
        GROUP BY p.oid
    )
    SELECT r.oid::regclass, r.indrelid::regclass, d.definition, u.bytes::bigint, u.scans::bigint, u.last_used,
        r.indisunique, r.valid, e.duplicate_of::regclass,
        CASE WHEN e.duplicate_of IS NULL THEN e.redundant_to::regclass END,
        array_remove(ARRAY[
            CASE WHEN NOT r.valid AND r.relkind = 'I'
                THEN 'invalid: some partition has no matching index; create it there and attach it'
                WHEN NOT r.valid THEN format('invalid: a concurrent build did not finish; no query uses it but every write '
                    'maintains it; REINDEX INDEX CONCURRENTLY %s or drop it', r.oid::regclass) END,
            CASE WHEN e.duplicate_of IS NOT NULL THEN format('does the same as %s: %s', e.duplicate_of::regclass, d.remove)
                WHEN e.redundant_to IS NOT NULL
                THEN format('its columns are the leading columns of %s, which serves the same queries: %s',
                    e.redundant_to::regclass, d.remove) END,
            CASE WHEN e.oid IS NULL AND r.valid AND NOT r.indisunique AND NOT r.indisexclusion AND NOT r.indisreplident
                    AND u.scans = 0 AND u.scans_total = 0 AND u.bytes > 1048576
                THEN format('not used %s (%s): every write maintains it; if it serves no rare report and no standby, %s',
                    CASE WHEN u.first_seen < now() - interval '1 day'
                        THEN format('since %s', to_char(u.first_seen, 'YYYY-MM-DD'))
                        ELSE 'since the statistics were last reset' END,
                    pg_size_pretty(u.bytes::bigint), d.remove) END,
            CASE WHEN d.definition IS NULL
                THEN 'its definition is not shown: another session has the table locked exclusively or drops it' END
        ], NULL)
    FROM ranked AS r
    JOIN used AS u ON u.root = r.oid
    LEFT JOIN related AS e ON e.oid = r.oid
    CROSS JOIN LATERAL (
        SELECT CASE WHEN r.is_constraint
            THEN format('ALTER TABLE %s DROP CONSTRAINT %I%s', r.indrelid::regclass, r.conname,
                CASE WHEN r.referenced THEN ' once no foreign key needs it' ELSE '' END)
            WHEN r.relispartition THEN format('DROP INDEX %s, of which it is a part',
                (SELECT h.inhparent::regclass FROM pg_inherits AS h WHERE h.inhrelid = r.oid))
            WHEN r.relkind = 'I' THEN format('DROP INDEX %s', r.oid::regclass)
            ELSE format('DROP INDEX CONCURRENTLY %s', r.oid::regclass) END AS remove,
            citadel.index_definition(r.oid) AS definition
        OFFSET 0
    ) AS d
    WHERE r.parent IS NULL
    ORDER BY r.indrelid, u.bytes DESC, r.oid
    $$;
COMMENT ON FUNCTION citadel.get_index_statistics(regclass) IS
    'Size, use, duplicates and advice for the indexes of one table, or (NULL) of all user tables; an index of a partitioned '
    'table is one row that adds up its partitions. Bytes. Errors: 42809 for what is not a table, 42P01 for an unknown OID.';
REVOKE ALL ON FUNCTION citadel.get_index_statistics(regclass) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION citadel.get_index_statistics(regclass) TO pg_monitor;
