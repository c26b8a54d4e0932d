-- Lifecycle policies: what is to become of a table's partitions and old rows, and how far that has come.
--
-- Tables of users are stored as schema, name and OID: the OID follows a rename, the name finds the table again in a
-- restored dump, where OIDs are others.

CREATE TABLE citadel.lifecycle_policy (
    policy_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    version integer NOT NULL DEFAULT 1,
    relation_oid oid NOT NULL,
    schema_name name NOT NULL,
    relation_name name NOT NULL,
    time_column name NOT NULL,
    column_kind text NOT NULL CHECK (column_kind IN ('timestamptz', 'timestamp', 'date', 'integer')),
    table_mode text NOT NULL DEFAULT 'partitioned' CHECK (table_mode IN ('partitioned', 'convert', 'keep')),
    partition_interval text NOT NULL,
    premake integer NOT NULL CHECK (premake BETWEEN 0 AND 1000),
    retain text,
    on_expiry text NOT NULL CHECK (on_expiry IN ('archive', 'detach', 'drop')),
    archive_to text NOT NULL,
    archive_tablespace name,
    quarantine interval NOT NULL CHECK (quarantine >= interval '0'),
    time_zone text NOT NULL,
    default_partition boolean,
    allowed_hours text,
    create_enabled boolean NOT NULL DEFAULT true,
    detach_enabled boolean NOT NULL DEFAULT true,
    archive_enabled boolean NOT NULL DEFAULT true,
    drop_enabled boolean NOT NULL DEFAULT true,
    extend_keys boolean NOT NULL DEFAULT false,
    split_after_conversion boolean NOT NULL DEFAULT false,
    status text NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'suspended')),
    suspended_reason text,
    home_system bigint NOT NULL,
    home_database oid NOT NULL,
    created_by text NOT NULL DEFAULT session_user,
    created_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
    updated_at timestamptz NOT NULL DEFAULT pg_catalog.now()
);
-- Not unique: a restored dump brings OIDs that mean nothing here.
CREATE INDEX lifecycle_policy_relation ON citadel.lifecycle_policy (relation_oid);
REVOKE ALL ON citadel.lifecycle_policy FROM PUBLIC;
REVOKE ALL ON SEQUENCE citadel.lifecycle_policy_policy_id_seq FROM PUBLIC;
GRANT SELECT ON citadel.lifecycle_policy TO pg_monitor;
COMMENT ON TABLE citadel.lifecycle_policy IS
'What is to become of a table''s partitions and old rows; one row a table. Change it with citadel.create_lifecycle_policy() and its kin, which check and audit';
COMMENT ON COLUMN citadel.lifecycle_policy.policy_id IS 'Key';
COMMENT ON COLUMN citadel.lifecycle_policy.version IS 'Counts changes; the audit log names it with each action';
COMMENT ON COLUMN citadel.lifecycle_policy.relation_oid IS 'The table; follows a rename';
COMMENT ON COLUMN citadel.lifecycle_policy.schema_name IS 'Its schema when last looked at';
COMMENT ON COLUMN citadel.lifecycle_policy.relation_name IS 'Its name when last looked at; finds it again in a restored database';
COMMENT ON COLUMN citadel.lifecycle_policy.time_column IS 'Column that says how old a row is; the partition key';
COMMENT ON COLUMN citadel.lifecycle_policy.column_kind IS 'Kind of that column: timestamptz, timestamp, date or integer';
COMMENT ON COLUMN citadel.lifecycle_policy.table_mode IS 'partitioned; convert: a plain table that is to be partitioned; keep: a plain table that stays one, old rows are moved in batches';
COMMENT ON COLUMN citadel.lifecycle_policy.partition_interval IS 'Width of a partition: an interval, or a count for an integer column';
COMMENT ON COLUMN citadel.lifecycle_policy.premake IS 'Partitions that are to exist ahead of now, or ahead of the highest value of an integer column';
COMMENT ON COLUMN citadel.lifecycle_policy.retain IS 'Age (or distance from the highest value) at which a row expires; NULL: never';
COMMENT ON COLUMN citadel.lifecycle_policy.on_expiry IS 'What happens to expired rows: archive, detach (the partition stays as a table of its own) or drop';
COMMENT ON COLUMN citadel.lifecycle_policy.archive_to IS 'Destination: schema, schema:NAME, server:NAME or file:DIR';
COMMENT ON COLUMN citadel.lifecycle_policy.archive_tablespace IS 'Tablespace of archives in a schema; NULL: they stay where they are';
COMMENT ON COLUMN citadel.lifecycle_policy.quarantine IS 'Time between the detach (or the verified copy) and the drop, in which all can be undone';
COMMENT ON COLUMN citadel.lifecycle_policy.time_zone IS 'Time zone in which days, months and allowed_hours are meant';
COMMENT ON COLUMN citadel.lifecycle_policy.default_partition IS 'Whether there is to be a default partition; NULL: as the table has it';
COMMENT ON COLUMN citadel.lifecycle_policy.allowed_hours IS 'Hours in which rows may be moved or dropped, as 22:00-05:00; NULL: any';
COMMENT ON COLUMN citadel.lifecycle_policy.create_enabled IS 'Switch: make partitions';
COMMENT ON COLUMN citadel.lifecycle_policy.detach_enabled IS 'Switch: detach expired partitions';
COMMENT ON COLUMN citadel.lifecycle_policy.archive_enabled IS 'Switch: archive what was detached';
COMMENT ON COLUMN citadel.lifecycle_policy.drop_enabled IS 'Switch: drop what was archived, or what the policy says to drop';
COMMENT ON COLUMN citadel.lifecycle_policy.extend_keys IS 'Conversion may add the time column to unique keys that lack it';
COMMENT ON COLUMN citadel.lifecycle_policy.split_after_conversion IS 'After a conversion the old table is split into regular partitions';
COMMENT ON COLUMN citadel.lifecycle_policy.status IS 'active or suspended; a suspended policy does nothing at all';
COMMENT ON COLUMN citadel.lifecycle_policy.suspended_reason IS 'Why it is suspended';
COMMENT ON COLUMN citadel.lifecycle_policy.home_system IS 'System identifier of the server in which it was made or last resumed; elsewhere (a copy) it moves and drops nothing';
COMMENT ON COLUMN citadel.lifecycle_policy.home_database IS 'OID of the database in which it was made or last resumed';
COMMENT ON COLUMN citadel.lifecycle_policy.created_by IS 'Session user who made it';
COMMENT ON COLUMN citadel.lifecycle_policy.created_at IS 'When it was made';
COMMENT ON COLUMN citadel.lifecycle_policy.updated_at IS 'When it was last changed';
SELECT pg_catalog.pg_extension_config_dump('citadel.lifecycle_policy', '');
SELECT pg_catalog.pg_extension_config_dump('citadel.lifecycle_policy_policy_id_seq', '');

