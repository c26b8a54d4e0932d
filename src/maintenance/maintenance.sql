-- maintenance: what the job `maintain` found about tables, and what it did.

CREATE TABLE citadel.maintenance_action (
    action_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    run_id bigint NOT NULL,
    kind text NOT NULL CHECK (kind IN ('analyze', 'vacuum', 'freeze', 'rewrite', 'invalid_index', 'drop_index')),
    relation_oid oid NOT NULL,
    schema_name name NOT NULL,
    relation_name name NOT NULL,
    status text NOT NULL CHECK (status IN ('proposed', 'advised', 'done', 'failed', 'closed')),
    reason text NOT NULL,
    statement text NOT NULL,
    evidence jsonb NOT NULL DEFAULT '{}',
    urgency double precision NOT NULL DEFAULT 0,
    first_found timestamptz NOT NULL,
    last_found timestamptz NOT NULL,
    started_at timestamptz,
    finished_at timestamptz,
    error text
);
CREATE UNIQUE INDEX maintenance_action_open ON citadel.maintenance_action (kind, relation_oid)
    WHERE status IN ('proposed', 'advised');
CREATE INDEX maintenance_action_relation ON citadel.maintenance_action (relation_oid, started_at);
REVOKE ALL ON citadel.maintenance_action FROM PUBLIC;
GRANT SELECT ON citadel.maintenance_action TO pg_monitor;
COMMENT ON TABLE citadel.maintenance_action IS
'What the maintain job would do or did (citadel_opt.maintenance = report, act), and what it advises. Past ones older than citadel_opt.history_retention are removed';
COMMENT ON COLUMN citadel.maintenance_action.action_id IS 'Key';
COMMENT ON COLUMN citadel.maintenance_action.run_id IS 'Latest run of the job that found it, as in citadel.job_run';
COMMENT ON COLUMN citadel.maintenance_action.kind IS
'analyze and drop_index (an invalid index that an action of our own left) are done in mode act; vacuum, freeze, rewrite and invalid_index are advice alone';
COMMENT ON COLUMN citadel.maintenance_action.relation_oid IS 'The table or index';
COMMENT ON COLUMN citadel.maintenance_action.schema_name IS 'Its schema when it was found';
COMMENT ON COLUMN citadel.maintenance_action.relation_name IS 'Its name when it was found';
COMMENT ON COLUMN citadel.maintenance_action.status IS
'proposed: mode act would do it; advised: for people to do; done; failed; closed: a later run did not find it again';
COMMENT ON COLUMN citadel.maintenance_action.reason IS 'Why, in words';
COMMENT ON COLUMN citadel.maintenance_action.statement IS 'What it would run, or what to run';
COMMENT ON COLUMN citadel.maintenance_action.evidence IS 'The figures behind the reason';
COMMENT ON COLUMN citadel.maintenance_action.urgency IS 'Larger ones are done first; comparable within a kind';
COMMENT ON COLUMN citadel.maintenance_action.first_found IS 'When it was first found';
COMMENT ON COLUMN citadel.maintenance_action.last_found IS 'When it was last found';
COMMENT ON COLUMN citadel.maintenance_action.started_at IS 'When it was done; NULL: not yet';
COMMENT ON COLUMN citadel.maintenance_action.finished_at IS 'When that ended';
COMMENT ON COLUMN citadel.maintenance_action.error IS 'Why it failed';
