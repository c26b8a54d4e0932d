-- Where the advisors that are running stand.

CREATE TYPE citadel.advisor_progress_row AS (
    pid int,
    user_id oid,
    started_at timestamptz,
    phase text,
    statements_done bigint,
    statements_total bigint,
    candidates bigint,
    planner_calls bigint,
    indexes_chosen bigint,
    cost_before float8,
    cost_so_far float8
);
COMMENT ON TYPE citadel.advisor_progress_row IS
    'pid: process that runs the advisor; user_id: OID of its role; phase: analysing, pricing (today''s costs), searching (plans with indexes), refining (plans around the answer), reporting; statements_done, statements_total: in this phase; candidates: indexes considered; planner_calls: plans made; indexes_chosen: in the answer so far; cost_before, cost_so_far: weighted cost of the workload, in planner units.';

CREATE FUNCTION citadel.advisor_progress_rows() RETURNS SETOF citadel.advisor_progress_row
    AS 'MODULE_PATHNAME', 'citadel_advisor_progress' LANGUAGE C STRICT VOLATILE PARALLEL RESTRICTED;
REVOKE ALL ON FUNCTION citadel.advisor_progress_rows() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION citadel.advisor_progress_rows() TO pg_monitor;
COMMENT ON FUNCTION citadel.advisor_progress_rows() IS 'Behind the view advisor_progress: one row for each advisor that runs in this database.';

CREATE VIEW citadel.advisor_progress AS
    SELECT pid, user_id, started_at, phase, statements_done, statements_total, candidates, planner_calls, indexes_chosen,
           cost_before, cost_so_far
    FROM citadel.advisor_progress_rows();
REVOKE ALL ON citadel.advisor_progress FROM PUBLIC;
GRANT SELECT ON citadel.advisor_progress TO pg_monitor;
COMMENT ON VIEW citadel.advisor_progress IS 'Advisors that are running in this database, and how far they are';

CREATE FUNCTION citadel.stop_advisor(pid int) RETURNS boolean
    AS 'MODULE_PATHNAME', 'citadel_stop_advisor' LANGUAGE C STRICT VOLATILE PARALLEL RESTRICTED;
REVOKE ALL ON FUNCTION citadel.stop_advisor(int) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION citadel.stop_advisor(int) TO pg_monitor;
COMMENT ON FUNCTION citadel.stop_advisor(int) IS
    'Asks the advisor that runs in this process to settle for the best it has found so far; false when none runs there. For members of the role that runs it.';
