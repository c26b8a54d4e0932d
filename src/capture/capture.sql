-- Capture: what lies in shared memory, for health() and for people who look into it.

CREATE TYPE citadel.capture_figures AS (
    captured bigint, dropped_full bigint, dropped_memory bigint, dropped_busy bigint, discarded bigint,
    plans_captured bigint, plans_failed bigint, texts_truncated bigint, evicted bigint, repeated bigint,
    row_counts bigint, hook_errors bigint, statements bigint, plans bigint,
    buffer_used_bytes bigint, buffer_size_bytes bigint, delta_entries bigint, delta_capacity bigint,
    deltas_evicted bigint, deltas_discarded bigint, deltas_busy bigint, delta_size_bytes bigint);
REVOKE ALL ON TYPE citadel.capture_figures FROM PUBLIC;
GRANT USAGE ON TYPE citadel.capture_figures TO pg_monitor;
COMMENT ON TYPE citadel.capture_figures IS
'Figures of capture since the server started, over all databases; counts of samples or texts, sizes in bytes';
COMMENT ON COLUMN citadel.capture_figures.captured IS 'Samples put into the buffer';
COMMENT ON COLUMN citadel.capture_figures.dropped_full IS 'Samples lost because the buffer was full';
COMMENT ON COLUMN citadel.capture_figures.dropped_memory IS 'Texts, plans and parameter sets lost for want of room';
COMMENT ON COLUMN citadel.capture_figures.dropped_busy IS 'The same, because another process had the entry';
COMMENT ON COLUMN citadel.capture_figures.discarded IS 'Samples of databases that nobody reads any more';
COMMENT ON COLUMN citadel.capture_figures.plans_captured IS 'Texts of plans written down';
COMMENT ON COLUMN citadel.capture_figures.plans_failed IS 'Plans too long, or whose EXPLAIN failed';
COMMENT ON COLUMN citadel.capture_figures.texts_truncated IS 'Statements longer than what is kept of them (16 kB)';
COMMENT ON COLUMN citadel.capture_figures.evicted IS 'Remembered statements and plans that made room for others';
COMMENT ON COLUMN citadel.capture_figures.repeated IS 'Findings of a statement sent 50 times or more in a transaction';
COMMENT ON COLUMN citadel.capture_figures.row_counts IS 'Runs that counted rows per plan node';
COMMENT ON COLUMN citadel.capture_figures.hook_errors IS 'Errors of capture itself, swallowed';
COMMENT ON COLUMN citadel.capture_figures.statements IS 'Statements remembered at the moment';
COMMENT ON COLUMN citadel.capture_figures.plans IS 'Plans remembered at the moment';
COMMENT ON COLUMN citadel.capture_figures.buffer_used_bytes IS 'Shared memory in use for samples and texts';
COMMENT ON COLUMN citadel.capture_figures.buffer_size_bytes IS 'Shared memory of capture in all';
COMMENT ON COLUMN citadel.capture_figures.delta_entries IS
'Entries in use of the memory in which the runs of all statements are counted (statement_history), between two minutes';
COMMENT ON COLUMN citadel.capture_figures.delta_capacity IS 'How many it has (statement_buffer_size)';
COMMENT ON COLUMN citadel.capture_figures.deltas_evicted IS
'Statements counted with the rest of their database for a minute because there was no room';
COMMENT ON COLUMN citadel.capture_figures.deltas_discarded IS 'Entries that nobody had stored for ten minutes, given up for others';
COMMENT ON COLUMN citadel.capture_figures.deltas_busy IS 'Times that an entry had to wait for the next flush because of a lock';
COMMENT ON COLUMN citadel.capture_figures.delta_size_bytes IS 'Shared memory in which the runs of all statements are counted, in all';

CREATE FUNCTION citadel.capture_counters()
RETURNS citadel.capture_figures
AS 'MODULE_PATHNAME', 'citadel_capture_counters'
LANGUAGE C VOLATILE PARALLEL RESTRICTED SET search_path = pg_catalog, pg_temp;
REVOKE ALL ON FUNCTION citadel.capture_counters() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION citadel.capture_counters() TO pg_monitor;
COMMENT ON FUNCTION citadel.capture_counters() IS
'Figures of capture since the server started; raises 55000 when citadel_opt is not preloaded';

CREATE TYPE citadel.captured_statement AS (
    query_id bigint, plan_id bigint, user_id oid, query text, search_path text, truncated boolean, plan jsonb,
    has_row_counts boolean, last_used timestamptz, parameters text[]);
