-- statistics: what a table costs, how it is used and what is wrong with it, in one row; the same for its indexes.
--
-- One set-based query each, so that 10,000 tables take a second. Nothing here waits: the size functions of the server
-- take a lock on the table, ours (relation_bytes) looks at its files.
-- What else of the server takes one (pg_partition_tree, pg_get_indexdef) is not used, or only where it is free
-- (index_definition).

CREATE TYPE citadel.table_statistics AS (
    relation regclass,
    kind text,
    partitions integer,
    row_estimate bigint,
    total_bytes bigint,
    table_bytes bigint,
    index_bytes bigint,
    toast_bytes bigint,
    dead_rows bigint,
    dead_ratio double precision,
    bloat_bytes bigint,
    seq_scans bigint,
    index_scans bigint,
    index_scan_ratio double precision,
    rows_inserted bigint,
    rows_updated bigint,
    rows_deleted bigint,
    hot_update_ratio double precision,
    cache_hit_ratio double precision,
    last_vacuum timestamptz,
    last_analyze timestamptz,
    rows_modified_since_analyze bigint,
    xid_age integer,
    advice text[]
);
COMMENT ON TYPE citadel.table_statistics IS
    'Row of get_table_statistics(). Sizes in bytes, ratios 0..1 and NULL when there is nothing to divide by; scans, rows and '
    'cache figures since the server''s statistics were last reset.';
COMMENT ON COLUMN citadel.table_statistics.kind IS 'table, partition, partitioned table or materialized view.';
COMMENT ON COLUMN citadel.table_statistics.partitions IS
    'Leaf partitions at any depth, whose figures this row adds up; NULL for what is not partitioned.';
COMMENT ON COLUMN citadel.table_statistics.row_estimate IS
    'Live rows: rows per page at the last VACUUM or ANALYZE times the pages of now, else the server''s running count; NULL '
    'when neither is known.';
COMMENT ON COLUMN citadel.table_statistics.bloat_bytes IS
    'Estimated bytes of the table itself (no indexes, no TOAST) beyond what its rows need, from column widths in pg_stats. '
    'NULL when the table was never analysed or the caller may not read it.';
COMMENT ON COLUMN citadel.table_statistics.hot_update_ratio IS 'Updates that touched no index, of all updates.';
COMMENT ON COLUMN citadel.table_statistics.last_vacuum IS
    'Last VACUUM or autovacuum; of a partitioned table: the longest ago among its vacuumed partitions.';
COMMENT ON COLUMN citadel.table_statistics.last_analyze IS
    'Last ANALYZE or autoanalyze; of a partitioned table: the longest ago among its analysed partitions.';
COMMENT ON COLUMN citadel.table_statistics.xid_age IS
    'Transactions since the oldest row that is not frozen; of a partitioned table: the largest.';

CREATE TYPE citadel.index_statistics AS (
    index regclass,
    relation regclass,
    definition text,
    size_bytes bigint,
    scans bigint,
    last_used timestamptz,
    is_unique boolean,
    is_valid boolean,
    duplicate_of regclass,
    redundant_to regclass,
    advice text[]
);
COMMENT ON TYPE citadel.index_statistics IS
    'Row of get_index_statistics(). Size in bytes, scans since the server''s statistics were last reset.';
COMMENT ON COLUMN citadel.index_statistics.last_used IS
    'Last scan: from the history (since it runs, to the minute), and on PostgreSQL 16 and later from the server. NULL: unknown.';
COMMENT ON COLUMN citadel.index_statistics.duplicate_of IS
    'An index that does the same and is the better one to keep: same method, columns, operator classes, collations, '
    'order, expressions and predicate.';
COMMENT ON COLUMN citadel.index_statistics.redundant_to IS
    'A B-tree index whose leading columns are all the columns of this one, with the same predicate. Never set for unique '
    'indexes.';