CREATE TABLE citadel.hold (
    hold_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    relation_oid oid NOT NULL,
    schema_name name NOT NULL,
    relation_name name NOT NULL,
    from_time timestamptz,
    to_time timestamptz,
    predicate text,
    reason text NOT NULL,
    placed_by text NOT NULL DEFAULT session_user,
    placed_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
    released_by text,
    released_at timestamptz,
    release_reason text
);
CREATE INDEX hold_relation ON citadel.hold (relation_oid) WHERE released_at IS NULL;
REVOKE ALL ON citadel.hold FROM PUBLIC;
REVOKE ALL ON SEQUENCE citadel.hold_hold_id_seq FROM PUBLIC;
-- A predicate is data; whoever may read the audit log's detail knows it.
GRANT SELECT (hold_id, relation_oid, schema_name, relation_name, from_time, to_time, reason, placed_by, placed_at, released_by, released_at,
    release_reason) ON citadel.hold TO pg_monitor;
COMMENT ON TABLE citadel.hold IS 'Legal holds: rows of a table that are neither moved nor dropped until released; placed with citadel.place_hold()';
COMMENT ON COLUMN citadel.hold.hold_id IS 'Key';
COMMENT ON COLUMN citadel.hold.relation_oid IS 'The table';
COMMENT ON COLUMN citadel.hold.schema_name IS 'Its schema when last looked at';
COMMENT ON COLUMN citadel.hold.relation_name IS 'Its name when last looked at';
COMMENT ON COLUMN citadel.hold.from_time IS 'Start of the time that is held, inclusive; NULL: from the beginning';
COMMENT ON COLUMN citadel.hold.to_time IS 'End of the time that is held, exclusive; NULL: without end';
COMMENT ON COLUMN citadel.hold.predicate IS 'Only rows for which this SQL condition is true or unknown; NULL: all rows of that time';
COMMENT ON COLUMN citadel.hold.reason IS 'Why it was placed';
COMMENT ON COLUMN citadel.hold.placed_by IS 'Session user who placed it';
COMMENT ON COLUMN citadel.hold.placed_at IS 'When it was placed';
COMMENT ON COLUMN citadel.hold.released_by IS 'Session user who released it; NULL while it holds';
COMMENT ON COLUMN citadel.hold.released_at IS 'When it was released';
COMMENT ON COLUMN citadel.hold.release_reason IS 'Why it was released';
SELECT pg_catalog.pg_extension_config_dump('citadel.hold', '');
SELECT pg_catalog.pg_extension_config_dump('citadel.hold_hold_id_seq', '');

