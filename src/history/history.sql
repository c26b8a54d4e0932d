-- history: what the capture ring held and what the server's counters said, kept as tables.
--
-- The parents below are partitioned by UTC day and belong to the extension. Their partitions do not: the scheduler makes
-- them (citadel.sample_p20261121 ...), so that DROP TABLE of an old day is possible (a member cannot be dropped) and so
-- that pg_dump keeps their rows. A partition depends on its parent, so DROP EXTENSION takes them along.
-- The parents carry no index on purpose: a restored partition would get the parent's index when it is attached, and
-- again when the dump creates it by name. The scheduler indexes each partition instead.

-- ---------------------------------------------------------------------------------------------------------------------
-- where this installation came from

CREATE TABLE citadel.installation (
    installed_at timestamptz NOT NULL,
    by_restore boolean NOT NULL,
    backend_pid integer NOT NULL,
    backend_start timestamptz
);
REVOKE ALL ON citadel.installation FROM PUBLIC;
GRANT SELECT ON citadel.installation TO pg_monitor;
COMMENT ON TABLE citadel.installation IS
    'One row: when CREATE EXTENSION ran here. by_restore: it ran in the session of a dump being restored (pg_dump''s '
    'scripts and pg_restore turn row_security off). Until that session has ended the scheduler writes no history here, '
    'because partitions and rows it made would collide with those in the dump.';

INSERT INTO citadel.installation
SELECT pg_catalog.now(), pg_catalog.current_setting('row_security') = 'off', pg_catalog.pg_backend_pid(), a.backend_start
FROM pg_catalog.pg_stat_get_activity(pg_catalog.pg_backend_pid()) AS a;

-- ---------------------------------------------------------------------------------------------------------------------
-- samples

CREATE TABLE citadel.sample (
    kind text NOT NULL,
    outcome text NOT NULL,
    sqlstate text,
    nested boolean NOT NULL,
    query_id bigint NOT NULL,
    plan_id bigint,
    user_id oid NOT NULL,
    started_at timestamptz NOT NULL,
    ended_at timestamptz NOT NULL,
    duration_ms double precision NOT NULL,
    rows bigint,
    shared_hit bigint,
    shared_read bigint,
    shared_dirtied bigint,
    shared_written bigint,
    temp_read bigint,
    temp_written bigint,
    wal_bytes bigint,
    io_ms double precision,
    jit_ms double precision,
    waits jsonb,
    repeats integer
) PARTITION BY RANGE (ended_at);
REVOKE ALL ON citadel.sample FROM PUBLIC;
GRANT SELECT ON citadel.sample TO pg_monitor;
COMMENT ON TABLE citadel.sample IS
    'One row for each captured run of a slow statement. Buffers in blocks, times in milliseconds. Partitioned by UTC day '
    'of ended_at; days older than citadel_opt.history_retention are dropped by the maintain job.';
COMMENT ON COLUMN citadel.sample.kind IS
    'slow_statement: one run past slow_query_threshold. repeated_in_transaction: one transaction that ran the statement '
    'many times (see repeats).';
COMMENT ON COLUMN citadel.sample.outcome IS 'ok, error, cancelled, or timeout (statement_timeout).';
COMMENT ON COLUMN citadel.sample.waits IS
    'Samples taken every 100 ms while the statement was past the threshold, counted by wait event class; cpu: not waiting.';
COMMENT ON COLUMN citadel.sample.repeats IS 'For repeated_in_transaction: calls in that transaction.';

CREATE TABLE citadel.statement (
    query_id bigint NOT NULL,
    user_id oid NOT NULL,
    query text NOT NULL,
    search_path text,
    truncated boolean NOT NULL DEFAULT false,
    first_seen timestamptz NOT NULL,
    last_seen timestamptz NOT NULL,
    PRIMARY KEY (query_id, user_id)
);
REVOKE ALL ON citadel.statement FROM PUBLIC;
GRANT SELECT ON citadel.statement TO pg_monitor;
COMMENT ON TABLE citadel.statement IS
    'Text of the statements in the history, literals replaced by parameters. Utility statements have no row: their text '
    'is never stored.';
COMMENT ON COLUMN citadel.statement.search_path IS
    'search_path under which it was captured; NULL when the text came from pg_stat_statements, which does not know it.';
COMMENT ON COLUMN citadel.statement.last_seen IS 'Kept to the hour; exact times are in sample and statement_delta.';