-- The one check of the argument: what is not a table is an error that says what to pass instead.
CREATE FUNCTION citadel.checked_table(relation regclass) RETURNS regclass
    LANGUAGE sql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $$
    SELECT CASE
        WHEN c.relkind IN ('r', 'p', 'm')
            AND (c.relpersistence <> 't' OR c.relnamespace = pg_my_temp_schema()) THEN $1
        WHEN c.oid IS NULL AND citadel.raise_error('42P01', format('relation with OID %s does not exist', $1::oid),
            NULL, 'It may have been dropped since its OID was read.') THEN NULL
        WHEN c.relkind IN ('r', 'p', 'm') AND citadel.raise_error('0A000',
            format('"%s" is a temporary table of another session', c.relname),
            'Its contents are known to that session alone.') THEN NULL
        WHEN c.relkind = 'f' AND citadel.raise_error('42809', format('"%s" is a foreign table', c.relname),
            'Its rows, indexes and statistics are kept by the foreign server.',
            'Ask the server that holds it.') THEN NULL
        WHEN c.relkind IN ('i', 'I') AND citadel.raise_error('42809', format('"%s" is an index', c.relname),
            NULL, format('Pass its table, %s; get_index_statistics() lists each of its indexes.',
                (SELECT i.indrelid::regclass FROM pg_index AS i WHERE i.indexrelid = c.oid))) THEN NULL
        WHEN c.relkind = 't' AND citadel.raise_error('42809', format('"%s" is a TOAST table', c.relname),
            NULL, format('Pass the table it belongs to, %s.',
                (SELECT o.oid::regclass FROM pg_class AS o WHERE o.reltoastrelid = c.oid))) THEN NULL
        WHEN citadel.raise_error('42809', format('"%s" is %s', c.relname,
            CASE c.relkind WHEN 'v' THEN 'a view' WHEN 'S' THEN 'a sequence' WHEN 'c' THEN 'a composite type'
                ELSE 'not a table' END),
            NULL, 'Pass a table, a partitioned table or a materialized view.') THEN NULL
    END
    FROM (SELECT 1) AS one
    LEFT JOIN pg_class AS c ON c.oid = $1
    $$;
COMMENT ON FUNCTION citadel.checked_table(regclass) IS
    'Internal: the argument when it is a table, partitioned table or materialized view; else an error with SQLSTATE 42809 '
    '(wrong kind), 42P01 (no such relation) or 0A000 (temporary table of another session).';
REVOKE ALL ON FUNCTION citadel.checked_table(regclass) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION citadel.checked_table(regclass) TO pg_monitor;

CREATE FUNCTION citadel.relation_bytes(relation oid, main_fork_only boolean DEFAULT false) RETURNS bigint
    AS 'MODULE_PATHNAME', 'citadel_relation_bytes'
    LANGUAGE C STRICT VOLATILE PARALLEL SAFE; -- no SET clause: it runs no SQL, and setting costs more than the function
COMMENT ON FUNCTION citadel.relation_bytes(oid, boolean) IS
    'Internal: bytes of the files of one table or index (its own forks, neither TOAST nor indexes), or of the main fork '
    'alone. Takes no lock, so it never waits. NULL for what has no storage.';
REVOKE ALL ON FUNCTION citadel.relation_bytes(oid, boolean) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION citadel.relation_bytes(oid, boolean) TO pg_monitor;

