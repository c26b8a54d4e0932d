#include "lifecycle/create_pg.hpp"

#include "lifecycle/calendar.hpp"
#include "lifecycle/key_pg.hpp"
#include "lifecycle/partman_pg.hpp"
#include "lifecycle/policy_pg.hpp"
#include "pg/fault.hpp"
#include "pg/name.hpp"
#include "pg/relation.hpp"
#include "pg/write_as.hpp"

#include <algorithm>

namespace citadel::lifecycle {

namespace {

std::string digits_only(const std::string& text, std::size_t length) {
    std::string digits;
    for (const char c : text) {
        if (c >= '0' && c <= '9')
            digits += c;
        if (digits.size() == length)
            break;
    }
    return digits;
}

std::string free_name(const Policy& policy, const std::string& suffix) {
    for (int attempt = 0; attempt < 1000; ++attempt) {
        std::string name = pg::fitting_name(policy.name, suffix + (attempt == 0 ? "" : "_" + std::to_string(attempt)));
        if (!pg::name_is_taken(policy.schema, name))
            return name;
    }
    pg::raise(ERRCODE_DUPLICATE_TABLE, "no free name for a partition of " + relation_name(policy));
}

std::optional<Partition> partition_at(const Policy& policy, Place lower, Place upper) {
    for (const Partition& partition : read_partitions(policy.relation, policy.kind))
        if (!partition.is_default && partition.lower == lower && partition.upper == upper)
            return partition;
    return std::nullopt;
}

// Privileges of the parent, unless rows of it are hidden by policies: those would not hold on the partition itself.
void copy_privileges(pg::Spi& spi, Oid parent, Oid partition) {
    const pg::Rows grants =
        spi.query("SELECT format('GRANT %s ON TABLE %s TO %s%s', string_agg(e.privilege_type, ', '), $2::text, "
                  "CASE WHEN e.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(e.grantee)) END, "
                  "CASE WHEN e.is_grantable AND e.grantee <> 0 THEN ' WITH GRANT OPTION' ELSE '' END) "
                  "FROM pg_class c, aclexplode(c.relacl) e WHERE c.oid = $1 AND e.grantee <> c.relowner "
                  "AND NOT c.relrowsecurity GROUP BY e.grantee, e.is_grantable",
                  {pg::arg_oid(parent), pg::arg(pg::qualified_name(partition))});
    for (std::size_t i = 0; i < grants.size(); ++i)
        spi.execute(grants.text(i, 0));
    if (spi.query("SELECT relrowsecurity FROM pg_class WHERE oid = $1", {pg::arg_oid(parent)}).boolean(0, 0))
        spi.execute("ALTER TABLE " + pg::qualified_name(partition) + " ENABLE ROW LEVEL SECURITY");
}

void copy_replica_identity(pg::Spi& spi, Oid parent, Oid partition) {
    const pg::Rows rows = spi.query(
        "SELECT c.relreplident, (SELECT quote_ident(k.relname) FROM pg_index p JOIN pg_inherits i ON i.inhparent = "
        "p.indexrelid JOIN pg_index x ON x.indexrelid = i.inhrelid AND x.indrelid = $2 JOIN pg_class k ON k.oid = "
        "x.indexrelid WHERE p.indrelid = c.oid AND p.indisreplident) FROM pg_class c WHERE c.oid = $1",
        {pg::arg_oid(parent), pg::arg_oid(partition)});
    const std::string& kind = rows.text(0, 0);
    const std::string table = "ALTER TABLE " + pg::qualified_name(partition) + " REPLICA IDENTITY ";
    if (kind == "f")
        spi.execute(table + "FULL");
    else if (kind == "n")
        spi.execute(table + "NOTHING");
    else if (kind == "i" && !rows.is_null(0, 1))
        spi.execute(table + "USING INDEX " + rows.text(0, 1));
}

// A partitioned table has no storage options of its own: the newest of the other partitions shows what is wanted.
void copy_storage_options(pg::Spi& spi, Oid parent, Oid partition) {
    const pg::Rows rows = spi.query(
        "SELECT string_agg(format('%I = %L', o.option_name, o.option_value), ', ') FROM (SELECT c.reloptions FROM "
        "pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = $1 AND c.oid <> $2 AND c.relkind = "
        "'r' AND NOT EXISTS (SELECT FROM pg_class p WHERE p.oid = $2 AND p.reloptions IS NOT NULL) "
        "ORDER BY c.oid DESC LIMIT 1) n, pg_options_to_table(n.reloptions) o",
        {pg::arg_oid(parent), pg::arg_oid(partition)});
    if (!rows.is_null(0, 0))
        spi.execute("ALTER TABLE " + pg::qualified_name(partition) + " SET (" + rows.text(0, 0) + ")");
}

} // namespace

std::string partition_name(const Policy& policy, Place lower) {
    if (lower == open_low)
        return free_name(policy, "_pmin");
    if (policy.kind == ColumnKind::integer)
        return free_name(policy, (lower < 0 ? "_pm" : "_p") + std::to_string(lower < 0 ? -(lower + 1) : lower));
    const std::string text = place_text(lower, policy);
    return free_name(policy, "_p" + digits_only(text, 8) +
                                 (policy.interval.micros == 0 ? "" : "_" + digits_only(text.substr(10), 4)));
}

Oid make_table_like(const Policy& policy, const std::string& name) {
    const std::string table = pg::quote_identifier(policy.schema) + "." + pg::quote_identifier(name);
    return pg::write_as(policy.owner, [&](pg::Spi& spi) {
        const pg::Rows where =
            spi.query("SELECT coalesce(' TABLESPACE ' || quote_ident(t.spcname), '') FROM pg_class c "
                      "LEFT JOIN pg_tablespace t ON t.oid = c.reltablespace WHERE c.oid = $1",
                      {pg::arg_oid(policy.relation)});
        // Indexes come with the attach. An identity column would make a sequence of its own.
        spi.execute("CREATE TABLE " + table + " (LIKE " + relation_name(policy) +
                    " INCLUDING ALL EXCLUDING IDENTITY EXCLUDING INDEXES)" + where.text(0, 0));
        return spi.query("SELECT $1::regclass::oid", {pg::arg(table)}).oid(0, 0);
    });
}

void attach(const Policy& policy, Oid table, Place lower, Place upper) {
    pg::execute_as(policy.owner, {"ALTER TABLE " + relation_name(policy) + " ATTACH PARTITION " +
                                  pg::qualified_name(table) + " FOR VALUES FROM (" + bound_literal(lower, policy) +
                                  ") TO (" + bound_literal(upper, policy) + ")"});
}

std::vector<std::string> matching_statements(Oid parent, const std::string& table, const std::string& constraints) {
    std::vector<std::string> statements;
    pg::Spi spi;
    const pg::Rows wanted =
        spi.query("SELECT pg_catalog.format('ALTER TABLE %s ADD %s%s', $2, CASE WHEN contype = 'c' THEN "
                  "pg_catalog.format('CONSTRAINT %I ', conname) ELSE '' END, pg_catalog.pg_get_constraintdef(oid)) "
                  "FROM pg_catalog.pg_constraint WHERE conrelid = $1 AND pg_catalog.strpos($3, contype::text) > 0 "
                  "ORDER BY contype, conname",
                  {pg::arg_oid(parent), pg::arg(table), pg::arg(constraints)});
    for (std::size_t i = 0; i < wanted.size(); ++i)
        statements.push_back(wanted.text(i, 0));
    // An index's definition names its table once, in front of USING; what follows fits every table of that shape.
    const pg::Rows indexes = spi.query(
        "SELECT head || ' ON ' || $2 || pg_catalog.substr(definition, pg_catalog.length(front) + 1) FROM ("
        "SELECT pg_catalog.pg_get_indexdef(i.indexrelid) AS definition, "
        "CASE WHEN i.indisunique THEN 'CREATE UNIQUE INDEX' ELSE 'CREATE INDEX' END AS head, "
        "pg_catalog.format('CREATE %sINDEX %I ON ONLY %I.%I', CASE WHEN i.indisunique THEN 'UNIQUE ' ELSE '' END, "
        "x.relname, n.nspname, t.relname) AS front "
        "FROM pg_catalog.pg_index AS i JOIN pg_catalog.pg_class AS x ON x.oid = i.indexrelid "
        "JOIN pg_catalog.pg_class AS t ON t.oid = i.indrelid "
        "JOIN pg_catalog.pg_namespace AS n ON n.oid = t.relnamespace "
        "WHERE i.indrelid = $1 AND i.indisvalid AND NOT EXISTS (SELECT FROM pg_catalog.pg_constraint AS c "
        "WHERE c.conindid = i.indexrelid AND c.contype IN ('p', 'u', 'x'))) AS d "
        "WHERE pg_catalog.starts_with(definition, front)",
        {pg::arg_oid(parent), pg::arg(table)});
    for (std::size_t i = 0; i < indexes.size(); ++i)
        statements.push_back(indexes.text(i, 0));
    return statements;
}

void give_replica_identity(Oid parent, const std::vector<Partition>& partitions) {
    pg::write_as(pg::owner_of(parent), [&](pg::Spi& spi) {
        if (spi.query("SELECT relreplident = 'd' FROM pg_class WHERE oid = $1", {pg::arg_oid(parent)}).boolean(0, 0))
            return;
        for (const Partition& partition : partitions)
            copy_replica_identity(spi, parent, partition.oid);
    });
}

void give_parents_properties(Oid parent, Oid partition) {
    const Oid owner = pg::owner_of(parent);
    if (pg::owner_of(partition) != owner) {
        pg::Spi spi;
        spi.execute("ALTER TABLE " + pg::qualified_name(partition) + " OWNER TO " + pg::role_name(owner));
    }
    pg::write_as(owner, [&](pg::Spi& spi) {
        copy_privileges(spi, parent, partition);
        copy_replica_identity(spi, parent, partition);
        copy_storage_options(spi, parent, partition);
    });
}

Oid make_partition(const Policy& policy, Place lower, Place upper) {
    {
        // Nobody changes the table's definition until the end of this transaction.
        pg::Spi spi;
        spi.execute("LOCK TABLE ONLY " + relation_name(policy) + " IN SHARE UPDATE EXCLUSIVE MODE");
    }
    if (const auto there = partition_at(policy, lower, upper))
        return there->oid;
    const std::vector<Partition> before = read_partitions(policy.relation, policy.kind);
    if (partman::can_make(policy, lower, upper, before.empty())) {
        partman::make(policy, lower);
        // Registering makes more than the one that was asked for.
        for (const Partition& partition : read_partitions(policy.relation, policy.kind))
            if (std::none_of(before.begin(), before.end(),
                             [&partition](const Partition& old) { return old.oid == partition.oid; }))
                give_parents_properties(policy.relation, partition.oid);
    }
    pg::fault_point("lifecycle_create");
    if (const auto made = partition_at(policy, lower, upper))
        return made->oid;
    const Oid table = make_table_like(policy, partition_name(policy, lower));
    attach(policy, table, lower, upper);
    give_parents_properties(policy.relation, table);
    return table;
}

Oid make_default_partition(const Policy& policy) {
    const Oid table = make_table_like(policy, free_name(policy, "_default"));
    pg::execute_as(policy.owner, {"ALTER TABLE " + relation_name(policy) + " ATTACH PARTITION " +
                                  pg::qualified_name(table) + " DEFAULT"});
    give_parents_properties(policy.relation, table);
    return table;
}

} // namespace citadel::lifecycle