REVOKE ALL ON TYPE citadel.captured_statement FROM PUBLIC;
GRANT USAGE ON TYPE citadel.captured_statement TO pg_monitor;
COMMENT ON TYPE citadel.captured_statement IS
'A statement (plan_id is NULL) or a plan (query is NULL) that shared memory remembers';

CREATE FUNCTION citadel.captured_statements()
RETURNS SETOF citadel.captured_statement
AS 'MODULE_PATHNAME', 'citadel_captured_statements'
LANGUAGE C VOLATILE PARALLEL RESTRICTED SET search_path = pg_catalog, pg_temp;
REVOKE ALL ON FUNCTION citadel.captured_statements() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION citadel.captured_statements() TO pg_monitor;
COMMENT ON FUNCTION citadel.captured_statements() IS
'Slow statements and plans of this database that shared memory remembers. parameters: sampled literals and bind values, '
'for superusers and the statement''s own user; NULL for others';

-- For tests and debugging; superuser only.

CREATE TYPE citadel.captured_sample AS (
    kind text, outcome text, sqlstate text, nested boolean, counted_rows boolean, query_id bigint, plan_id bigint,
    user_id oid, started_at timestamptz, ended_at timestamptz, duration_ms double precision, rows bigint,
    shared_hit bigint, shared_read bigint, shared_dirtied bigint, shared_written bigint, temp_read bigint,
    temp_written bigint, wal_bytes bigint, io_ms double precision, jit_ms double precision, waits jsonb,
    repeats integer);
REVOKE ALL ON TYPE citadel.captured_sample FROM PUBLIC;
COMMENT ON TYPE citadel.captured_sample IS
'One slow statement as it lies in the capture buffer; buffers in blocks, durations in milliseconds';

CREATE FUNCTION citadel.debug_hold_capture()
RETURNS boolean
AS 'MODULE_PATHNAME', 'citadel_debug_hold_capture'
LANGUAGE C VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp;
REVOKE ALL ON FUNCTION citadel.debug_hold_capture() FROM PUBLIC;
COMMENT ON FUNCTION citadel.debug_hold_capture() IS
'For tests: this session becomes the reader of its database''s samples instead of the scheduler, until it ends or calls '
'debug_release_capture(); false when another session holds that role';

CREATE FUNCTION citadel.debug_release_capture()
RETURNS void
AS 'MODULE_PATHNAME', 'citadel_debug_release_capture'
LANGUAGE C VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp;
REVOKE ALL ON FUNCTION citadel.debug_release_capture() FROM PUBLIC;
COMMENT ON FUNCTION citadel.debug_release_capture() IS
'For tests: gives the role of reader back to the scheduler';

CREATE FUNCTION citadel.debug_drain_capture()
RETURNS SETOF citadel.captured_sample
AS 'MODULE_PATHNAME', 'citadel_debug_drain_capture'
LANGUAGE C VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp;
REVOKE ALL ON FUNCTION citadel.debug_drain_capture() FROM PUBLIC;
COMMENT ON FUNCTION citadel.debug_drain_capture() IS
'For tests: takes this database''s samples out of the buffer; nothing unless this session called debug_hold_capture()';

CREATE FUNCTION citadel.debug_sample_waits()
RETURNS boolean
AS 'MODULE_PATHNAME', 'citadel_debug_sample_waits'
LANGUAGE C VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp;
REVOKE ALL ON FUNCTION citadel.debug_sample_waits() FROM PUBLIC;
COMMENT ON FUNCTION citadel.debug_sample_waits() IS
'For tests: looks once at what slow statements are waiting for, as the launcher does; false when none is slow';

CREATE TYPE citadel.counted_run AS (
    query_id bigint, plan_id bigint, user_id oid, toplevel boolean, minute timestamptz, calls bigint, errors bigint,
    total_ms double precision, max_ms double precision, rows bigint, shared_hit bigint, shared_read bigint,
    temp_blocks bigint, latency bytea, error_classes jsonb);
REVOKE ALL ON TYPE citadel.counted_run FROM PUBLIC;
COMMENT ON TYPE citadel.counted_run IS
'What a statement did in a minute, or a part of that, as shared memory holds it; query_id 0: those without a place there';

CREATE FUNCTION citadel.debug_take_runs()
RETURNS SETOF citadel.counted_run
AS 'MODULE_PATHNAME', 'citadel_debug_take_runs'
LANGUAGE C VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp;
REVOKE ALL ON FUNCTION citadel.debug_take_runs() FROM PUBLIC;
COMMENT ON FUNCTION citadel.debug_take_runs() IS
'For tests: takes what was counted of this database''s statements out of shared memory, that of this session included; '
'nothing unless this session called debug_hold_capture()';