-- Bloat: pages the table had at its last VACUUM or ANALYZE, less the pages its rows need. The idea is the one of the
-- well-known check_postgres and ioguix queries (widths from pg_stats instead of reading the table); the layout is from
-- the server's own headers:
--   tuple  = MAXALIGN(23 bytes header + null bitmap) + data, each column at its alignment, the whole MAXALIGNed
--            (htup_details.h, tupmacs.h); a varlena shorter than 127 bytes has a short header and no alignment
--   page   = block size - 24, each tuple with a 4-byte line pointer (bufpage.h), at most (block size - 24) / 28 tuples
--   filled = until the free space would fall under block size * (100 - fillfactor) / 100 (RelationGetTargetPageFreeSpace)
-- Padding is exact as long as the preceding columns have fixed lengths and no NULLs, and the mean of the possible paddings
-- after that. Dropped columns still stored in old rows count as bloat, because rewriting the table frees them.
CREATE FUNCTION citadel.heap_bloat(relation regclass) RETURNS TABLE (leaf oid, bloat_bytes bigint)
    LANGUAGE sql STABLE ROWS 1000
    SET search_path = pg_catalog, pg_temp
    SET jit = off
    AS $$
    WITH RECURSIVE chosen AS (
        (SELECT c.oid
        FROM pg_class AS c
        JOIN pg_namespace AS n ON n.oid = c.relnamespace
        WHERE $1 IS NULL AND n.nspname !~ '^pg_(toast|catalog)' AND n.nspname <> 'information_schema'
        UNION ALL
        SELECT $1 WHERE $1 IS NOT NULL)
        UNION
        SELECT h.inhrelid FROM chosen JOIN pg_inherits AS h ON h.inhparent = chosen.oid WHERE $1 IS NOT NULL
    ), tables AS MATERIALIZED (
        SELECT c.oid, n.nspname, c.relname, c.reltuples, c.relpages, c.relnatts,
            coalesce(CASE WHEN c.reloptions IS NOT NULL THEN (
                SELECT o.option_value::integer FROM pg_options_to_table(c.reloptions) AS o
                WHERE o.option_name = 'fillfactor') END, 100) AS fill_factor
        FROM chosen
        JOIN pg_class AS c ON c.oid = chosen.oid
        JOIN pg_namespace AS n ON n.oid = c.relnamespace
        WHERE c.relkind IN ('r', 'm') AND c.reltuples >= 0
    ), width AS (
        SELECT t.oid, a.attnum,
            CASE WHEN a.always_null THEN 0 WHEN a.attlen > 0 THEN a.attlen ELSE a.avg_width END::double precision AS width,
            CASE WHEN a.always_null THEN 1 WHEN a.attnotnull THEN 0 ELSE a.null_frac END::double precision AS null_ratio,
            CASE WHEN a.always_null OR a.attlen = -1 AND a.avg_width < 127 THEN 1
                ELSE CASE a.attalign WHEN 'd' THEN 8 WHEN 'i' THEN 4 WHEN 's' THEN 2 ELSE 1 END END AS alignment,
            a.attlen > 0 OR a.always_null AS fixed
        FROM tables AS t
        -- OFFSET 0: look each table's columns up. pg_stats joined as a whole checks the privileges on every column there is.
        CROSS JOIN LATERAL (
            SELECT a.attnum, a.attlen, a.attalign, a.attnotnull, s.avg_width, s.null_frac,
                a.attisdropped OR NOT a.attnotnull AND coalesce(s.null_frac = 1, false) AS always_null
            FROM pg_attribute AS a
            LEFT JOIN pg_stats AS s
                ON s.schemaname = t.nspname AND s.tablename = t.relname AND s.attname = a.attname AND NOT s.inherited
            WHERE a.attrelid = t.oid AND a.attnum > 0
            OFFSET 0
        ) AS a
        WHERE t.relpages > 1 -- one page is what one row needs, whatever its width
        UNION ALL
        -- the end of the tuple: nothing, at a multiple of eight
        SELECT t.oid, 32767, 0, 0, 8, true FROM tables AS t WHERE t.relpages > 1
    ), certain AS (
        -- anchor4: how many columns so far certainly ended at a multiple of four; the same for eight below
        SELECT w.*, fixed AND null_ratio IN (0, 1) AS exact,
            count(*) FILTER (WHERE fixed AND null_ratio = 0 AND alignment >= 4)
                OVER (PARTITION BY oid ORDER BY attnum ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS anchor4,
            count(*) FILTER (WHERE fixed AND null_ratio = 0 AND alignment = 8)
                OVER (PARTITION BY oid ORDER BY attnum ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS anchor8
        FROM width AS w
    ), padded4 AS (
        SELECT c.*,
            CASE WHEN alignment NOT IN (2, 4) THEN 0
                WHEN coalesce(bool_and(exact) OVER since, true)
                THEN (alignment - coalesce(sum(width) OVER since, 0)::bigint % alignment) % alignment
                ELSE (alignment - 1) / 2.0 END + width AS width4
        FROM certain AS c
        WINDOW since AS (PARTITION BY oid, anchor4 ORDER BY attnum ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
    ), padded8 AS (
        SELECT p.*,
            CASE WHEN alignment <> 8 THEN 0
                WHEN coalesce(bool_and(exact) OVER since, true)
                THEN (8 - coalesce(sum(width4) OVER since, 0)::bigint % 8) % 8
                ELSE 3.5 END + width4 AS width8
        FROM padded4 AS p
        WINDOW since AS (PARTITION BY oid, anchor8 ORDER BY attnum ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
    ), data AS (
        SELECT oid, sum((1 - null_ratio) * width8) AS bytes, bool_and(exact) AS exact, max(null_ratio) AS null_ratio,
            bool_or(width IS NULL OR null_ratio IS NULL) AS unknown
        FROM padded8
        GROUP BY oid
    ), tuple AS (
        SELECT t.oid, t.reltuples, t.relpages, d.unknown, d.exact,
            4 + 8 * ceil((23 + CASE WHEN d.null_ratio > 0 THEN (t.relnatts + 7) / 8 ELSE 0 END) / 8.0)
            + d.bytes AS bytes,
            block.size - 24 - block.size * (100 - t.fill_factor) / 100 AS usable,
            (block.size - 24) / 28 AS most,
            block.size
        FROM tables AS t
        LEFT JOIN data AS d ON d.oid = t.oid
        CROSS JOIN (SELECT current_setting('block_size')::integer AS size) AS block
    )
    SELECT oid, CASE WHEN relpages <= 1 AND reltuples > 0 THEN 0
        WHEN reltuples = 0 THEN size::bigint * relpages
        WHEN NOT unknown THEN greatest(0, size * (relpages - ceil(reltuples / greatest(1,
        least(most, CASE WHEN exact THEN floor(usable / bytes) ELSE usable / bytes - 0.5 END)))))::bigint END
    FROM tuple
    $$;
COMMENT ON FUNCTION citadel.heap_bloat(regclass) IS
    'Internal: estimated bytes of each table (NULL: of all user tables; partitioned: of its partitions) beyond what its rows '
    'need, from pg_class and pg_stats. NULL where the widths of some column are unknown or hidden from the caller.';
REVOKE ALL ON FUNCTION citadel.heap_bloat(regclass) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION citadel.heap_bloat(regclass) TO pg_monitor;