-- The state machine. A step's start is committed here before the step acts, and each step can be repeated, so after a
-- crash the work goes on at the state that is found.
CREATE TABLE citadel.lifecycle_operation (
    operation_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    policy_id bigint,
    kind text NOT NULL CHECK (kind IN ('create', 'expire', 'default_rows', 'convert', 'split', 'move_rows', 'restore')),
    subject_oid oid,
    subject_schema name,
    subject_name name,
    lower_bound text,
    upper_bound text,
    state text NOT NULL DEFAULT 'planned',
    attempts integer NOT NULL DEFAULT 0,
    last_error text,
    not_before timestamptz,
    archive_id bigint,
    detail jsonb NOT NULL DEFAULT '{}',
    started_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
    updated_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
    finished_at timestamptz
);
CREATE INDEX lifecycle_operation_open ON citadel.lifecycle_operation (policy_id) WHERE finished_at IS NULL;
CREATE UNIQUE INDEX lifecycle_operation_once ON citadel.lifecycle_operation (kind, subject_oid) WHERE finished_at IS NULL;
REVOKE ALL ON citadel.lifecycle_operation FROM PUBLIC;
REVOKE ALL ON SEQUENCE citadel.lifecycle_operation_operation_id_seq FROM PUBLIC;
GRANT SELECT ON citadel.lifecycle_operation TO pg_monitor;
COMMENT ON TABLE citadel.lifecycle_operation IS
'What lifecycle policies did and are doing: one row for each partition or batch job, with the state it has reached';
COMMENT ON COLUMN citadel.lifecycle_operation.operation_id IS 'Key';
COMMENT ON COLUMN citadel.lifecycle_operation.policy_id IS 'The policy; NULL: none, as for a restore of an archive whose policy is gone';
COMMENT ON COLUMN citadel.lifecycle_operation.kind IS 'create, expire, default_rows, convert, split, move_rows or restore';
COMMENT ON COLUMN citadel.lifecycle_operation.subject_oid IS 'The partition or table concerned';
COMMENT ON COLUMN citadel.lifecycle_operation.subject_schema IS 'Its schema when it began';
COMMENT ON COLUMN citadel.lifecycle_operation.subject_name IS 'Its name when it began';
COMMENT ON COLUMN citadel.lifecycle_operation.lower_bound IS 'Lower bound of the rows concerned, inclusive; NULL: open';
COMMENT ON COLUMN citadel.lifecycle_operation.upper_bound IS 'Upper bound of the rows concerned, exclusive; NULL: open';
COMMENT ON COLUMN citadel.lifecycle_operation.state IS 'Of an expiry: planned, detaching, detached, closed (writers shut out), copying, verifying, quarantined, dropping, done, undoing, undone; other kinds have states of their own and end as done or cancelled';
COMMENT ON COLUMN citadel.lifecycle_operation.attempts IS 'Failures since the last success';
COMMENT ON COLUMN citadel.lifecycle_operation.last_error IS 'Message of the last failure';
COMMENT ON COLUMN citadel.lifecycle_operation.not_before IS 'The next step waits until then: the end of the quarantine, or a pause after a failure';
COMMENT ON COLUMN citadel.lifecycle_operation.archive_id IS 'The archive it makes or restores';
COMMENT ON COLUMN citadel.lifecycle_operation.detail IS 'What the steps need to know of each other: bounds, privileges before writers were shut out';
COMMENT ON COLUMN citadel.lifecycle_operation.started_at IS 'When it began';
COMMENT ON COLUMN citadel.lifecycle_operation.updated_at IS 'When its state last changed';
COMMENT ON COLUMN citadel.lifecycle_operation.finished_at IS 'When it ended; NULL while it goes on';
SELECT pg_catalog.pg_extension_config_dump('citadel.lifecycle_operation', '');
SELECT pg_catalog.pg_extension_config_dump('citadel.lifecycle_operation_operation_id_seq', '');

