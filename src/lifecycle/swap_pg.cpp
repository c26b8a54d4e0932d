#include "lifecycle/swap_pg.hpp"

#include "lifecycle/key_pg.hpp"
#include "lifecycle/plain_parts_pg.hpp"
#include "lifecycle/policy_pg.hpp"
#include "pg/fault.hpp"
#include "pg/name.hpp"
#include "pg/write_as.hpp"

#include <initializer_list>
#include <string_view>
#include <vector>

namespace citadel::lifecycle::plain {

namespace {

// Statements that make on the new table what the old one has. They name the table as it is called now, which is what
// the new one is called when they run.
struct Belongings {
    std::vector<std::string> before; // under the new table's first name, before the lock
    std::vector<std::string> after;  // once it has taken the name over
    struct View {
        Oid owner;
        std::string statement;
    };
    std::vector<View> views;
    std::vector<std::string> publications; // as superuser
    struct Sequence {
        std::string column, schema, name;
        bool identity;
    };
    std::vector<Sequence> sequences;
    std::vector<std::string> triggers; // names
    struct Index {
        Oid oid;
        std::string schema, name;
    };
    std::vector<Index> indexes;
    std::string replica_identity;
};

std::string join(std::initializer_list<std::string_view> parts) {
    std::string text;
    for (const std::string_view part : parts)
        text += part;
    return text;
}

std::string free_name(const std::string& schema, const std::string& base, const std::string& suffix) {
    for (int attempt = 0;; ++attempt) {
        std::string name = pg::fitting_name(base, suffix + (attempt == 0 ? "" : std::to_string(attempt)));
        if (!pg::name_is_taken(schema, name))
            return name;
    }
}

void collect(pg::Spi& spi, std::vector<std::string>& into, const std::string& sql, const std::vector<pg::Arg>& values) {
    const pg::Rows rows = spi.query(sql, values);
    for (std::size_t i = 0; i < rows.size(); ++i)
        if (!rows.is_null(i, 0) && !rows.text(i, 0).empty())
            into.push_back(rows.text(i, 0));
}

// Indexes and the constraints they belong to. Keys that were extended get the time column at their end.
void collect_indexes(pg::Spi& spi, const Swap& swap, const std::string& table, Belongings& all) {
    const pg::Arg relation = pg::arg_oid(swap.policy.relation);
    const pg::Rows rows = spi.query(
        "SELECT k.oid, n.nspname, k.relname, c.oid IS NOT NULL, coalesce(c.contype, ''), "
        "CASE WHEN c.oid IS NULL THEN pg_get_indexdef(k.oid) ELSE format('ALTER TABLE %s ADD CONSTRAINT %I %s', "
        "$2::text, c.conname, pg_get_constraintdef(c.oid)) END, "
        "(SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY x.place) FROM unnest((i.indkey::int2[])"
        "[0:i.indnkeyatts - 1]) WITH ORDINALITY x (attnum, place) JOIN pg_attribute a ON a.attrelid = $1 AND a.attnum "
        "= x.attnum), obj_description(k.oid, 'pg_class'), obj_description(c.oid, 'pg_constraint') "
        "FROM pg_index i JOIN pg_class k ON k.oid = i.indexrelid JOIN pg_namespace n ON n.oid = k.relnamespace "
        "LEFT JOIN pg_constraint c ON c.conindid = k.oid AND c.conrelid = $1 AND c.contype IN ('p', 'u') "
        "WHERE i.indrelid = $1 AND k.relname NOT LIKE 'citadel\\_key\\_%' ORDER BY c.contype NULLS LAST, k.oid",
        {relation, pg::arg(table)});
    for (std::size_t i = 0; i < rows.size(); ++i) {
        const Oid oid = rows.oid(i, 0);
        const std::string name = pg::quote_identifier(rows.text(i, 2));
        const std::string longer = "(" + rows.text(i, 6) + ", " + pg::quote_identifier(swap.policy.column) + ")";
        all.indexes.push_back({oid, rows.text(i, 1), rows.text(i, 2)});
        if (swap.longer_keys.count(oid) == 0)
            all.after.push_back(rows.text(i, 5));
        else if (rows.boolean(i, 3))
            all.after.push_back(join({"ALTER TABLE ", table, " ADD CONSTRAINT ", name,
                                      rows.text(i, 4) == "p" ? " PRIMARY KEY " : " UNIQUE ", longer}));
        else
            all.after.push_back(join({"CREATE UNIQUE INDEX ", name, " ON ", table, " ", longer}));
        if (!rows.is_null(i, 7))
            all.after.push_back(join({"COMMENT ON INDEX ", pg::quote_identifier(rows.text(i, 1)), ".", name, " IS ",
                                      pg::quote_literal(rows.text(i, 7))}));
        if (!rows.is_null(i, 8))
            all.after.push_back(
                join({"COMMENT ON CONSTRAINT ", name, " ON ", table, " IS ", pg::quote_literal(rows.text(i, 8))}));
    }
}

// Everything else that a statement can say again.
void collect_rest(pg::Spi& spi, const Swap& swap, const std::string& table, Belongings& all) {
    const std::vector<pg::Arg> values = {pg::arg_oid(swap.policy.relation), pg::arg(table)};
    collect(spi, all.after,
            "SELECT format('ALTER TABLE %s ADD CONSTRAINT %I %s', $2::text, conname, pg_get_constraintdef(oid)) FROM "
            "pg_constraint WHERE conrelid = $1 AND contype = 'f' ORDER BY oid",
            values);
    collect(spi, all.triggers,
            "SELECT quote_ident(tgname) || left($2, 0) FROM pg_trigger WHERE tgrelid = $1 AND NOT tgisinternal",
            values);
    collect(spi, all.after,
            "SELECT pg_get_triggerdef(oid) || left($2, 0) FROM pg_trigger WHERE tgrelid = $1 AND NOT tgisinternal "
            "ORDER BY oid",
            values);
    collect(spi, all.after,
            "SELECT format('ALTER TABLE %s %s TRIGGER %I', $2::text, CASE tgenabled WHEN 'D' THEN 'DISABLE' WHEN 'R' "
            "THEN 'ENABLE REPLICA' ELSE 'ENABLE ALWAYS' END, tgname) FROM pg_trigger WHERE tgrelid = $1 AND NOT "
            "tgisinternal AND tgenabled <> 'O'",
            values);
    collect(spi, all.after,
            "SELECT format('COMMENT ON TRIGGER %I ON %s IS %L', tgname, $2::text, obj_description(oid, 'pg_trigger')) "
            "FROM pg_trigger WHERE tgrelid = $1 AND NOT tgisinternal AND obj_description(oid, 'pg_trigger') IS NOT "
            "NULL",
            values);
    collect(spi, all.after,
            "SELECT format('CREATE POLICY %I ON %s AS %s FOR %s TO %s%s%s', polname, $2::text, CASE WHEN polpermissive "
            "THEN 'PERMISSIVE' ELSE 'RESTRICTIVE' END, CASE polcmd WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN "
            "'w' THEN 'UPDATE' WHEN 'd' THEN 'DELETE' ELSE 'ALL' END, (SELECT string_agg(CASE WHEN r = 0 THEN 'PUBLIC' "
            "ELSE quote_ident(pg_get_userbyid(r)) END, ', ') FROM unnest(polroles) r), ' USING (' || "
            "pg_get_expr(polqual, polrelid) || ')', ' WITH CHECK (' || pg_get_expr(polwithcheck, polrelid) || ')') "
            "FROM pg_policy WHERE polrelid = $1 ORDER BY oid",
            values);
    collect(spi, all.after,
            "SELECT format('ALTER TABLE %s %s ROW LEVEL SECURITY', $2::text, x.what) FROM pg_class c, LATERAL (VALUES "
            "(c.relrowsecurity, 'ENABLE'), (c.relforcerowsecurity, 'FORCE')) x (is_on, what) WHERE c.oid = $1 AND "
            "x.is_on",
            values);
    collect(spi, all.after,
            "SELECT format('COMMENT ON TABLE %s IS %L', $2::text, obj_description($1, 'pg_class')) WHERE "
            "obj_description($1, 'pg_class') IS NOT NULL",
            values);
    collect(spi, all.after,
            "SELECT format('ALTER TABLE %s ALTER COLUMN %I SET STATISTICS %s', $2::text, attname, attstattarget) FROM "
            "pg_attribute WHERE attrelid = $1 AND attnum > 0 AND NOT attisdropped AND attstattarget >= 0",
            values);
    // Privileges on the table and on columns; what the owner has by default needs no grant.
    collect(spi, all.after,
            "SELECT format('REVOKE ALL ON TABLE %s FROM %I', $2::text, pg_get_userbyid(relowner)) FROM pg_class WHERE "
            "oid = $1 AND relacl IS NOT NULL",
            values);
    collect(spi, all.after,
            "SELECT format('GRANT %s ON TABLE %s TO %s%s', e.privilege_type, $2::text, CASE WHEN e.grantee = 0 THEN "
            "'PUBLIC' ELSE quote_ident(pg_get_userbyid(e.grantee)) END, CASE WHEN e.is_grantable THEN ' WITH GRANT "
            "OPTION' ELSE '' END) FROM pg_class c, aclexplode(c.relacl) e WHERE c.oid = $1",
            values);
    collect(spi, all.after,
            "SELECT format('GRANT %s (%I) ON TABLE %s TO %s%s', e.privilege_type, a.attname, $2::text, CASE WHEN "
            "e.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(e.grantee)) END, CASE WHEN e.is_grantable "
            "THEN ' WITH GRANT OPTION' ELSE '' END) FROM pg_attribute a, aclexplode(a.attacl) e WHERE a.attrelid = $1 "
            "AND NOT a.attisdropped",
            values);
    collect(spi, all.publications,
            "SELECT format('ALTER PUBLICATION %I ADD TABLE %s%s%s', p.pubname, $2::text, (SELECT ' (' || "
            "string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum) || ')' FROM pg_attribute a WHERE a.attrelid = "
            "$1 AND a.attnum = ANY (r.prattrs::int2[])), ' WHERE ' || pg_get_expr(r.prqual, r.prrelid)) FROM "
            "pg_publication_rel r JOIN pg_publication p ON p.oid = r.prpubid WHERE r.prrelid = $1",
            values);
    const pg::Rows replica = spi.query(
        "SELECT CASE c.relreplident WHEN 'f' THEN 'FULL' WHEN 'n' THEN 'NOTHING' WHEN 'i' THEN 'USING INDEX ' || "
        "(SELECT quote_ident(k.relname) FROM pg_index i JOIN pg_class k ON k.oid = i.indexrelid WHERE i.indrelid = $1 "
        "AND i.indisreplident) END FROM pg_class c WHERE c.oid = $1 AND $2 IS NOT NULL",
        values);
    if (!replica.is_null(0, 0))
        all.after.push_back("ALTER TABLE " + table + " REPLICA IDENTITY " + replica.text(0, 0));
}

void collect_views_and_sequences(pg::Spi& spi, const Swap& swap, Belongings& all) {
    const pg::Rows views = spi.query(
        "SELECT DISTINCT v.relowner, v.oid, format('CREATE OR REPLACE VIEW %I.%I%s AS %s', n.nspname, v.relname, "
        "(SELECT ' WITH (' || string_agg(format('%I = %L', o.option_name, o.option_value), ', ') || ')' FROM "
        "pg_options_to_table(v.reloptions) o), pg_get_viewdef(v.oid)) FROM pg_depend d JOIN pg_rewrite r ON r.oid = "
        "d.objid JOIN pg_class v ON v.oid = r.ev_class AND v.relkind = 'v' JOIN pg_namespace n ON n.oid = "
        "v.relnamespace WHERE d.classid = 'pg_rewrite'::regclass AND d.refclassid = 'pg_class'::regclass AND "
        "d.refobjid = $1 AND d.deptype = 'n' ORDER BY v.oid",
        {pg::arg_oid(swap.policy.relation)});
    for (std::size_t i = 0; i < views.size(); ++i)
        all.views.push_back({views.oid(i, 0), views.text(i, 2)});
    const pg::Rows sequences = spi.query(
        "SELECT a.attname, n.nspname, s.relname, a.attidentity <> '' FROM pg_depend d JOIN pg_class s ON s.oid = "
        "d.objid AND s.relkind = 'S' JOIN pg_namespace n ON n.oid = s.relnamespace JOIN pg_attribute a ON a.attrelid = "
        "d.refobjid AND a.attnum = d.refobjsubid WHERE d.classid = 'pg_class'::regclass AND d.refclassid = "
        "'pg_class'::regclass AND d.refobjid = $1 AND d.refobjsubid > 0 AND d.deptype IN ('a', 'i')",
        {pg::arg_oid(swap.policy.relation)});
    for (std::size_t i = 0; i < sequences.size(); ++i)
        all.sequences.push_back(
            {sequences.text(i, 0), sequences.text(i, 1), sequences.text(i, 2), sequences.boolean(i, 3)});
}

void run_all(pg::Spi& spi, const std::vector<std::string>& statements) {
    for (const std::string& statement : statements)
        spi.execute(statement);
}

// Sequences of identity columns and those that a column owns go with the name: numbers go on without a gap.
void take_sequences(pg::Spi& spi, const Belongings& all, const std::string& table, const std::string& old_table) {
    for (const Belongings::Sequence& sequence : all.sequences) {
        const std::string column = pg::quote_identifier(sequence.column);
        const std::string name = pg::quote_identifier(sequence.schema) + "." + pg::quote_identifier(sequence.name);
        if (!sequence.identity) {
            spi.execute(join({"ALTER SEQUENCE ", name, " OWNED BY ", table, ".", column}));
            continue;
        }
        const pg::Rows state = spi.query("SELECT last_value, is_called FROM " + name);
        std::vector<std::string> grants;
        collect(spi, grants,
                "SELECT format('GRANT %s ON SEQUENCE %s TO %s', e.privilege_type, $2::text, CASE WHEN e.grantee = 0 "
                "THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(e.grantee)) END) FROM pg_class c, aclexplode(c.relacl) "
                "e WHERE c.oid = $1::regclass AND e.grantee <> c.relowner",
                {pg::arg(name), pg::arg(name)});
        spi.execute(join({"ALTER TABLE ", old_table, " ALTER COLUMN ", column, " DROP IDENTITY"}));
        const pg::Rows fresh =
            spi.query("SELECT pg_get_serial_sequence($1, $2)", {pg::arg(table), pg::arg(sequence.column)});
        spi.query("SELECT setval($1::regclass, $2, $3)",
                  {pg::arg(fresh.text(0, 0)), pg::arg(state.int64(0, 0)), pg::arg(state.boolean(0, 1))});
        spi.execute("ALTER SEQUENCE " + fresh.text(0, 0) + " RENAME TO " + pg::quote_identifier(sequence.name));
        run_all(spi, grants);
    }
}

// The longer index takes the place of the key on the old table, so that the attach finds what the new one has.
void replace_keys(pg::Spi& spi, const Swap& swap, const std::string& old_table) {
    for (const auto& [key, longer] : swap.longer_keys) {
        const pg::Rows rows =
            spi.query("SELECT format('%I.%I', n.nspname, k.relname), quote_ident(k.relname), coalesce(c.contype, ''), "
                      "quote_ident(c.conname) FROM pg_class k JOIN pg_namespace n ON n.oid = k.relnamespace LEFT JOIN "
                      "pg_constraint c ON c.conindid = k.oid AND c.contype IN ('p', 'u') WHERE k.oid = $1",
                      {pg::arg_oid(key)});
        if (rows.text(0, 2).empty()) {
            const pg::Rows schema = spi.query("SELECT quote_ident(n.nspname) FROM pg_class k JOIN pg_namespace n ON "
                                              "n.oid = k.relnamespace WHERE k.oid = $1",
                                              {pg::arg_oid(key)});
            spi.execute("DROP INDEX " + rows.text(0, 0));
            spi.execute("ALTER INDEX " + schema.text(0, 0) + "." + pg::quote_identifier(longer) + " RENAME TO " +
                        rows.text(0, 1));
            continue;
        }
        spi.execute("ALTER TABLE " + old_table + " DROP CONSTRAINT " + rows.text(0, 3) + ", ADD CONSTRAINT " +
                    rows.text(0, 3) + (rows.text(0, 2) == "p" ? " PRIMARY KEY" : " UNIQUE") + " USING INDEX " +
                    pg::quote_identifier(longer));
    }
}

} // namespace

Swapped swap(const Swap& swap) {
    const Policy& policy = swap.policy;
    const std::string schema = pg::quote_identifier(policy.schema);
    const std::string table = relation_name(policy);
    const std::string column = pg::quote_identifier(policy.column);
    Swapped result;
    Belongings all;
    std::int64_t locked_at = 0;
    pg::write_as(policy.owner, [&](pg::Spi& spi) {
        // Nobody changes the table from here on; everybody reads and writes.
        spi.execute("LOCK TABLE " + table + " IN SHARE UPDATE EXCLUSIVE MODE");
        collect_indexes(spi, swap, table, all);
        collect_rest(spi, swap, table, all);
        collect_views_and_sequences(spi, swap, all);
        const std::string made = free_name(policy.schema, policy.name, "_new");
        const std::string old_name = free_name(policy.schema, policy.name, "_pmin");
        const std::string old_table = schema + "." + pg::quote_identifier(old_name);
        const std::string space =
            spi.query("SELECT coalesce(' TABLESPACE ' || quote_ident(t.spcname), '') FROM pg_class c LEFT JOIN "
                      "pg_tablespace t ON t.oid = c.reltablespace WHERE c.oid = $1",
                      {pg::arg_oid(policy.relation)})
                .text(0, 0);
        spi.execute("CREATE TABLE " + schema + "." + pg::quote_identifier(made) + " (LIKE " + table +
                    " INCLUDING ALL EXCLUDING INDEXES) PARTITION BY RANGE (" + column + ")" + space);
        spi.execute("ALTER TABLE " + schema + "." + pg::quote_identifier(made) + " DROP CONSTRAINT " +
                    pg::quote_identifier(swap.check));
        result.parent =
            spi.query("SELECT $1::regclass::oid", {pg::arg(schema + "." + pg::quote_identifier(made))}).oid(0, 0);
        pg::fault_point("lifecycle_swap_prepared");

        spi.execute("LOCK TABLE " + table + " IN ACCESS EXCLUSIVE MODE");
        locked_at = monotonic_us();
        for (const std::string& trigger : all.triggers)
            spi.execute(join({"DROP TRIGGER ", trigger, " ON ", table}));
        spi.execute("ALTER TABLE " + table + " RENAME TO " + pg::quote_identifier(old_name));
        for (const Belongings::Index& index : all.indexes)
            spi.execute("ALTER INDEX " + pg::quote_identifier(index.schema) + "." + pg::quote_identifier(index.name) +
                        " RENAME TO " + pg::quote_identifier(free_name(index.schema, index.name, "_pmin")));
        spi.execute("ALTER TABLE " + schema + "." + pg::quote_identifier(made) + " RENAME TO " +
                    pg::quote_identifier(policy.name));
        replace_keys(spi, swap, old_table);
        run_all(spi, all.after);
        take_sequences(spi, all, table, old_table);
        pg::fault_point("lifecycle_swap_middle");
        spi.execute("ALTER TABLE " + table + " ATTACH PARTITION " + old_table + " FOR VALUES FROM (MINVALUE) TO (" +
                    bound_literal(swap.upper, policy) + ")");
        spi.execute("ALTER TABLE " + old_table + " DROP CONSTRAINT " + pg::quote_identifier(swap.check));
        result.partition = old_table;
    });
    {
        pg::Spi spi;
        for (const std::string& statement : all.publications) {
            spi.execute(statement);
        }
        const pg::Rows gone = spi.query(
            "SELECT format('ALTER PUBLICATION %I DROP TABLE ONLY %s', p.pubname, $2::text) FROM pg_publication_rel r "
            "JOIN pg_publication p ON p.oid = r.prpubid WHERE r.prrelid = $1",
            {pg::arg_oid(policy.relation), pg::arg(result.partition)});
        for (std::size_t i = 0; i < gone.size(); ++i)
            spi.execute(gone.text(i, 0));
    }
    for (const Belongings::View& view : all.views)
        pg::execute_as(view.owner, {view.statement});
    result.held_us = monotonic_us() - locked_at;
    return result;
}

} // namespace citadel::lifecycle::plain
