-- table_history and index_history: how tables grew and were used over time, and indexes.
--
-- Sizes are known where something happened, so what is added up over partitions are the changes of size, not the sizes:
-- the parts need not have been measured at the same time.

CREATE TYPE citadel.relation_member AS (
    relation_id bigint,
    subject oid,
    valid_from timestamptz,
    valid_until timestamptz
);
COMMENT ON TYPE citadel.relation_member IS 'A row of citadel.relation_members(): whose figures count into a subject''s, and when.';

CREATE FUNCTION citadel.relation_members(subject oid, relation_kind text, max_relations integer DEFAULT NULL)
    RETURNS SETOF citadel.relation_member
    LANGUAGE sql STABLE PARALLEL RESTRICTED SET search_path = pg_catalog, pg_temp
    AS $$
    WITH found AS MATERIALIZED (
        SELECT w.relation_id, w.relation AS subject, '-infinity'::timestamptz AS valid_from, w.gone_at AS valid_until
        FROM citadel.visible_relation AS w WHERE w.relation = subject AND w.kind = relation_kind
        UNION ALL
        SELECT w.relation_id, subject, '-infinity', least(w.attached_until, w.gone_at)
        FROM citadel.visible_relation AS w WHERE subject = ANY (w.ancestors) AND w.kind = relation_kind
        UNION ALL
        SELECT w.relation_id, w.relation, '-infinity', w.gone_at
        FROM citadel.visible_relation AS w WHERE w.indexed_relation = subject AND w.kind = relation_kind AND relation_kind = 'index'
            AND NOT EXISTS (SELECT FROM citadel.visible_relation AS p WHERE p.relation = subject AND p.kind = 'index')
        UNION ALL
        SELECT w.relation_id, p.relation, '-infinity', least(w.attached_until, w.gone_at)
        FROM citadel.visible_relation AS p JOIN citadel.visible_relation AS w ON p.relation = ANY (w.ancestors) AND w.kind = p.kind
        WHERE p.indexed_relation = subject AND p.kind = 'index' AND relation_kind = 'index'
        UNION ALL
        SELECT w.relation_id, w.ancestors[cardinality(w.ancestors)], '-infinity', least(w.attached_until, w.gone_at)
        FROM citadel.visible_relation AS w WHERE subject IS NULL AND w.kind = relation_kind AND w.ancestors <> '{}'
        UNION ALL
        SELECT w.relation_id, w.relation, CASE WHEN w.ancestors = '{}' THEN '-infinity' ELSE w.attached_until END, w.gone_at
        FROM citadel.visible_relation AS w
        WHERE subject IS NULL AND w.kind = relation_kind AND (w.ancestors = '{}' OR w.attached_until < w.gone_at)
    ), largest AS (
        SELECT f.subject FROM found AS f JOIN citadel.visible_relation AS w ON w.relation_id = f.relation_id
        GROUP BY f.subject ORDER BY sum(w.table_bytes + coalesce(w.index_bytes, 0)) DESC NULLS LAST, f.subject LIMIT max_relations
    )
    SELECT f.* FROM found AS f JOIN largest AS l ON l.subject = f.subject
    $$;
