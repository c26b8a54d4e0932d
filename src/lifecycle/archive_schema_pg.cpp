#include "lifecycle/archive_schema_pg.hpp"

#include "pg/compat.hpp"
#include "pg/fault.hpp"

extern "C" {
#include "catalog/namespace.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_tablespace.h"
#include "commands/tablespace.h"
#include "utils/acl.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"
}

namespace citadel::lifecycle::archive::schema {

namespace {

// InvalidOid: there is no such schema.
Oid schema_owner(const std::string& place) {
    const char* name = place.c_str();
    return pg::guard([name] {
        HeapTuple row = SearchSysCache1(NAMESPACENAME, CStringGetDatum(name));
        if (!HeapTupleIsValid(row))
            return InvalidOid;
        const Oid owner = reinterpret_cast<Form_pg_namespace>(GETSTRUCT(row))->nspowner;
        ReleaseSysCache(row);
        return owner;
    });
}

} // namespace

std::string problem(const std::string& place, const std::string& tablespace, Oid owner) {
    const Oid place_owner = schema_owner(place);
    const std::string shown = "schema " + pg::quote_identifier(place);
    if (place == default_schema) {
        // Who owns a schema can drop what is in it.
        if (OidIsValid(place_owner) && !pg::guard([place_owner] { return superuser_arg(place_owner); }))
            return shown + " must be owned by a superuser: its owner could drop everybody's archives";
    } else if (!OidIsValid(place_owner)) {
        return shown + " does not exist";
    } else if (const char* name = place.c_str();
               !pg::guard([name, owner] { return pg::may_create_in_schema(get_namespace_oid(name, false), owner); })) {
        return "the table's owner may not create tables in " + shown;
    }
    if (!tablespace.empty()) {
        const char* name = tablespace.c_str();
        const Oid oid = pg::guard([name] { return get_tablespace_oid(name, true); });
        if (!OidIsValid(oid))
            return "tablespace " + pg::quote_identifier(tablespace) + " does not exist";
        if (!pg::guard([oid, owner] { return pg::may_create_in_tablespace(oid, owner); }))
            return "the table's owner may not create tables in tablespace " + pg::quote_identifier(tablespace);
    }
    return {};
}

void prepare(pg::Spi& spi, const std::string& place) {
    if (place != default_schema || OidIsValid(schema_owner(place)))
        return;
    spi.execute("CREATE SCHEMA " + pg::quote_identifier(place));
    spi.execute("GRANT USAGE ON SCHEMA " + pg::quote_identifier(place) + " TO PUBLIC");
    spi.execute("COMMENT ON SCHEMA " + pg::quote_identifier(place) + " IS 'Archives of citadel_opt'");
}

// As the superuser who runs the worker: the owner need not be allowed to create tables in the schema. None of these
// statements runs anybody's code; event triggers are a superuser's.
void move(pg::Spi& spi, Oid relation, const std::string& place, const std::string& name,
          const std::string& tablespace) {
    const pg::Rows now = spi.query("SELECT n.nspname, c.relname FROM pg_catalog.pg_class AS c "
                                   "JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace WHERE c.oid = $1",
                                   {pg::arg_oid(relation)});
    const std::string& schema = now.text(0, 0);
    std::string current = now.text(0, 1);
    if (current != name) {
        // First out of the way: the name may be taken in either schema.
        const std::string between = free_name(schema, name, static_cast<std::int64_t>(relation));
        if (schema != place && OidIsValid(find_relation(place, current))) {
            spi.execute("ALTER TABLE " + quoted(schema, current) + " RENAME TO " + pg::quote_identifier(between));
            current = between;
        }
    }
    if (schema != place) {
        spi.execute("ALTER TABLE " + quoted(schema, current) + " SET SCHEMA " + pg::quote_identifier(place));
        pg::fault_point("archive_schema_moved");
    }
    if (current != name)
        spi.execute("ALTER TABLE " + quoted(place, current) + " RENAME TO " + pg::quote_identifier(name));
    if (!tablespace.empty()) {
        const std::string to = " SET TABLESPACE " + pg::quote_identifier(tablespace);
        spi.execute("ALTER TABLE " + quoted(place, name) + to);
        const pg::Rows indexes = spi.query("SELECT pg_catalog.format('%I.%I', n.nspname, c.relname) "
                                           "FROM pg_catalog.pg_index AS i JOIN pg_catalog.pg_class AS c ON c.oid = "
                                           "i.indexrelid JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace "
                                           "WHERE i.indrelid = $1",
                                           {pg::arg_oid(relation)});
        for (std::size_t i = 0; i < indexes.size(); ++i)
            spi.execute("ALTER INDEX " + indexes.text(i, 0) + to);
    }
}

} // namespace citadel::lifecycle::archive::schema