CREATE TABLE citadel.plan (
    query_id bigint NOT NULL,
    user_id oid NOT NULL,
    plan_id bigint NOT NULL,
    plan jsonb NOT NULL,
    has_row_counts boolean NOT NULL,
    captured_at timestamptz NOT NULL,
    PRIMARY KEY (query_id, user_id, plan_id)
);
REVOKE ALL ON citadel.plan FROM PUBLIC;
GRANT SELECT ON citadel.plan TO pg_monitor;
COMMENT ON TABLE citadel.plan IS
    'EXPLAIN (FORMAT JSON) of captured statements, constants removed; has_row_counts: with actual rows of each node.';

CREATE TABLE citadel.parameter_set (
    query_id bigint NOT NULL,
    user_id oid NOT NULL,
    captured_at timestamptz NOT NULL,
    literals text[] NOT NULL,
    bind_types oid[] NOT NULL,
    binds text[] NOT NULL
);
CREATE INDEX parameter_set_statement ON citadel.parameter_set (query_id, user_id, captured_at);
REVOKE ALL ON citadel.parameter_set FROM PUBLIC;
COMMENT ON TABLE citadel.parameter_set IS
    'Literals and bind values of captured statements, written only while citadel_opt.sample_parameters = store. Superuser '
    'only, and whoever is granted it explicitly.';

-- ---------------------------------------------------------------------------------------------------------------------
-- snapshots of the server's counters, as deltas

CREATE TABLE citadel.statement_delta (
    at timestamptz NOT NULL,
    query_id bigint NOT NULL,
    user_id oid NOT NULL,
    toplevel boolean NOT NULL,
    calls bigint NOT NULL,
    total_ms double precision NOT NULL,
    plan_ms double precision NOT NULL,
    rows bigint NOT NULL,
    shared_hit bigint NOT NULL,
    shared_read bigint NOT NULL,
    temp_blocks bigint NOT NULL,
    wal_bytes bigint NOT NULL,
    io_ms double precision NOT NULL,
    jit_ms double precision NOT NULL
) PARTITION BY RANGE (at);
REVOKE ALL ON citadel.statement_delta FROM PUBLIC;
GRANT SELECT ON citadel.statement_delta TO pg_monitor;
COMMENT ON TABLE citadel.statement_delta IS
    'What pg_stat_statements counted between the previous snapshot and at: differences, so resets and crash recovery do '
    'not distort them. The 500 statements with the most time of each snapshot have rows of their own; the rest is one row '
    'with query_id 0 and user_id 0.';
COMMENT ON COLUMN citadel.statement_delta.toplevel IS
    'false: ran inside a function. Its time is contained in the calling statement''s.';
COMMENT ON COLUMN citadel.statement_delta.total_ms IS 'Execution time, without planning.';
COMMENT ON COLUMN citadel.statement_delta.temp_blocks IS 'Temporary blocks read and written.';

CREATE TABLE citadel.table_delta (
    at timestamptz NOT NULL,
    relation oid NOT NULL,
    schema_name name NOT NULL,
    table_name name NOT NULL,
    seq_scans bigint NOT NULL,
    seq_rows_read bigint NOT NULL,
    index_scans bigint NOT NULL,
    rows_inserted bigint NOT NULL,
    rows_updated bigint NOT NULL,
    rows_hot_updated bigint NOT NULL,
    rows_deleted bigint NOT NULL,
    table_bytes bigint,
    index_bytes bigint,
    live_rows bigint,
    dead_rows bigint
) PARTITION BY RANGE (at);
REVOKE ALL ON citadel.table_delta FROM PUBLIC;
GRANT SELECT ON citadel.table_delta TO pg_monitor;
COMMENT ON TABLE citadel.table_delta IS
    'How each user table was read and written between the previous snapshot and at; only tables where something happened.';
COMMENT ON COLUMN citadel.table_delta.table_bytes IS
    'Bytes with TOAST but without indexes, measured in the 500 tables of each snapshot that were written most; else NULL.';
COMMENT ON COLUMN citadel.table_delta.index_bytes IS 'Bytes of its indexes, measured likewise.';
COMMENT ON COLUMN citadel.table_delta.live_rows IS 'Rows, as the server estimates them, likewise.';
COMMENT ON COLUMN citadel.table_delta.dead_rows IS 'Dead rows, likewise.';

