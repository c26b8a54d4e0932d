-- Self-cost: what capture takes of the time of statements, and what it leaves out for that.

CREATE TYPE citadel.overhead_figures AS (
    share double precision, max_share double precision, level integer, since timestamptz, left_out text[],
    own_ms double precision, busy_ms double precision, timed_runs bigint, changes bigint);
REVOKE ALL ON TYPE citadel.overhead_figures FROM PUBLIC;
GRANT USAGE ON TYPE citadel.overhead_figures TO pg_monitor;
COMMENT ON TYPE citadel.overhead_figures IS 'Row type of citadel.overhead(); over all databases';
COMMENT ON COLUMN citadel.overhead_figures.share IS
'Time in the hooks of capture / time in which sessions were busy with statements, of the last ten seconds in which they were';
COMMENT ON COLUMN citadel.overhead_figures.max_share IS 'citadel_opt.max_overhead: above it work is left out; 0: not measured';
COMMENT ON COLUMN citadel.overhead_figures.level IS 'How far work is left out, 0 (nothing) to 5';
COMMENT ON COLUMN citadel.overhead_figures.since IS 'Last change of the level; NULL: none since the server started';
COMMENT ON COLUMN citadel.overhead_figures.left_out IS 'What is left out, in words; empty: nothing';
COMMENT ON COLUMN citadel.overhead_figures.own_ms IS 'Time in the hooks since the server started, extrapolated from timed runs';
COMMENT ON COLUMN citadel.overhead_figures.busy_ms IS 'Time in which sessions were busy with statements, likewise';
COMMENT ON COLUMN citadel.overhead_figures.timed_runs IS 'Runs of statements that were timed since the server started';
COMMENT ON COLUMN citadel.overhead_figures.changes IS 'How often the level changed since the server started';

CREATE FUNCTION citadel.overhead()
RETURNS citadel.overhead_figures
AS 'MODULE_PATHNAME', 'citadel_overhead'
LANGUAGE C VOLATILE PARALLEL RESTRICTED SET search_path = pg_catalog, pg_temp;
REVOKE ALL ON FUNCTION citadel.overhead() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION citadel.overhead() TO pg_monitor;
COMMENT ON FUNCTION citadel.overhead() IS
'What capture takes of the time of statements, and what it leaves out to take less; raises 55000 when citadel_opt is not preloaded';
