-- Policies: made, changed, previewed and run by the owners of the tables. The functions check that themselves, so
-- EXECUTE is everybody's; what they write and read goes through the extension's own tables.

CREATE FUNCTION citadel.create_lifecycle_policy(relation regclass, time_column name,
    partition_interval text DEFAULT '1 month', premake integer DEFAULT 12, retain text DEFAULT NULL,
    on_expiry text DEFAULT 'archive', archive_to text DEFAULT 'schema', quarantine interval DEFAULT interval '7 days',
    time_zone text DEFAULT 'UTC', default_partition boolean DEFAULT NULL, allowed_hours text DEFAULT NULL,
    create_enabled boolean DEFAULT true, detach_enabled boolean DEFAULT true, archive_enabled boolean DEFAULT true,
    drop_enabled boolean DEFAULT true, archive_tablespace name DEFAULT NULL, plain_table text DEFAULT NULL,
    extend_keys boolean DEFAULT false, split_after_conversion boolean DEFAULT false)
RETURNS bigint
AS 'MODULE_PATHNAME', 'citadel_create_lifecycle_policy'
LANGUAGE C VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp;
REVOKE ALL ON FUNCTION citadel.create_lifecycle_policy(regclass, name, text, integer, text, text, text, interval, text, boolean, text, boolean, boolean, boolean, boolean, name, text, boolean, boolean) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION citadel.create_lifecycle_policy(regclass, name, text, integer, text, text, text, interval, text, boolean, text, boolean, boolean, boolean, boolean, name, text, boolean, boolean) TO PUBLIC;
COMMENT ON FUNCTION citadel.create_lifecycle_policy(regclass, name, text, integer, text, text, text, interval, text, boolean, text, boolean, boolean, boolean, boolean, name, text, boolean, boolean) IS
'A lifecycle policy for a table; returns its policy_id. For the table''s owner. partition_interval and retain are intervals, or counts for an integer column; on_expiry: archive, detach or drop; archive_to: schema, schema:NAME, server:NAME or file:DIR; plain_table (for a table that is not partitioned): convert or keep. Errors: 42501 somebody else''s table, 22023 a value that makes no sense, 0A000 a table that policies cannot be for, 42710 it has one';

CREATE FUNCTION citadel.alter_lifecycle_policy(policy_id bigint,
    partition_interval text DEFAULT NULL, premake integer DEFAULT NULL, retain text DEFAULT NULL,
    on_expiry text DEFAULT NULL, archive_to text DEFAULT NULL, quarantine interval DEFAULT NULL,
    time_zone text DEFAULT NULL, default_partition boolean DEFAULT NULL, allowed_hours text DEFAULT NULL,
    create_enabled boolean DEFAULT NULL, detach_enabled boolean DEFAULT NULL, archive_enabled boolean DEFAULT NULL,
    drop_enabled boolean DEFAULT NULL, archive_tablespace name DEFAULT NULL, extend_keys boolean DEFAULT NULL,
    split_after_conversion boolean DEFAULT NULL)
RETURNS void
AS 'MODULE_PATHNAME', 'citadel_alter_lifecycle_policy'
LANGUAGE C VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp;
REVOKE ALL ON FUNCTION citadel.alter_lifecycle_policy(bigint, text, integer, text, text, text, interval, text, boolean, text, boolean, boolean, boolean, boolean, name, boolean, boolean) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION citadel.alter_lifecycle_policy(bigint, text, integer, text, text, text, interval, text, boolean, text, boolean, boolean, boolean, boolean, name, boolean, boolean) TO PUBLIC;
COMMENT ON FUNCTION citadel.alter_lifecycle_policy(bigint, text, integer, text, text, text, interval, text, boolean, text, boolean, boolean, boolean, boolean, name, boolean, boolean) IS
'Changes a policy and counts its version up; NULL leaves a value as it is. retain ''forever'', allowed_hours '''' and archive_tablespace '''' take them away. For the table''s owner. What is under way goes on by the new policy';

CREATE FUNCTION citadel.drop_lifecycle_policy(policy_id bigint)
RETURNS void
AS 'MODULE_PATHNAME', 'citadel_drop_lifecycle_policy'
LANGUAGE C VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp;
REVOKE ALL ON FUNCTION citadel.drop_lifecycle_policy(bigint) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION citadel.drop_lifecycle_policy(bigint) TO PUBLIC;
COMMENT ON FUNCTION citadel.drop_lifecycle_policy(bigint) IS
'Removes a policy; the table, its partitions and its archives stay. Error 55000 while an expiry is under way: undo it or let it end. For the table''s owner';

