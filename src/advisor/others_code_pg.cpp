#include "advisor/others_code_pg.hpp"

#include "pg/spi.hpp"

extern "C" {
#include "access/transam.h"
}

namespace citadel::advisor {

namespace {

// A volatile function is not run by the planner; one in SQL may be inlined all the same.
const char* const functions_sql = R"(
    WITH others AS MATERIALIZED (
        SELECT oid FROM pg_roles WHERE NOT rolsuper
    ), may_call AS MATERIALIZED (
        SELECT EXISTS (SELECT FROM pg_proc p JOIN others o ON o.oid = p.proowner)
            OR EXISTS (SELECT FROM pg_class c JOIN others o ON o.oid = c.relowner
                       WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f')) AS yes
    )
    SELECT p.oid, o.oid FROM pg_proc p JOIN others o ON o.oid = p.proowner
    UNION ALL
    SELECT p.oid, 0::oid FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang, may_call m
    WHERE m.yes AND p.oid::bigint >= $1 AND p.prokind = 'f' AND l.lanname NOT IN ('internal', 'c')
      AND (p.provolatile <> 'v' OR l.lanname = 'sql') AND p.proowner NOT IN (SELECT oid FROM others)
      AND NOT EXISTS (SELECT FROM pg_depend e
                      WHERE e.classid = 'pg_proc'::regclass AND e.objid = p.oid AND e.deptype = 'e'))";

const char* const relations_sql = R"(
    WITH code AS MATERIALIZED (
        SELECT oid, role FROM unnest($1::text::oid[], $2::text::oid[]) AS f (oid, role)
    ), uses AS MATERIALIZED (
        SELECT d.classid, d.objid, c.role
        FROM code c JOIN pg_depend d ON d.refclassid = 'pg_proc'::regclass AND d.refobjid = c.oid
        UNION
        SELECT d.classid, d.objid, c.role
        FROM code c JOIN pg_operator o ON o.oprcode = c.oid
        JOIN pg_depend d ON d.refclassid = 'pg_operator'::regclass AND d.refobjid = o.oid
    ), types AS MATERIALIZED (
        SELECT objid AS oid, role FROM uses WHERE classid = 'pg_type'::regclass
        UNION
        SELECT k.contypid, u.role
        FROM uses u JOIN pg_constraint k ON u.classid = 'pg_constraint'::regclass AND k.oid = u.objid
        WHERE k.contypid <> 0
    ), columns AS (
        SELECT oid, role FROM types
        UNION
        SELECT g.rngmultitypid, t.role FROM types t JOIN pg_range g ON g.rngtypid = t.oid
    )
    SELECT DISTINCT ON (oid) oid, role
    FROM (
        SELECT i.indrelid AS oid, u.role
        FROM uses u JOIN pg_index i ON u.classid = 'pg_class'::regclass AND i.indexrelid = u.objid
        UNION ALL
        SELECT c.oid, u.role FROM uses u JOIN pg_class c ON u.classid = 'pg_class'::regclass AND c.oid = u.objid
        UNION ALL
        SELECT k.conrelid, u.role
        FROM uses u JOIN pg_constraint k ON u.classid = 'pg_constraint'::regclass AND k.oid = u.objid
        WHERE k.conrelid <> 0
        UNION ALL
        SELECT s.stxrelid, u.role
        FROM uses u JOIN pg_statistic_ext s ON u.classid = 'pg_statistic_ext'::regclass AND s.oid = u.objid
        UNION ALL
        SELECT a.attrelid, t.role FROM columns t JOIN pg_attribute a ON a.atttypid = t.oid) AS found
    ORDER BY oid, role DESC)";

} // namespace

OthersCode OthersCode::read() {
    OthersCode code;
    pg::Spi spi;
    const pg::Rows functions = spi.query(functions_sql, {pg::arg(static_cast<std::int64_t>(FirstNormalObjectId))});
    std::string oids, roles;
    for (std::size_t i = 0; i < functions.size(); ++i) {
        code.functions[functions.oid(i, 0)] = functions.oid(i, 1);
        oids += (i == 0 ? "" : ",") + std::to_string(functions.oid(i, 0));
        roles += (i == 0 ? "" : ",") + std::to_string(functions.oid(i, 1));
    }
    if (code.functions.empty())
        return code;
    const pg::Rows relations = spi.query(relations_sql, {pg::arg("{" + oids + "}"), pg::arg("{" + roles + "}")});
    for (std::size_t i = 0; i < relations.size(); ++i)
        code.relations[relations.oid(i, 0)] = relations.oid(i, 1);
    return code;
}

} // namespace citadel::advisor
