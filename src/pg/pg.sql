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

CREATE FUNCTION citadel.library_version()
RETURNS text
AS 'MODULE_PATHNAME', 'citadel_library_version'
LANGUAGE C STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp;
REVOKE ALL ON FUNCTION citadel.library_version() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION citadel.library_version() TO pg_monitor;
COMMENT ON FUNCTION citadel.library_version() IS
'Version of the library that this server has loaded; pg_extension.extversion is that of the SQL in this database';

CREATE FUNCTION citadel.version_problem()
RETURNS text
AS 'MODULE_PATHNAME', 'citadel_version_problem'
LANGUAGE C STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp;
REVOKE ALL ON FUNCTION citadel.version_problem() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION citadel.version_problem() TO pg_monitor;
COMMENT ON FUNCTION citadel.version_problem() IS
'What is to be done when library and SQL are of different versions; NULL when they are of one. Until it is done the workers wait and functions of the library refuse to run';

-- By pg_inherits, because pg_partition_tree() opens and so locks every partition.
CREATE FUNCTION citadel.partition_tree(roots oid[])
RETURNS TABLE (root oid, relation oid, parent oid, depth integer, kind "char")
LANGUAGE sql STABLE PARALLEL SAFE ROWS 100 SET search_path = pg_catalog, pg_temp
AS $$
    WITH RECURSIVE tree AS (
        SELECT c.oid AS root, c.oid, NULL::oid AS parent, 0 AS depth, c.relkind
        FROM pg_class AS c WHERE c.oid = ANY (roots)
        UNION ALL
        SELECT t.root, c.oid, t.oid, t.depth + 1, c.relkind
        FROM tree AS t
        JOIN pg_inherits AS i ON i.inhparent = t.oid
        JOIN pg_class AS c ON c.oid = i.inhrelid
        WHERE t.relkind IN ('p', 'I')
    )
    SELECT t.root, t.oid, t.parent, t.depth, t.relkind FROM tree AS t
$$;
REVOKE ALL ON FUNCTION citadel.partition_tree(oid[]) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION citadel.partition_tree(oid[]) TO pg_monitor;
COMMENT ON FUNCTION citadel.partition_tree(oid[]) IS
'Internal: tables or indexes with all their partitions on every level, themselves included, without a lock; kind as in pg_class.relkind';
