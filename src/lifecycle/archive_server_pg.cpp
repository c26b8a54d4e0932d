#include "lifecycle/archive_server_pg.hpp"

#include "lifecycle/archive_schema_pg.hpp"
#include "pg/compat.hpp"
#include "pg/fault.hpp"
#include "pg/name.hpp"
#include "pg/role.hpp"
#include "pg/subtransaction.hpp"
#include "pg/write_as.hpp"

#include <algorithm>

extern "C" {
#include "catalog/pg_foreign_server.h"
#include "commands/extension.h"
#include "foreign/foreign.h"
#include "mb/pg_wchar.h"
#include "utils/acl.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"
}

namespace citadel::lifecycle::archive::server {

namespace {

// Rows that postgres_fdw sends with one statement; it lowers this where a row has many columns.
constexpr const char* batch_size = "1000";

// The schema of the other side's tables.
constexpr const char* far_schema = default_schema;

std::string far_name(const Entry& entry) {
    return entry.location.substr(entry.location.find('.') + 1);
}

std::string far_table(const Entry& entry) {
    return quoted(far_schema, far_name(entry));
}

// Of the index on the far table's column of parts: by the digits that its name ends with, because a long name is cut.
std::string index_name(const Entry& entry) {
    const std::string name = far_name(entry);
    return std::string(part_column) + "_" + name.substr(name.size() - std::min<std::size_t>(name.size(), 16));
}

// Runs statements on the other side, as the owner of the archive.
void run_there(const Entry& entry, const std::string& sql) {
    pg::RoleScope owner(entry.owner);
    {
        pg::Spi spi;
        const pg::Rows place = spi.query("SELECT pg_catalog.quote_ident(n.nspname) FROM pg_catalog.pg_extension AS e "
                                         "JOIN pg_catalog.pg_namespace AS n ON n.oid = e.extnamespace "
                                         "WHERE e.extname = 'dblink'");
        if (place.empty())
            pg::raise(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, "extension dblink is not installed", {},
                      "It makes the tables on the other side: CREATE EXTENSION dblink.");
        (void)spi.query("SELECT " + place.text(0, 0) + ".dblink_exec($1, $2)",
                        {pg::arg(entry.destination.place), pg::arg(sql)});
    }
    owner.leave();
}

std::string columns_definition(const Entry& entry) {
    std::string text;
    for (const format::Column& column : entry.columns)
        text += pg::quote_identifier(column.name) + " " + column.type + ", ";
    return text + part_column + " bigint";
}

// Both tables. The far one's name has never been used before, so one that exists is from our own interrupted attempt.
void make_tables(pg::Spi& spi, Entry& entry) {
    for (const format::Column& column : entry.columns)
        if (column.name == part_column)
            pg::raise(ERRCODE_DUPLICATE_COLUMN,
                      "a table with a column named " + std::string(part_column) + " cannot be archived to a server");
    run_there(entry, "DO $citadel$ BEGIN IF pg_catalog.to_regnamespace(" + pg::quote_literal(far_schema) +
                         ") IS NULL THEN CREATE SCHEMA " + far_schema + "; END IF; END $citadel$; " +
                         "CREATE TABLE IF NOT EXISTS " + far_table(entry) + " (" + columns_definition(entry) +
                         " NOT NULL); CREATE INDEX IF NOT EXISTS " + pg::quote_identifier(index_name(entry)) + " ON " +
                         far_table(entry) + " (" + part_column + ")");
    pg::fault_point("archive_server_table");
    schema::prepare(spi, default_schema);
    const std::string name = free_name(default_schema, far_name(entry), entry.id);
    const std::string local = quoted(default_schema, name);
    spi.execute("CREATE FOREIGN TABLE " + local + " (" + columns_definition(entry) + ") SERVER " +
                pg::quote_identifier(entry.destination.place) + " OPTIONS (schema_name " +
                pg::quote_literal(far_schema) + ", table_name " + pg::quote_literal(far_name(entry)) +
                ", batch_size '" + batch_size + "')");
    spi.execute("ALTER FOREIGN TABLE " + local + " OWNER TO " + pg::quote_identifier(entry.owner_name));
    entry.relation = find_relation(default_schema, name);
    set_relation(spi, entry.id, entry.relation);
}

std::string foreign_table(const Entry& entry) {
    std::string name = pg::qualified_name(entry.relation);
    if (name.empty())
        pg::raise(ERRCODE_UNDEFINED_TABLE,
                  "the foreign table of archive " + std::to_string(entry.id) + " does not exist");
    return name;
}

std::string tid(BlockNumber block) {
    return "'(" + std::to_string(block) + ",0)'::pg_catalog.tid";
}

} // namespace

std::string problem(const std::string& server, Oid owner) {
    const char* name = server.c_str();
    struct Found {
        Oid server;
        bool fdw, usage, mapping, dblink;
    };
    const Found found = pg::guard([=] {
        Found result{};
        ForeignServer* there = GetForeignServerByName(name, true);
        if (there == nullptr)
            return result;
        result.server = there->serverid;
        result.fdw = strcmp(GetForeignDataWrapper(there->fdwid)->fdwname, "postgres_fdw") == 0;
        result.usage = pg::may_use_server(there->serverid, owner);
        result.mapping =
            SearchSysCacheExists2(USERMAPPINGUSERSERVER, ObjectIdGetDatum(owner), ObjectIdGetDatum(there->serverid)) ||
            SearchSysCacheExists2(USERMAPPINGUSERSERVER, ObjectIdGetDatum(InvalidOid),
                                  ObjectIdGetDatum(there->serverid));
        result.dblink = OidIsValid(get_extension_oid("dblink", true));
        return result;
    });
    const std::string shown = "foreign server " + pg::quote_identifier(server);
    if (!OidIsValid(found.server))
        return shown + " does not exist";
    if (!found.fdw)
        return shown + " is not one of postgres_fdw";
    if (!found.usage)
        return "the table's owner may not use " + shown;
    if (!found.mapping)
        return shown + " has no user mapping for the table's owner";
    if (!found.dblink)
        return "extension dblink is not installed, which makes the tables on the other side";
    return {};
}

std::string new_location(const std::string& name) {
    return std::string(far_schema) + "." + pg::fitting_name(name, "_" + unique_digits());
}

void write_part(pg::Spi& spi, Entry& entry, const OpenRelation& source, Part& part) {
    if (!OidIsValid(entry.relation))
        make_tables(spi, entry);
    const std::string there = foreign_table(entry);
    const std::string here = pg::qualified_name(entry.source);
    pg::write_as(entry.owner, [&](pg::Spi& owners) {
        see_all_rows();
        const RowEncoder encoder(source.shape(), entry.column_names(), GetDatabaseEncoding());
        part.hash = scan_blocks(source, encoder, part.first, part.end, {});
        owners.execute("DELETE FROM " + there + " WHERE " + part_column + " = " + std::to_string(part.number));
        const std::uint64_t sent =
            owners.execute("INSERT INTO " + there + " (" + entry.column_list() + ", " + part_column + ") SELECT " +
                           entry.column_list() + ", " + std::to_string(part.number) + " FROM ONLY " + here +
                           " WHERE ctid >= " + tid(part.first) + " AND ctid < " + tid(part.end));
        if (sent != static_cast<std::uint64_t>(part.hash.rows))
            pg::raise(ERRCODE_DATA_CORRUPTED, "sent " + std::to_string(sent) + " rows instead of " +
                                                  std::to_string(part.hash.rows) + " to " + there);
    });
    pg::fault_point("archive_server_sent");
}

void read_part(const Entry& entry, const Part& part, const SlotTaker& take) {
    const std::string there = foreign_table(entry);
    const ContentHash hash = hash_query("SELECT " + entry.column_list() + " FROM " + there + " WHERE " + part_column +
                                            " = " + std::to_string(part.number),
                                        take);
    if (hash != part.hash)
        pg::raise(ERRCODE_DATA_CORRUPTED, "rows of " + there + " are not those that were sent",
                  "Part " + std::to_string(part.number) + " has " + std::to_string(hash.rows) + " rows with hash " +
                      hash.hex() + " instead of " + std::to_string(part.hash.rows) + " with " + part.hash.hex() + ".");
}

void verify_part(const Entry& entry, const Part& part) {
    pg::RoleScope owner(entry.owner);
    read_part(entry, part, {});
    owner.leave();
}

void finish(pg::Spi& spi, const Entry& entry) {
    if (!OidIsValid(entry.relation)) {
        // No part was sent: the source is empty.
        Entry made = entry;
        make_tables(spi, made);
        show_part_column(spi, made, false);
        return;
    }
    const std::string there = foreign_table(entry);
    std::int64_t rows = 0;
    {
        pg::RoleScope owner(entry.owner);
        {
            pg::Spi owners;
            rows = owners.query("SELECT pg_catalog.count(*) FROM " + there).int64(0, 0);
        }
        owner.leave();
    }
    const std::int64_t expected = known_content(entry).rows;
    if (rows != expected)
        pg::raise(ERRCODE_DATA_CORRUPTED,
                  there + " has " + std::to_string(rows) + " rows instead of " + std::to_string(expected));
    show_part_column(spi, entry, false);
}

ContentHash hash_copy(const Entry& entry) {
    const std::string there = foreign_table(entry);
    pg::RoleScope owner(entry.owner);
    const ContentHash hash = hash_query("SELECT " + entry.column_list() + " FROM " + there);
    owner.leave();
    return hash;
}

void discard(pg::Spi& spi, const Entry& entry) {
    const auto error = pg::try_subtransaction([&] { run_there(entry, "DROP TABLE IF EXISTS " + far_table(entry)); });
    pg::rethrow_cancel(error);
    if (error) {
        const std::string table = far_table(entry);
        const char* table_text = table.c_str();
        const char* server = entry.destination.place.c_str();
        const char* why = error->what();
        pg::guard([=] {
            ereport(WARNING, (errmsg("table %s may be left on foreign server \"%s\"", table_text, server),
                              errdetail("It could not be dropped: %s", why)));
        });
    }
    if (relation_exists(entry.relation))
        spi.execute("DROP FOREIGN TABLE " + foreign_table(entry));
}

void show_part_column(pg::Spi& spi, const Entry& entry, bool show) {
    spi.execute("ALTER FOREIGN TABLE " + foreign_table(entry) +
                (show ? std::string(" ADD COLUMN ") + part_column + " bigint"
                      : std::string(" DROP COLUMN IF EXISTS ") + part_column));
}

} // namespace citadel::lifecycle::archive::server
