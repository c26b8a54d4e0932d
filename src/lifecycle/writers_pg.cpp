#include "lifecycle/writers_pg.hpp"

#include "pg/relation.hpp"
#include "pg/write_as.hpp"

namespace citadel::lifecycle {

std::string close_to_writers(Oid relation) {
    const std::string name = pg::qualified_name(relation);
    pg::Spi spi;
    const Oid owner = pg::owner_of(relation);
    spi.execute("LOCK TABLE ONLY " + name + " IN ACCESS EXCLUSIVE MODE");
    // As GRANT statements, run one by one: what each role had, on the table and on columns.
    const pg::Rows grants = spi.query(
        "WITH t AS (SELECT oid, coalesce(relacl, acldefault('r', relowner)) AS acl FROM pg_class WHERE oid = $1), "
        "g AS (SELECT e.grantee, e.privilege_type, e.is_grantable, NULL::name AS attname FROM t, aclexplode(t.acl) e "
        "UNION ALL SELECT e.grantee, e.privilege_type, e.is_grantable, a.attname FROM pg_attribute a, "
        "aclexplode(a.attacl) e WHERE a.attrelid = $1 AND NOT a.attisdropped) "
        "SELECT coalesce(jsonb_agg(jsonb_build_object('to', CASE WHEN g.grantee = 0 THEN 'PUBLIC' ELSE "
        "quote_ident(pg_get_userbyid(g.grantee)) END, 'may', g.privilege_type, 'column', g.attname, 'grantable', "
        "g.is_grantable) ORDER BY g.grantee, g.privilege_type, g.attname)::text, ''), "
        "coalesce(string_agg(DISTINCT CASE WHEN g.grantee = 0 THEN 'PUBLIC' ELSE "
        "quote_ident(pg_get_userbyid(g.grantee)) END, ', '), '') "
        "FROM g WHERE g.privilege_type IN ('INSERT', 'UPDATE', 'DELETE', 'TRUNCATE')",
        {pg::arg_oid(relation)});
    std::string saved = grants.text(0, 0);
    if (saved.empty())
        return {};
    const std::string& roles = grants.text(0, 1);
    pg::execute_as(owner, {"REVOKE INSERT, UPDATE, DELETE, TRUNCATE ON TABLE " + name + " FROM " + roles + " CASCADE"});
    return saved;
}

void open_to_writers(Oid relation, const std::string& saved) {
    if (saved.empty())
        return;
    const std::string name = pg::qualified_name(relation);
    pg::Spi spi;
    const Oid owner = pg::owner_of(relation);
    // Roles that were dropped meanwhile are left out.
    const pg::Rows grants = spi.query(
        "SELECT format('GRANT %s%s ON TABLE %s TO %s%s', g.may, coalesce(' (' || quote_ident(g.\"column\") || ')', "
        "''), "
        "$2::text, g.\"to\", CASE WHEN g.grantable AND g.\"to\" <> 'PUBLIC' THEN ' WITH GRANT OPTION' ELSE '' END) "
        "FROM jsonb_to_recordset($1::jsonb) AS g (\"to\" text, may text, \"column\" text, grantable boolean) "
        "WHERE (g.\"to\" = 'PUBLIC' OR EXISTS (SELECT FROM pg_roles r WHERE quote_ident(r.rolname) = g.\"to\")) "
        "AND g.may IN ('INSERT', 'UPDATE', 'DELETE', 'TRUNCATE') "
        "AND (g.\"column\" IS NULL OR EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = $3 "
        "AND a.attname = g.\"column\" AND NOT a.attisdropped))",
        {pg::arg(saved), pg::arg(name), pg::arg_oid(relation)});
    std::vector<std::string> statements;
    for (std::size_t i = 0; i < grants.size(); ++i)
        statements.push_back(grants.text(i, 0));
    pg::execute_as(owner, statements);
}

} // namespace citadel::lifecycle