CREATE TABLE citadel.index_delta (
    at timestamptz NOT NULL,
    index oid NOT NULL,
    relation oid NOT NULL,
    scans bigint NOT NULL,
    rows_read bigint NOT NULL DEFAULT 0,
    rows_fetched bigint NOT NULL DEFAULT 0
) PARTITION BY RANGE (at);
REVOKE ALL ON citadel.index_delta FROM PUBLIC;
GRANT SELECT ON citadel.index_delta TO pg_monitor;
COMMENT ON TABLE citadel.index_delta IS 'Scans of each index between the previous snapshot and at; only indexes that were used.';
COMMENT ON COLUMN citadel.index_delta.rows_read IS 'Index entries that those scans returned.';
COMMENT ON COLUMN citadel.index_delta.rows_fetched IS 'Live table rows that plain index scans fetched by it.';

CREATE TABLE citadel.index_counter (
    index oid NOT NULL,
    database oid NOT NULL,
    schema_name name NOT NULL,
    index_name name NOT NULL,
    last_counter bigint NOT NULL,
    scans_total bigint NOT NULL,
    last_used timestamptz,
    first_seen timestamptz NOT NULL,
    last_rows_read bigint NOT NULL DEFAULT 0,
    last_rows_fetched bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (index, database)
);
REVOKE ALL ON citadel.index_counter FROM PUBLIC;
GRANT SELECT ON citadel.index_counter TO pg_monitor;
COMMENT ON TABLE citadel.index_counter IS
    'Every user index since it was first seen: scans that statistics resets cannot forget, and when it was last used (to '
    'the snapshot, one minute; NULL: not since first_seen).';
COMMENT ON COLUMN citadel.index_counter.database IS
    'OID of the database in which the row was written: rows that came with a restored dump are matched by name again at '
    'the next snapshot, so that each index has one row.';
COMMENT ON COLUMN citadel.index_counter.scans_total IS
    'Scans the server had counted when the index was first seen, and all since.';
COMMENT ON COLUMN citadel.index_counter.last_counter IS 'pg_stat counter at the last snapshot.';
COMMENT ON COLUMN citadel.index_counter.last_rows_read IS 'idx_tup_read at the last snapshot.';
COMMENT ON COLUMN citadel.index_counter.last_rows_fetched IS 'idx_tup_fetch at the last snapshot.';

-- The counters as last seen. That of tables is unlogged, because it must vanish exactly when the server's own counters
-- do: crash recovery empties both, and then the next snapshot's values are the delta. pg_stat_statements survives an
-- immediate stop, but has a time of reset that tells when it did not survive.
CREATE TABLE citadel.statement_counter (
    user_id oid NOT NULL,
    query_id bigint NOT NULL,
    toplevel boolean NOT NULL,
    calls bigint NOT NULL,
    total_ms double precision NOT NULL,
    plan_ms double precision NOT NULL,
    rows bigint NOT NULL,
    shared_hit bigint NOT NULL,
    shared_read bigint NOT NULL,
    temp_blocks bigint NOT NULL,
    wal_bytes bigint NOT NULL,
    io_ms double precision NOT NULL,
    jit_ms double precision NOT NULL,
    text_read boolean NOT NULL DEFAULT false,
    PRIMARY KEY (query_id, user_id, toplevel)
) WITH (fillfactor = 50);
REVOKE ALL ON citadel.statement_counter FROM PUBLIC;
GRANT SELECT ON citadel.statement_counter TO pg_monitor;
COMMENT ON TABLE citadel.statement_counter IS
    'pg_stat_statements as last seen. text_read: its text was looked at (and stored unless it is a utility statement).';

CREATE UNLOGGED TABLE citadel.table_counter (
    relation oid PRIMARY KEY,
    seq_scans bigint NOT NULL,
    seq_rows_read bigint NOT NULL,
    index_scans bigint NOT NULL,
    rows_inserted bigint NOT NULL,
    rows_updated bigint NOT NULL,
    rows_hot_updated bigint NOT NULL,
    rows_deleted bigint NOT NULL
) WITH (fillfactor = 50);
REVOKE ALL ON citadel.table_counter FROM PUBLIC;
COMMENT ON TABLE citadel.table_counter IS 'Counters of pg_stat_user_tables as last seen.';

CREATE TABLE citadel.snapshot_state (
    source text PRIMARY KEY,
    last_at timestamptz,
    stats_reset timestamptz,
    timeline text,
    failed_at timestamptz,
    failure text
);
REVOKE ALL ON citadel.snapshot_state FROM PUBLIC;
GRANT SELECT ON citadel.snapshot_state TO pg_monitor;
COMMENT ON TABLE citadel.snapshot_state IS
    'Each source of history (samples, statements, tables, indexes): when it was last read, and why it could not be read, '
    'if so. failure is NULL while all is well.';
