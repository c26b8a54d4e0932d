-- Legal holds: who may place and release them, what is refused, what the audit log says.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS citadel_opt CASCADE;
CREATE ROLE regress_hold_owner;
CREATE ROLE regress_hold_other;
CREATE SCHEMA holds;
GRANT USAGE, CREATE ON SCHEMA holds TO regress_hold_owner, regress_hold_other;
SET ROLE regress_hold_owner;
CREATE TABLE holds."Cases" (id int, at timestamptz, customer int);
CREATE FUNCTION holds.who(int) RETURNS boolean IMMUTABLE LANGUAGE plpgsql AS
    $$ BEGIN RAISE WARNING 'planned as %, path %', current_user, current_setting('search_path'); RETURN true; END $$;
CREATE VIEW holds.no_table AS SELECT 1 AS a;

SELECT citadel.place_hold('holds."Cases"', '2024-01-01', '2025-01-01', 'case 4711') AS first_hold \gset
SELECT citadel.place_hold('holds."Cases"', NULL, NULL, 'case 4712', 'customer = 7 -- all of his') AS second_hold \gset
SELECT :second_hold - :first_hold AS one_more;
-- The condition is looked at as the owner, restricted.
SELECT citadel.place_hold('holds."Cases"', NULL, NULL, 'reason', 'holds.who(1)') AS third_hold \gset
SELECT citadel.place_hold('holds."Cases"', NULL, NULL, 'reason', 'no_such_column = 1');
SELECT citadel.place_hold('holds."Cases"', NULL, NULL, 'reason', 'customer');
SELECT citadel.place_hold('holds."Cases"', NULL, NULL, 'reason', 'true); DROP TABLE holds."Cases"; SELECT (true');
SELECT citadel.place_hold('holds."Cases"', NULL, NULL, 'reason', ' ');
SELECT citadel.place_hold('holds."Cases"', NULL, NULL, ' ');
SELECT citadel.place_hold('holds."Cases"', NULL, NULL, NULL);
SELECT citadel.place_hold('holds."Cases"', '2025-01-01', '2024-01-01', 'reason');
SELECT citadel.place_hold('holds.no_table', NULL, NULL, 'reason');
SELECT citadel.place_hold(NULL, NULL, NULL, 'reason');
SELECT citadel.place_hold(1::oid, NULL, NULL, 'reason');

-- Only the owner.
SET ROLE regress_hold_other;
SELECT citadel.place_hold('holds."Cases"', NULL, NULL, 'not mine');
SELECT citadel.release_hold(:first_hold, 'not mine');
SELECT * FROM citadel.hold;
UPDATE citadel.hold SET released_at = now();
SET ROLE regress_hold_owner;
SELECT citadel.release_hold(:first_hold, NULL);
SELECT citadel.release_hold(:first_hold, 'case closed');
SELECT citadel.release_hold(:first_hold, 'case closed');
SELECT citadel.release_hold(-1, 'case closed');
SELECT current_user;
RESET ROLE;
SELECT hold_id - :first_hold AS hold, schema_name, relation_name, from_time, to_time, predicate, reason, placed_by = session_user AS by_me,
    released_at IS NOT NULL AS released, release_reason FROM citadel.hold WHERE hold_id >= :first_hold ORDER BY hold_id;
SELECT first_broken FROM citadel.verify_audit_log();
SELECT action, outcome, subject_schema, subject_name, lower_bound, upper_bound, reason, detail->>'predicate' AS predicate,
    (detail->>'hold_id')::bigint - :first_hold AS hold, detail->>'sqlstate' AS sqlstate
FROM citadel.audit_log WHERE action IN ('place_hold', 'release_hold') ORDER BY outcome, seq;

-- A table that is gone: a superuser may still release.
DROP TABLE holds."Cases";
SET ROLE regress_hold_owner;
SELECT citadel.release_hold(:second_hold, 'the table is gone');
RESET ROLE;
SELECT citadel.release_hold(:second_hold, 'the table is gone');
SELECT citadel.release_hold(:third_hold, 'the table is gone');
SELECT count(*) AS still_held FROM citadel.hold WHERE released_at IS NULL;
DROP SCHEMA holds CASCADE;
DROP ROLE regress_hold_owner, regress_hold_other;
