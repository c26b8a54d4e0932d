-- What changed in the server while statements ran: DDL and settings, for regressions to be explained by.

CREATE TABLE citadel.ddl_log (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamptz NOT NULL,
    user_id oid NOT NULL,
    command text NOT NULL,
    action text NOT NULL CHECK (action IN ('created', 'altered', 'dropped', 'truncated')),
    object_class regclass NOT NULL,
    object oid NOT NULL,
    kind text,
    schema_name text,
    object_name text,
    relation oid
);
CREATE INDEX ddl_log_at ON citadel.ddl_log (at);
REVOKE ALL ON citadel.ddl_log FROM PUBLIC;
GRANT SELECT ON citadel.ddl_log TO pg_monitor;
COMMENT ON TABLE citadel.ddl_log IS
    'Tables, indexes, views, functions, triggers, constraints, policies and extended statistics that committed DDL made, changed, '
    'dropped or truncated in this database: one row an object, never the text of a command. Filled by hooks at commit, stored by the '
    'scheduler within seconds; 64 objects a transaction and 20,000 rows at most, older than citadel_opt.history_retention deleted. Not '
    'temporary objects, nor DDL of prepared transactions.';
COMMENT ON COLUMN citadel.ddl_log.at IS 'Time of the commit.';
COMMENT ON COLUMN citadel.ddl_log.command IS 'Tag of the innermost command, as CREATE INDEX; empty when there was none.';
COMMENT ON COLUMN citadel.ddl_log.object_class IS 'Catalogue of the object, as pg_class.';
COMMENT ON COLUMN citadel.ddl_log.kind IS 'pg_class.relkind of a relation.';
COMMENT ON COLUMN citadel.ddl_log.object_name IS
    'Its name when it was dropped, or when the scheduler looked; what is no relation by its identity, at most 63 characters of it.';
COMMENT ON COLUMN citadel.ddl_log.relation IS
    'The table concerned: of an index, a trigger, a constraint, a policy, or the relation itself; NULL when unknown.';

CREATE TABLE citadel.setting_log (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamptz NOT NULL,
    setting text NOT NULL,
    database oid NOT NULL,
    role oid NOT NULL,
    old_value text,
    new_value text
);
CREATE INDEX setting_log_at ON citadel.setting_log (at);
REVOKE ALL ON citadel.setting_log FROM PUBLIC;
GRANT SELECT ON citadel.setting_log TO pg_monitor;
COMMENT ON TABLE citadel.setting_log IS
    'Changes of settings that can make statements slower: planning, memory, I/O, parallelism, autovacuum; of the server, and by ALTER '
    'DATABASE and ALTER ROLE ... SET. Not what sessions set for themselves. 10,000 rows at most, older than '
    'citadel_opt.history_retention deleted.';
COMMENT ON COLUMN citadel.setting_log.at IS 'When the scheduler found it: within seconds, or at the start after a restart.';
COMMENT ON COLUMN citadel.setting_log.database IS 'OID; 0: of all databases.';
COMMENT ON COLUMN citadel.setting_log.role IS 'OID; 0: of all roles. With both 0 it is a setting of the server.';
COMMENT ON COLUMN citadel.setting_log.old_value IS 'In the setting''s own unit (pg_settings.unit); NULL: not set there.';
COMMENT ON COLUMN citadel.setting_log.new_value IS 'As old_value.';

CREATE TABLE citadel.setting_state (
    setting text NOT NULL,
    database oid NOT NULL,
    role oid NOT NULL,
    value text NOT NULL,
    PRIMARY KEY (setting, database, role)
);
REVOKE ALL ON citadel.setting_state FROM PUBLIC;
GRANT SELECT ON citadel.setting_state TO pg_monitor;
COMMENT ON TABLE citadel.setting_state IS 'The settings of setting_log as they were last seen.';

SELECT pg_catalog.pg_extension_config_dump('citadel.ddl_log', '');
SELECT pg_catalog.pg_extension_config_dump('citadel.ddl_log_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('citadel.setting_log', '');
SELECT pg_catalog.pg_extension_config_dump('citadel.setting_log_id_seq', '');

CREATE FUNCTION citadel.ddl_notes_missed() RETURNS bigint
    AS 'MODULE_PATHNAME', 'citadel_ddl_notes_missed'
    LANGUAGE C VOLATILE PARALLEL SAFE SET search_path = pg_catalog, pg_temp;
REVOKE ALL ON FUNCTION citadel.ddl_notes_missed() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION citadel.ddl_notes_missed() TO pg_monitor;
COMMENT ON FUNCTION citadel.ddl_notes_missed() IS
    'Objects of DDL that are not in citadel.ddl_log, since the server started: more than 64 in one transaction, prepared transactions, '
    'or nobody who emptied the shared memory (1,024 objects). Raises 55000 without preload.';