CREATE FUNCTION citadel.suspend_lifecycle_policy(policy_id bigint, reason text DEFAULT NULL)
RETURNS void
AS 'MODULE_PATHNAME', 'citadel_suspend_lifecycle_policy'
LANGUAGE C VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp;
REVOKE ALL ON FUNCTION citadel.suspend_lifecycle_policy(bigint, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION citadel.suspend_lifecycle_policy(bigint, text) TO PUBLIC;
COMMENT ON FUNCTION citadel.suspend_lifecycle_policy(bigint, text) IS
'Stops a policy: nothing is made, moved or dropped until resume_lifecycle_policy(). What is under way stays where it is. For the table''s owner';

CREATE FUNCTION citadel.resume_lifecycle_policy(policy_id bigint)
RETURNS void
AS 'MODULE_PATHNAME', 'citadel_resume_lifecycle_policy'
LANGUAGE C VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp;
REVOKE ALL ON FUNCTION citadel.resume_lifecycle_policy(bigint) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION citadel.resume_lifecycle_policy(bigint) TO PUBLIC;
COMMENT ON FUNCTION citadel.resume_lifecycle_policy(bigint) IS
'Lets a suspended policy go on. In a restored or cloned database this says that the policy is meant for it: before, nothing is moved or dropped there. For the table''s owner';

CREATE TYPE citadel.lifecycle_plan_step AS (
    step_no integer,
    action text,
    target text,
    rows bigint,
    bytes bigint,
    lock text,
    reason text,
    blocked text,
    policy_id bigint,
    relation regclass
);
COMMENT ON TYPE citadel.lifecycle_plan_step IS 'Row type of citadel.preview_lifecycle()';

CREATE FUNCTION citadel.preview_lifecycle(relation regclass DEFAULT NULL)
RETURNS SETOF citadel.lifecycle_plan_step
AS 'MODULE_PATHNAME', 'citadel_preview_lifecycle'
LANGUAGE C VOLATILE PARALLEL UNSAFE ROWS 20 SET search_path = pg_catalog, pg_temp;
REVOKE ALL ON FUNCTION citadel.preview_lifecycle(regclass) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION citadel.preview_lifecycle(regclass) TO PUBLIC;
COMMENT ON FUNCTION citadel.preview_lifecycle(regclass) IS
'The steps that run_lifecycle() would take now, from the same code: rows (estimate) and bytes concerned, the strongest lock, why, and what blocks it (NULL: nothing). Owners see their tables, pg_monitor all';

-- No SET clause: the procedures commit, and pin search_path inside.
CREATE PROCEDURE citadel.run_lifecycle(relation regclass DEFAULT NULL, timeout interval DEFAULT interval '1 hour')
AS 'MODULE_PATHNAME', 'citadel_run_lifecycle'
LANGUAGE C;
REVOKE ALL ON PROCEDURE citadel.run_lifecycle(regclass, interval) FROM PUBLIC;
GRANT EXECUTE ON PROCEDURE citadel.run_lifecycle(regclass, interval) TO PUBLIC;
COMMENT ON PROCEDURE citadel.run_lifecycle(regclass, interval) IS
'Runs the job lifecycle now, for one table or for all of the caller''s, and waits for its end; raises its error. Refuses to run inside a transaction block. For owners; superusers run all';

CREATE PROCEDURE citadel.undo_expiry(operation_id bigint, timeout interval DEFAULT interval '5 minutes')
AS 'MODULE_PATHNAME', 'citadel_undo_expiry'
LANGUAGE C;
REVOKE ALL ON PROCEDURE citadel.undo_expiry(bigint, interval) FROM PUBLIC;
GRANT EXECUTE ON PROCEDURE citadel.undo_expiry(bigint, interval) TO PUBLIC;
COMMENT ON PROCEDURE citadel.undo_expiry(bigint, interval) IS
'Takes back an expiry that has not ended (see citadel.lifecycle_step): the partition is attached again with its rows and privileges, and a copy of it is given up. Error 55000 when it has ended (citadel.restore_archive() brings archives back) or while the policy is suspended or not resumed in a copy; 0A000 for rows collected from a plain table. For the table''s owner';

CREATE VIEW citadel.lifecycle_step WITH (security_barrier) AS
SELECT o.operation_id, o.policy_id, o.kind,
       pg_catalog.format('%s.%s', pg_catalog.quote_ident(o.subject_schema), pg_catalog.quote_ident(o.subject_name)) AS subject,
       o.lower_bound, o.upper_bound, o.state, o.attempts, o.last_error, o.not_before, o.archive_id,
       o.started_at, o.updated_at, o.finished_at
FROM citadel.lifecycle_operation o
WHERE pg_catalog.pg_has_role('pg_monitor', 'USAGE')
   OR EXISTS (SELECT FROM citadel.lifecycle_policy p JOIN pg_catalog.pg_class c ON c.oid OPERATOR(pg_catalog.=) p.relation_oid
              WHERE p.policy_id OPERATOR(pg_catalog.=) o.policy_id AND pg_catalog.pg_has_role(c.relowner, 'USAGE'));
REVOKE ALL ON citadel.lifecycle_step FROM PUBLIC;
GRANT SELECT ON citadel.lifecycle_step TO PUBLIC;
COMMENT ON VIEW citadel.lifecycle_step IS 'What lifecycle policies did and are doing, one row a partition or batch job: owners see their tables, pg_monitor all';
COMMENT ON COLUMN citadel.lifecycle_step.operation_id IS 'Key, for citadel.undo_expiry()';
COMMENT ON COLUMN citadel.lifecycle_step.subject IS 'The partition or table, as it was called when it began';

CREATE TYPE citadel.lifecycle_runway_row AS (
    policy_id bigint,
    relation text,
    status text,
    partitions integer,
    covered_until text,
    days_left double precision,
    partitions_ahead integer,
    premake integer,
    default_rows bigint,
    last_run_at timestamptz,
    last_success_at timestamptz,
    last_error text,
    last_error_at timestamptz,
    alarm text,
    notes text[]
);
COMMENT ON TYPE citadel.lifecycle_runway_row IS 'Row type of citadel.lifecycle_runway()';

CREATE FUNCTION citadel.lifecycle_runway()
RETURNS SETOF citadel.lifecycle_runway_row
AS 'MODULE_PATHNAME', 'citadel_lifecycle_runway'
LANGUAGE C VOLATILE PARALLEL UNSAFE ROWS 20 SET search_path = pg_catalog, pg_temp;
REVOKE ALL ON FUNCTION citadel.lifecycle_runway() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION citadel.lifecycle_runway() TO PUBLIC;
COMMENT ON FUNCTION citadel.lifecycle_runway() IS 'Internal: the rows of citadel.partition_runway. Owners see their tables, pg_monitor all';

CREATE VIEW citadel.partition_runway WITH (security_barrier) AS
SELECT policy_id, relation, status, partitions, covered_until, days_left, partitions_ahead, premake, default_rows,
       last_run_at, last_success_at, last_error, last_error_at, alarm, notes
FROM citadel.lifecycle_runway();
REVOKE ALL ON citadel.partition_runway FROM PUBLIC;
GRANT SELECT ON citadel.partition_runway TO PUBLIC;
COMMENT ON VIEW citadel.partition_runway IS 'How far the partitions of each policy reach, and how its last run went: owners see their tables, pg_monitor all';
COMMENT ON COLUMN citadel.partition_runway.policy_id IS 'The policy';
COMMENT ON COLUMN citadel.partition_runway.relation IS 'Its table';
COMMENT ON COLUMN citadel.partition_runway.status IS 'active, suspended, or copy: a restored or cloned database, in which nothing is moved or dropped';
COMMENT ON COLUMN citadel.partition_runway.partitions IS 'Partitions it has, default partition included';
COMMENT ON COLUMN citadel.partition_runway.covered_until IS 'From now up to there no row falls outside; infinity: without end; NULL: not even now is covered';
COMMENT ON COLUMN citadel.partition_runway.days_left IS 'Days until rows fall outside the partitions; NULL for an integer column';
COMMENT ON COLUMN citadel.partition_runway.partitions_ahead IS 'Partitions that begin after now (after the highest value)';
COMMENT ON COLUMN citadel.partition_runway.premake IS 'How many there are to be';
COMMENT ON COLUMN citadel.partition_runway.default_rows IS 'Rows in the default partition at the last run; NULL without one';
COMMENT ON COLUMN citadel.partition_runway.last_run_at IS 'When it was last worked on';
COMMENT ON COLUMN citadel.partition_runway.last_success_at IS 'When that last went well';
COMMENT ON COLUMN citadel.partition_runway.last_error IS 'Why the last run failed; NULL: it did not';
COMMENT ON COLUMN citadel.partition_runway.last_error_at IS 'When it last failed';
COMMENT ON COLUMN citadel.partition_runway.alarm IS 'What needs somebody''s attention; NULL: nothing';
COMMENT ON COLUMN citadel.partition_runway.notes IS 'What the last run did not do and why, and warnings';