COMMENT ON COLUMN citadel.snapshot_state.stats_reset IS 'Time of reset that the source itself reports, if it does.';
COMMENT ON COLUMN citadel.snapshot_state.timeline IS
    'WAL timeline at the last reading. After a promotion the counters are those of the former standby, so the first '
    'snapshot stores no deltas.';

CREATE FUNCTION citadel.history_clock() RETURNS timestamptz
    AS 'MODULE_PATHNAME', 'citadel_history_clock'
    LANGUAGE C STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp;
REVOKE ALL ON FUNCTION citadel.history_clock() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION citadel.history_clock() TO PUBLIC;
COMMENT ON FUNCTION citadel.history_clock() IS
    'Now, by the clock that stamps the history: the system''s, unless a test has moved it.';

CREATE FUNCTION citadel.collect(timeout interval DEFAULT '30 seconds') RETURNS void
    AS 'MODULE_PATHNAME', 'citadel_collect'
    LANGUAGE C VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp;
REVOKE ALL ON FUNCTION citadel.collect(interval) FROM PUBLIC;
COMMENT ON FUNCTION citadel.collect(interval) IS
    'Has the scheduler of this database store captured samples and take its snapshots now, and waits until that is '
    'committed. Raises 55000 when no scheduler runs here or it did not answer in time. Whether each source could be read '
    'is in citadel.snapshot_state.';

-- ---------------------------------------------------------------------------------------------------------------------
-- who sees what: members of pg_read_all_stats (pg_monitor is one) all rows, everybody else the statements of roles whose
-- privileges they have. Plain views and no SECURITY DEFINER: the tables are read as the views' owner, while the check
-- inside runs as the caller; security_barrier keeps a caller's leaky function away from rows not yet checked.


CREATE VIEW citadel.visible_sample WITH (security_barrier) AS
    SELECT * FROM citadel.sample
    WHERE pg_catalog.pg_has_role('pg_read_all_stats', 'USAGE') OR pg_catalog.pg_has_role(user_id, 'USAGE');
CREATE VIEW citadel.visible_statement WITH (security_barrier) AS
    SELECT * FROM citadel.statement
    WHERE pg_catalog.pg_has_role('pg_read_all_stats', 'USAGE') OR pg_catalog.pg_has_role(user_id, 'USAGE');
CREATE VIEW citadel.visible_plan WITH (security_barrier) AS
    SELECT * FROM citadel.plan
    WHERE pg_catalog.pg_has_role('pg_read_all_stats', 'USAGE') OR pg_catalog.pg_has_role(user_id, 'USAGE');
CREATE VIEW citadel.visible_statement_delta WITH (security_barrier) AS
    SELECT * FROM citadel.statement_delta
    WHERE pg_catalog.pg_has_role('pg_read_all_stats', 'USAGE') OR pg_catalog.pg_has_role(user_id, 'USAGE');
REVOKE ALL ON citadel.visible_sample, citadel.visible_statement, citadel.visible_plan, citadel.visible_statement_delta
    FROM PUBLIC;
GRANT SELECT ON citadel.visible_sample, citadel.visible_statement, citadel.visible_plan, citadel.visible_statement_delta
    TO PUBLIC;
COMMENT ON VIEW citadel.visible_sample IS 'citadel.sample, as far as the current user may see it.';
COMMENT ON VIEW citadel.visible_statement IS 'citadel.statement, as far as the current user may see it.';
COMMENT ON VIEW citadel.visible_plan IS 'citadel.plan, as far as the current user may see it.';
COMMENT ON VIEW citadel.visible_statement_delta IS 'citadel.statement_delta, as far as the current user may see it.';

-- ---------------------------------------------------------------------------------------------------------------------
-- what a dump keeps. The partitions are no members, so pg_dump keeps them by itself; counters and states are not kept,
-- because the new database has counters of its own.

SELECT pg_catalog.pg_extension_config_dump('citadel.statement', '');
SELECT pg_catalog.pg_extension_config_dump('citadel.plan', '');
SELECT pg_catalog.pg_extension_config_dump('citadel.parameter_set', '');
SELECT pg_catalog.pg_extension_config_dump('citadel.index_counter', '');
