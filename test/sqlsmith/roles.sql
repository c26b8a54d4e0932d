-- Three roles as which sqlsmith works: an ordinary user with tables of his own, a member of pg_monitor, and a superuser.
-- sqlsmith reads its functions from "pg_proc" without a schema: in the search path of each role stands a view of that
-- name with the functions that it may call.
\set ON_ERROR_STOP on
CREATE SCHEMA smith;
-- Not the ones that stop the server or its processes, read or write files, wait, or change what belongs to the cluster.
CREATE VIEW smith.callable AS
SELECT p.* FROM pg_catalog.pg_proc AS p
WHERE p.pronamespace <> 'partman'::regnamespace
  AND p.proname !~ ('^(pg_(terminate|cancel)_backend|pg_sleep|pg_promote|pg_reload_conf|pg_rotate_logfile|pg_switch_wal|pg_wal_replay'
      '|pg_create_|pg_drop_|pg_replication_|pg_logical_|pg_copy_|pg_read_|pg_ls_|pg_stat_file|pg_backup|pg_start_backup|pg_stop'
      '|pg_stat_(reset|statements_reset)|pg_import_system|pg_log_backend|pg_advisory|pg_try_advisory|pg_notify|pg_export_snapshot|pg_nextoid'
      '|lo_(import|export)|binary_upgrade|set_config|setval|nextval|pg_current_logfile|(database|schema|table|query|cursor)_to_xml)')
  AND p.oid NOT IN (SELECT objid FROM pg_catalog.pg_depend AS d WHERE d.classid = 'pg_catalog.pg_proc'::regclass
                    AND d.refobjid = (SELECT e.oid FROM pg_catalog.pg_extension AS e WHERE e.extname = 'citadel_opt')
                    AND p.proname ~ '^debug_(hold|release|drain|take)');
-- What the role may call; a sixth of the server's own functions, so that ours are called often. sqlsmith takes the
-- polymorphic types of ranges for types of their own.
CREATE VIEW smith.pg_proc AS
SELECT c.* FROM smith.callable AS c
WHERE (c.pronamespace <> 'pg_catalog'::regnamespace OR c.oid::bigint % 6 = 0)
  AND has_schema_privilege(CURRENT_USER, c.pronamespace, 'USAGE') AND has_function_privilege(CURRENT_USER, c.oid, 'EXECUTE')
  AND (c.pronamespace <> 'reach'::regnamespace OR EXISTS (
      SELECT FROM pg_catalog.pg_proc AS p WHERE p.pronamespace = 'citadel'::regnamespace
      AND p.proname = replace(c.proname, '__pick', '') AND has_function_privilege(CURRENT_USER, p.oid, 'EXECUTE')))
  AND NOT c.proargtypes::oid[] || c.prorettype && ARRAY['anyrange', 'anymultirange', 'anyenum', 'anycompatible', 'anycompatiblerange',
      'anycompatiblemultirange', 'anycompatiblearray', 'anycompatiblenonarray']::regtype[]::oid[];

CREATE ROLE smith_user LOGIN;
CREATE ROLE smith_monitor LOGIN IN ROLE pg_monitor;
CREATE ROLE smith_superuser LOGIN SUPERUSER;
ALTER ROLE smith_user SET search_path = smith, public, pg_catalog;
ALTER ROLE smith_monitor SET search_path = smith, public, pg_catalog;
ALTER ROLE smith_superuser SET search_path = smith, public, pg_catalog;
SELECT citadel_tasks.grant_access('smith_user') \g /dev/null
GRANT USAGE ON SCHEMA citadel_tasks TO smith_monitor;
GRANT USAGE ON SCHEMA many, reach, smith TO PUBLIC;
GRANT SELECT ON smith.pg_proc TO PUBLIC;
GRANT SELECT ON ALL TABLES IN SCHEMA many, reach, citadel_tasks TO PUBLIC;
GRANT ALL ON ALL TABLES IN SCHEMA many TO smith_user;
CREATE SCHEMA own AUTHORIZATION smith_user;
SET ROLE smith_user;
CREATE TABLE own.things AS SELECT g AS id, now() - g * interval '1 day' AS at, 'thing ' || g AS name, g % 9 AS kind FROM generate_series(1, 3000) AS g;
CREATE TABLE own.events (id bigint NOT NULL, at timestamptz NOT NULL, body jsonb) PARTITION BY RANGE (at);
SELECT citadel.create_lifecycle_policy('own.events', 'at', premake => 2, retain => '12 months') \g /dev/null
RESET ROLE;