-- What the last run found. Not part of a dump: it tells of this database.
CREATE TABLE citadel.lifecycle_status (
    policy_id bigint PRIMARY KEY REFERENCES citadel.lifecycle_policy ON DELETE CASCADE,
    last_run_at timestamptz,
    last_success_at timestamptz,
    last_error text,
    last_error_at timestamptz,
    default_rows bigint,
    notes text[] NOT NULL DEFAULT '{}',
    warned_at timestamptz
);
REVOKE ALL ON citadel.lifecycle_status FROM PUBLIC;
GRANT SELECT ON citadel.lifecycle_status TO pg_monitor;
COMMENT ON TABLE citadel.lifecycle_status IS 'What the last run of each policy found; shown by citadel.partition_runway';
COMMENT ON COLUMN citadel.lifecycle_status.policy_id IS 'The policy';
COMMENT ON COLUMN citadel.lifecycle_status.last_run_at IS 'When it was last worked on';
COMMENT ON COLUMN citadel.lifecycle_status.last_success_at IS 'When that last went well';
COMMENT ON COLUMN citadel.lifecycle_status.last_error IS 'Message of the last failure; NULL since it went well again';
COMMENT ON COLUMN citadel.lifecycle_status.last_error_at IS 'When it last failed';
COMMENT ON COLUMN citadel.lifecycle_status.default_rows IS 'Rows found in the default partition; NULL without one';
COMMENT ON COLUMN citadel.lifecycle_status.notes IS 'What was not done, and why; warnings';
COMMENT ON COLUMN citadel.lifecycle_status.warned_at IS 'When the server log was last warned of the alarm that citadel.partition_runway shows; once a day at most';

-- Which policies a run was asked to work on; a run without rows here works on all.
CREATE TABLE citadel.lifecycle_request (
    run_id bigint NOT NULL,
    policy_id bigint NOT NULL,
    PRIMARY KEY (run_id, policy_id)
);
REVOKE ALL ON citadel.lifecycle_request FROM PUBLIC;
COMMENT ON TABLE citadel.lifecycle_request IS 'Policies that a run of the job lifecycle was asked to work on by citadel.run_lifecycle()';
COMMENT ON COLUMN citadel.lifecycle_request.run_id IS 'The run';
COMMENT ON COLUMN citadel.lifecycle_request.policy_id IS 'The policy; 0: none of a policy, but waiting restores';