REVOKE ALL ON FUNCTION citadel.relation_members(oid, text, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION citadel.relation_members(oid, text, integer) TO PUBLIC;
COMMENT ON FUNCTION citadel.relation_members(oid, text, integer) IS
    'Which tables, or indexes (relation_kind), count into what a report was asked for: itself, its partitions while they were attached, '
    'a table''s indexes; NULL: everything, partitions as part of the topmost partitioned table. Of those the max_relations '
    'largest (NULL: all). As far as the caller may see them.';

CREATE TYPE citadel.relation_size AS (
    place bigint,
    table_bytes bigint,
    index_bytes bigint,
    live_rows bigint,
    dead_rows bigint
);
COMMENT ON TYPE citadel.relation_size IS 'A row of citadel.relation_sizes(); sizes as in citadel.watched_relation.';
COMMENT ON COLUMN citadel.relation_size.place IS 'Place in the arrays it was asked with, from 1.';

CREATE FUNCTION citadel.relation_sizes(relation_ids bigint[], moments timestamptz[]) RETURNS SETOF citadel.relation_size
    LANGUAGE c STABLE STRICT PARALLEL RESTRICTED SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'citadel_relation_sizes';
REVOKE ALL ON FUNCTION citadel.relation_sizes(bigint[], timestamptz[]) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION citadel.relation_sizes(bigint[], timestamptz[]) TO PUBLIC;
COMMENT ON FUNCTION citadel.relation_sizes(bigint[], timestamptz[]) IS
    'How large each relation was as last measured before its moment (arrays of one length), if that is known and the caller may see it.';

-- ---------------------------------------------------------------------------------------------------------------------

CREATE TYPE citadel.table_history_step AS (
    at timestamptz,
    relation regclass,
    schema_name text,
    table_name text,
    total_bytes bigint,
    table_bytes bigint,
    index_bytes bigint,
    live_rows bigint,
    dead_rows bigint,
    rows_inserted bigint,
    rows_updated bigint,
    rows_hot_updated bigint,
    rows_deleted bigint,
    seq_scans bigint,
    seq_rows_read bigint,
    index_scans bigint
);
COMMENT ON TYPE citadel.table_history_step IS 'A row of citadel.table_history().';
COMMENT ON COLUMN citadel.table_history_step.at IS 'Begin of the step.';
COMMENT ON COLUMN citadel.table_history_step.relation IS 'The table; shown as a number when it is gone.';
COMMENT ON COLUMN citadel.table_history_step.total_bytes IS
    'Bytes with TOAST and indexes, at the end of the step; NULL: not measured until then. The other sizes alike.';
COMMENT ON COLUMN citadel.table_history_step.table_bytes IS 'Bytes with TOAST, without indexes.';
COMMENT ON COLUMN citadel.table_history_step.live_rows IS 'Rows, as the server estimates them; dead_rows: those that VACUUM will remove.';
COMMENT ON COLUMN citadel.table_history_step.rows_inserted IS 'Rows inserted in the step; the following alike.';

-- The planner takes what is read here for a few rows, for which sorting looks as good as hashing.
CREATE FUNCTION citadel.table_history(relation regclass DEFAULT NULL, from_time timestamptz DEFAULT NULL,
                                      to_time timestamptz DEFAULT NULL, step interval DEFAULT NULL,
                                      max_relations integer DEFAULT 1000)
    RETURNS SETOF citadel.table_history_step
    LANGUAGE sql STABLE PARALLEL RESTRICTED SET search_path = pg_catalog, pg_temp SET jit = off SET enable_sort = off SET work_mem = '64MB'
    AS $$
    WITH asked AS MATERIALIZED (
        SELECT w.begins, w.ends, w.step_length, date_bin(w.step_length, w.begins, '2000-01-01 00:00:00+00') AS first_step
        FROM citadel.history_window(from_time, to_time, step, CASE WHEN relation IS NULL THEN interval '1 hour' END) AS w
    ), part AS MATERIALIZED (
        SELECT p.* FROM asked AS a, citadel.window_parts(a.begins, a.ends, a.step_length, of_relations => true) AS p
    ), member AS MATERIALIZED (
        SELECT m.* FROM citadel.relation_members(relation, 'table', max_relations) AS m
    ), minute AS (
        SELECT b.* FROM citadel.visible_table_bucket AS b
        WHERE b.step = 'minute' AND b.relation_id = ANY (ARRAY(SELECT m.relation_id FROM member AS m))
            AND b.at >= (SELECT minute_from FROM part) AND b.at < (SELECT least(minute_to, coarse_from) FROM part)
        UNION ALL
        SELECT b.* FROM citadel.visible_table_bucket AS b
        WHERE b.step = 'minute' AND b.relation_id = ANY (ARRAY(SELECT m.relation_id FROM member AS m))
            AND b.at >= (SELECT coarse_to FROM part) AND b.at < (SELECT minute_to FROM part)
    ), bucket AS (
        SELECT b.* FROM citadel.visible_table_bucket AS b
        WHERE b.step = 'hour' AND b.relation_id = ANY (ARRAY(SELECT m.relation_id FROM member AS m))
            AND b.at >= (SELECT hour_from FROM part) AND b.at < (SELECT least(hour_to, greatest(day_from, hour_from)) FROM part)
        UNION ALL
        SELECT b.* FROM citadel.visible_table_bucket AS b
        WHERE b.step = 'hour' AND b.relation_id = ANY (ARRAY(SELECT m.relation_id FROM member AS m))
            AND b.at >= (SELECT greatest(hour_from, day_from, day_to) FROM part) AND b.at < (SELECT hour_to FROM part)
        UNION ALL
        SELECT b.* FROM citadel.visible_table_bucket AS b
        WHERE b.step = 'day' AND b.relation_id = ANY (ARRAY(SELECT m.relation_id FROM member AS m))
            AND b.at >= (SELECT day_from FROM part) AND b.at < (SELECT day_to FROM part)
        UNION ALL
        SELECT 'measured', w.relation_id, w.changed_at, 0, 0, 0, 0, 0, 0, 0, w.table_bytes, w.index_bytes, w.live_rows, w.dead_rows
        FROM citadel.visible_relation AS w
        WHERE w.relation_id = ANY (ARRAY(SELECT m.relation_id FROM member AS m)) AND w.table_bytes IS NOT NULL
            AND w.changed_at >= (SELECT minute_from FROM part) AND w.changed_at < (SELECT minute_to FROM part)
    ), begun AS MATERIALIZED (
        SELECT m.subject, m.relation_id, greatest(a.first_step, m.valid_from) AS at, row_number() OVER () AS place
        FROM asked AS a, member AS m WHERE m.valid_from < a.ends AND m.valid_until > a.first_step
    ), figure AS (
        SELECT b.subject, b.relation_id, b.at, 0 AS turn, k.table_bytes, k.index_bytes, k.live_rows, k.dead_rows,
            0::bigint AS rows_inserted, 0::bigint AS rows_updated, 0::bigint AS rows_hot_updated, 0::bigint AS rows_deleted,
            0::bigint AS seq_scans, 0::bigint AS seq_rows_read, 0::bigint AS index_scans
        FROM citadel.relation_sizes(ARRAY(SELECT b.relation_id FROM begun AS b ORDER BY b.place),
                                    ARRAY(SELECT b.at FROM begun AS b ORDER BY b.place)) AS k JOIN begun AS b ON b.place = k.place
        UNION ALL
        SELECT m.subject, b.relation_id, b.at, 1, b.table_bytes, b.index_bytes, b.live_rows, b.dead_rows, b.rows_inserted,
            b.rows_updated, b.rows_hot_updated, b.rows_deleted, b.seq_scans, b.seq_rows_read, b.index_scans
        FROM bucket AS b JOIN member AS m ON m.relation_id = b.relation_id AND b.at >= m.valid_from AND b.at < m.valid_until
        UNION ALL
        SELECT s.subject, s.relation_id, s.at, 1, s.size[2], s.size[3], s.size[4], s.size[5], s.rows_inserted, s.rows_updated,
            s.rows_hot_updated, s.rows_deleted, s.seq_scans, s.seq_rows_read, s.index_scans
        FROM (SELECT m.subject, b.relation_id, max(b.at) AS at, sum(b.rows_inserted)::bigint AS rows_inserted,
                  sum(b.rows_updated)::bigint AS rows_updated, sum(b.rows_hot_updated)::bigint AS rows_hot_updated,
                  sum(b.rows_deleted)::bigint AS rows_deleted, sum(b.seq_scans)::bigint AS seq_scans,
                  sum(b.seq_rows_read)::bigint AS seq_rows_read, sum(b.index_scans)::bigint AS index_scans,
                  max(ARRAY[extract(epoch FROM b.at)::bigint, b.table_bytes, b.index_bytes, b.live_rows, b.dead_rows])
                      FILTER (WHERE b.table_bytes IS NOT NULL) AS size
              FROM asked AS a, minute AS b JOIN member AS m ON m.relation_id = b.relation_id AND b.at >= m.valid_from AND b.at < m.valid_until
              GROUP BY m.subject, b.relation_id, m.valid_until, date_bin(a.step_length, b.at, '2000-01-01 00:00:00+00')) AS s
        UNION ALL
        SELECT m.subject, m.relation_id, m.valid_until, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0
        FROM asked AS a, member AS m WHERE m.valid_until < a.ends
    ), change AS (
        SELECT f.*, lag(f.table_bytes) OVER w AS table_bytes_before, lag(f.index_bytes) OVER w AS index_bytes_before,
            lag(f.live_rows) OVER w AS live_rows_before, lag(f.dead_rows) OVER w AS dead_rows_before
        FROM figure AS f
        WINDOW w AS (PARTITION BY f.subject, f.relation_id, f.table_bytes IS NULL ORDER BY f.at, f.turn, f.table_bytes)
    ), summed AS (
        SELECT c.subject, date_bin(a.step_length, c.at, '2000-01-01 00:00:00+00') AS begins,
            sum(c.table_bytes - coalesce(c.table_bytes_before, 0)) AS table_bytes,
            sum(c.index_bytes - coalesce(c.index_bytes_before, 0)) FILTER (WHERE c.table_bytes IS NOT NULL) AS index_bytes,
            sum(c.live_rows - coalesce(c.live_rows_before, 0)) FILTER (WHERE c.table_bytes IS NOT NULL) AS live_rows,
            sum(c.dead_rows - coalesce(c.dead_rows_before, 0)) FILTER (WHERE c.table_bytes IS NOT NULL) AS dead_rows,
            sum(c.rows_inserted)::bigint AS rows_inserted, sum(c.rows_updated)::bigint AS rows_updated,
            sum(c.rows_hot_updated)::bigint AS rows_hot_updated, sum(c.rows_deleted)::bigint AS rows_deleted,
            sum(c.seq_scans)::bigint AS seq_scans, sum(c.seq_rows_read)::bigint AS seq_rows_read, sum(c.index_scans)::bigint AS index_scans
        FROM asked AS a, change AS c
        WHERE c.turn < 2 OR c.table_bytes_before IS NOT NULL
        GROUP BY c.subject, 2
    ), named AS (
        SELECT DISTINCT ON (w.relation) w.relation, w.schema_name, w.relation_name
        FROM citadel.visible_relation AS w WHERE w.kind = 'table' ORDER BY w.relation, w.gone_at DESC
    )
    SELECT s.begins, s.subject::regclass, n.schema_name, n.relation_name,
        (sum(s.table_bytes) OVER w + sum(s.index_bytes) OVER w)::bigint, (sum(s.table_bytes) OVER w)::bigint,
        (sum(s.index_bytes) OVER w)::bigint, (sum(s.live_rows) OVER w)::bigint, (sum(s.dead_rows) OVER w)::bigint,
        s.rows_inserted, s.rows_updated, s.rows_hot_updated, s.rows_deleted, s.seq_scans, s.seq_rows_read, s.index_scans
    FROM summed AS s LEFT JOIN named AS n ON n.relation = s.subject
    WINDOW w AS (PARTITION BY s.subject ORDER BY s.begins)
    ORDER BY n.schema_name, n.relation_name, s.subject, s.begins
    $$;
REVOKE ALL ON FUNCTION citadel.table_history(regclass, timestamptz, timestamptz, interval, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION citadel.table_history(regclass, timestamptz, timestamptz, interval, integer) TO PUBLIC;
COMMENT ON FUNCTION citadel.table_history(regclass, timestamptz, timestamptz, interval, integer) IS
    'How a table grew, was written and read from from_time (NULL: a day before to_time) to to_time (NULL: now), in steps (NULL: a minute '
    'up to 3 hours, 10 minutes up to 2 days, an hour up to 14 days, else a day; aligned to UTC). A partitioned table is the sum of its '
    'partitions while they were attached; NULL: the max_relations largest tables (NULL: all), by the hour or longer. Of a table that is gone, its OID is asked for. Steps '
    'in which nothing happened have no row: sizes are as in the one before. Owners see their tables, pg_monitor all. Raises 22023 for a '
    'step under a minute or with months, and for an empty window.';

-- ---------------------------------------------------------------------------------------------------------------------

CREATE TYPE citadel.index_history_step AS (
    at timestamptz,
    index regclass,
    relation regclass,
    schema_name text,
    index_name text,
    table_name text,
    size_bytes bigint,
    scans bigint,
    rows_read bigint,
    rows_fetched bigint
);
COMMENT ON TYPE citadel.index_history_step IS 'A row of citadel.index_history().';
COMMENT ON COLUMN citadel.index_history_step.at IS 'Begin of the step.';
COMMENT ON COLUMN citadel.index_history_step.index IS 'The index; shown as a number when it is gone.';
COMMENT ON COLUMN citadel.index_history_step.relation IS 'Its table; shown as a number when it is gone.';
COMMENT ON COLUMN citadel.index_history_step.size_bytes IS 'Bytes at the end of the step; NULL: not measured until then.';
COMMENT ON COLUMN citadel.index_history_step.scans IS 'Scans in the step.';
COMMENT ON COLUMN citadel.index_history_step.rows_read IS 'Index entries that they returned.';
COMMENT ON COLUMN citadel.index_history_step.rows_fetched IS 'Live table rows that plain index scans fetched by it.';

CREATE FUNCTION citadel.index_history(relation regclass DEFAULT NULL, from_time timestamptz DEFAULT NULL,
                                      to_time timestamptz DEFAULT NULL, step interval DEFAULT NULL,
                                      max_relations integer DEFAULT 1000)
    RETURNS SETOF citadel.index_history_step
    LANGUAGE sql STABLE PARALLEL RESTRICTED SET search_path = pg_catalog, pg_temp SET jit = off SET work_mem = '64MB'
    AS $$
    WITH asked AS MATERIALIZED (
        SELECT w.begins, w.ends, w.step_length, date_bin(w.step_length, w.begins, '2000-01-01 00:00:00+00') AS first_step
        FROM citadel.history_window(from_time, to_time, step, CASE WHEN relation IS NULL THEN interval '1 hour' END) AS w
    ), part AS MATERIALIZED (
        SELECT p.* FROM asked AS a, citadel.window_parts(a.begins, a.ends, a.step_length, of_relations => true) AS p
    ), member AS MATERIALIZED (
        SELECT m.* FROM citadel.relation_members(relation, 'index', max_relations) AS m
    ), minute AS (
        SELECT b.* FROM citadel.visible_index_bucket AS b
        WHERE b.step = 'minute' AND b.relation_id = ANY (ARRAY(SELECT m.relation_id FROM member AS m))
            AND b.at >= (SELECT minute_from FROM part) AND b.at < (SELECT least(minute_to, coarse_from) FROM part)
        UNION ALL
        SELECT b.* FROM citadel.visible_index_bucket AS b
        WHERE b.step = 'minute' AND b.relation_id = ANY (ARRAY(SELECT m.relation_id FROM member AS m))
            AND b.at >= (SELECT coarse_to FROM part) AND b.at < (SELECT minute_to FROM part)
    ), bucket AS (
        SELECT b.* FROM citadel.visible_index_bucket AS b
        WHERE b.step = 'hour' AND b.relation_id = ANY (ARRAY(SELECT m.relation_id FROM member AS m))
            AND b.at >= (SELECT hour_from FROM part) AND b.at < (SELECT least(hour_to, greatest(day_from, hour_from)) FROM part)
        UNION ALL
        SELECT b.* FROM citadel.visible_index_bucket AS b
        WHERE b.step = 'hour' AND b.relation_id = ANY (ARRAY(SELECT m.relation_id FROM member AS m))
            AND b.at >= (SELECT greatest(hour_from, day_from, day_to) FROM part) AND b.at < (SELECT hour_to FROM part)
        UNION ALL
        SELECT b.* FROM citadel.visible_index_bucket AS b
        WHERE b.step = 'day' AND b.relation_id = ANY (ARRAY(SELECT m.relation_id FROM member AS m))
            AND b.at >= (SELECT day_from FROM part) AND b.at < (SELECT day_to FROM part)
        UNION ALL
        SELECT 'measured', w.relation_id, w.changed_at, 0, 0, 0, w.table_bytes
        FROM citadel.visible_relation AS w
        WHERE w.relation_id = ANY (ARRAY(SELECT m.relation_id FROM member AS m)) AND w.table_bytes IS NOT NULL
            AND w.changed_at >= (SELECT minute_from FROM part) AND w.changed_at < (SELECT minute_to FROM part)
    ), begun AS MATERIALIZED (
        SELECT m.subject, m.relation_id, greatest(a.first_step, m.valid_from) AS at, row_number() OVER () AS place
        FROM asked AS a, member AS m WHERE m.valid_from < a.ends AND m.valid_until > a.first_step
    ), figure AS (
        SELECT b.subject, b.relation_id, b.at, 0 AS turn, k.table_bytes AS size_bytes, 0::bigint AS scans, 0::bigint AS rows_read,
            0::bigint AS rows_fetched
        FROM citadel.relation_sizes(ARRAY(SELECT b.relation_id FROM begun AS b ORDER BY b.place),
                                    ARRAY(SELECT b.at FROM begun AS b ORDER BY b.place)) AS k JOIN begun AS b ON b.place = k.place
        UNION ALL
        SELECT m.subject, b.relation_id, b.at, 1, b.size_bytes, b.scans, b.rows_read, b.rows_fetched
        FROM bucket AS b JOIN member AS m ON m.relation_id = b.relation_id AND b.at >= m.valid_from AND b.at < m.valid_until
        UNION ALL
        SELECT m.subject, b.relation_id, max(b.at), 1, NULL, sum(b.scans)::bigint, sum(b.rows_read)::bigint, sum(b.rows_fetched)::bigint
        FROM asked AS a, minute AS b JOIN member AS m ON m.relation_id = b.relation_id AND b.at >= m.valid_from AND b.at < m.valid_until
        GROUP BY m.subject, b.relation_id, m.valid_until, date_bin(a.step_length, b.at, '2000-01-01 00:00:00+00')
        UNION ALL
        SELECT m.subject, m.relation_id, m.valid_until, 2, 0, 0, 0, 0 FROM asked AS a, member AS m WHERE m.valid_until < a.ends
    ), change AS (
        SELECT f.*, lag(f.size_bytes) OVER (PARTITION BY f.subject, f.relation_id, f.size_bytes IS NULL
                                            ORDER BY f.at, f.turn, f.size_bytes) AS size_before
        FROM figure AS f
    ), summed AS (
        SELECT c.subject, date_bin(a.step_length, c.at, '2000-01-01 00:00:00+00') AS begins,
            sum(c.size_bytes - coalesce(c.size_before, 0)) AS size_bytes, sum(c.scans)::bigint AS scans,
            sum(c.rows_read)::bigint AS rows_read, sum(c.rows_fetched)::bigint AS rows_fetched
        FROM asked AS a, change AS c
        WHERE c.turn < 2 OR c.size_before IS NOT NULL
        GROUP BY c.subject, 2
    ), named AS (
        SELECT DISTINCT ON (w.relation) w.relation, w.schema_name, w.relation_name, w.indexed_relation, w.indexed_name
        FROM citadel.visible_relation AS w WHERE w.kind = 'index' ORDER BY w.relation, w.gone_at DESC
    )
    SELECT s.begins, s.subject::regclass, n.indexed_relation::regclass, n.schema_name, n.relation_name, n.indexed_name,
        (sum(s.size_bytes) OVER (PARTITION BY s.subject ORDER BY s.begins))::bigint, s.scans, s.rows_read, s.rows_fetched
    FROM summed AS s LEFT JOIN named AS n ON n.relation = s.subject
    ORDER BY n.schema_name, n.indexed_name, n.relation_name, s.subject, s.begins
    $$;
REVOKE ALL ON FUNCTION citadel.index_history(regclass, timestamptz, timestamptz, interval, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION citadel.index_history(regclass, timestamptz, timestamptz, interval, integer) TO PUBLIC;
COMMENT ON FUNCTION citadel.index_history(regclass, timestamptz, timestamptz, interval, integer) IS
    'How an index, or each index of a table (NULL: the max_relations largest, by the hour or longer), was used and grew from from_time (NULL: a day '
    'before to_time) to to_time (NULL: now), in steps as in table_history(). An index of a partitioned table is the sum of its '
    'partitions''. Of what is gone, its OID is asked for. Steps in which nothing happened have no row. Owners see their indexes, '
    'pg_monitor all. Raises 22023 for a step under a minute or with months, and for an empty window.';
