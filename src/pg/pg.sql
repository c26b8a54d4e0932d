-- The schema, and what SQL functions of the rooms need from the door.

\echo Use "CREATE EXTENSION citadel_opt CASCADE" to load this file. \quit

-- The schemas of required extensions may be writable by others: no name below resolves there.
SET LOCAL search_path = pg_catalog, pg_temp;

CREATE SCHEMA citadel;
REVOKE ALL ON SCHEMA citadel FROM PUBLIC;
GRANT USAGE ON SCHEMA citadel TO PUBLIC;
COMMENT ON SCHEMA citadel IS 'citadel_opt: slow statements, index advice, statistics, lifecycle';

CREATE FUNCTION citadel.raise_error(sqlstate text, message text, detail text DEFAULT NULL, hint text DEFAULT NULL)
RETURNS boolean
AS 'MODULE_PATHNAME', 'citadel_raise_error'
LANGUAGE C VOLATILE PARALLEL SAFE SET search_path = pg_catalog, pg_temp;
REVOKE ALL ON FUNCTION citadel.raise_error(text, text, text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION citadel.raise_error(text, text, text, text) TO PUBLIC;
COMMENT ON FUNCTION citadel.raise_error(text, text, text, text) IS
'Internal: raises an error with this SQLSTATE, message, detail and hint; never returns';

CREATE FUNCTION citadel.preloaded()
RETURNS boolean
AS 'MODULE_PATHNAME', 'citadel_preloaded'
LANGUAGE C STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp;
REVOKE ALL ON FUNCTION citadel.preloaded() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION citadel.preloaded() TO pg_monitor;
COMMENT ON FUNCTION citadel.preloaded() IS
'Whether citadel_opt is in shared_preload_libraries; capture, history and jobs need that';
