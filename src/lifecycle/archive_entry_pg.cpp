#include "lifecycle/archive_entry_pg.hpp"

#include "pg/guard.hpp"
#include "pg/name.hpp"
#include "text/hex.hpp"

extern "C" {
#include "access/table.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"
}

namespace citadel::lifecycle::archive {

Destination parse_destination(const std::string& text) {
    if (text == "schema")
        return {Kind::schema, default_schema};
    const std::size_t colon = text.find(':');
    const std::string kind = text.substr(0, colon);
    const std::string place = colon == std::string::npos ? "" : text.substr(colon + 1);
    if (kind == "schema" && !place.empty())
        return {Kind::schema, place};
    if (kind == "server" && !place.empty())
        return {Kind::server, place};
    if (kind == "file" && !place.empty())
        return {Kind::file, place};
    pg::raise(ERRCODE_INVALID_PARAMETER_VALUE, "\"" + text + "\" is no destination of archives", {},
              "It is schema, schema:NAME, server:NAME or file:DIR.");
}

std::vector<std::string> Entry::column_names() const {
    std::vector<std::string> names;
    names.reserve(columns.size());
    for (const format::Column& column : columns)
        names.push_back(column.name);
    return names;
}

std::string Entry::column_list() const {
    std::string list;
    for (const format::Column& column : columns)
        list += (list.empty() ? "" : ", ") + pg::quote_identifier(column.name);
    return list;
}

namespace {

// Of an archive that came with a dump: its OIDs become those of this database.
void settle(pg::Spi& spi, std::int64_t archive_id) {
    spi.execute(
        "UPDATE citadel.archive_entry AS e SET relation_oid = h.relation_oid, source_oid = h.source_oid, "
        "target_oid = h.target_oid, restored_oid = h.restored_oid, oids_since = pg_catalog.now() "
        "FROM citadel.archive_relation AS h WHERE h.archive_id = e.archive_id AND e.archive_id = $1 AND NOT h.here",
        {pg::arg(archive_id)});
}

} // namespace

Entry load(pg::Spi& spi, std::int64_t archive_id, bool lock) {
    if (lock)
        settle(spi, archive_id);
    const pg::Rows rows = spi.query(
        "SELECT e.state, e.verification, e.destination, e.tablespace, e.location, h.source_oid, e.source_schema, "
        "e.source_name, e.origin_schema, e.origin_name, e.owner_name, r.oid, h.relation_oid, e.lower_bound, "
        "e.upper_bound, e.origin_bound, e.privileges, e.created_at, e.rows, pg_catalog.encode(e.hash, 'hex'), "
        "e.restore_as, h.target_oid, h.restored_oid, e.progress->>'step', e.progress->>'block', e.progress->>'rows', "
        "e.progress->>'hash', e.checksum "
        "FROM citadel.archive_entry AS e JOIN citadel.archive_relation AS h USING (archive_id) LEFT JOIN "
        "pg_catalog.pg_roles AS r ON r.rolname = e.owner_name "
        "WHERE e.archive_id = $1" +
            std::string(lock ? " FOR UPDATE OF e" : ""),
        {pg::arg(archive_id)});
    if (rows.empty())
        pg::raise(ERRCODE_UNDEFINED_OBJECT, "archive " + std::to_string(archive_id) + " does not exist", {},
                  "Look at citadel.archive.");
    Entry entry;
    entry.id = archive_id;
    std::size_t next = 0;
    const auto text = [&rows, &next] { return rows.text(0, next++); };
    const auto oid = [&rows, &next] { return rows.oid(0, next++); };
    entry.state = text();
    entry.verification = text();
    entry.destination_text = text();
    entry.destination = parse_destination(entry.destination_text);
    entry.tablespace = text();
    entry.location = text();
    entry.source = oid();
    entry.source_schema = text();
    entry.source_name = text();
    entry.origin_schema = text();
    entry.origin_name = text();
    entry.owner_name = text();
    entry.owner = oid();
    entry.relation = oid();
    entry.lower_bound = text();
    entry.upper_bound = text();
    entry.bound = text();
    entry.privileges = text();
    entry.created_at = text();
    const std::int64_t count = rows.int64(0, next++);
    entry.content = ContentHash::from_hex(count, text());
    entry.restore_as = text();
    entry.target = oid();
    entry.restored = oid();
    entry.step = text();
    entry.step_block = rows.int64(0, next++);
    const std::int64_t step_rows = rows.int64(0, next++);
    entry.step_hash = ContentHash::from_hex(step_rows, text()).value_or(ContentHash{step_rows, 0, 0});
    entry.checksum = text();
    const pg::Rows columns = spi.query(
        "SELECT c->>'name', c->>'type', c->>'collation', c->'not_null', c->>'generation' "
        "FROM citadel.archive_entry AS e, pg_catalog.jsonb_array_elements(e.columns) WITH ORDINALITY AS l (c, n) "
        "WHERE e.archive_id = $1 ORDER BY n",
        {pg::arg(archive_id)});
    for (std::size_t i = 0; i < columns.size(); ++i)
        entry.columns.push_back({columns.text(i, 0), columns.text(i, 1), columns.text(i, 2),
                                 columns.text(i, 3) == "true", columns.text(i, 4)});
    return entry;
}

void set_relation(pg::Spi& spi, std::int64_t archive_id, Oid relation) {
    spi.execute("UPDATE citadel.archive_entry SET relation_oid = c.oid, relation_schema = n.nspname, "
                "relation_name = c.relname FROM pg_catalog.pg_class AS c "
                "JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace WHERE archive_id = $1 AND c.oid = $2",
                {pg::arg(archive_id), pg::arg_oid(relation)});
}

void require_state(const Entry& entry, const std::string& states) {
    if ((", " + states + ",").find(" " + entry.state + ",") == std::string::npos)
        pg::raise(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
                  "archive " + std::to_string(entry.id) + " is " + entry.state, "It would have to be " + states + ".");
}

namespace {

// Rows of ours that somebody changed by hand: nothing is guessed from them.
[[noreturn]] void raise_damaged(std::int64_t archive_id, const std::string& what) {
    pg::raise(ERRCODE_DATA_CORRUPTED, "the catalogue of archive " + std::to_string(archive_id) + " is damaged", what,
              "citadel.archive_entry and citadel.archive_part are written by citadel_opt alone; put their rows back "
              "from a dump. An archive in files can be forgotten and found again by citadel.adopt_archives().");
}

} // namespace

const ContentHash& known_content(const Entry& entry) {
    if (!entry.content)
        raise_damaged(entry.id, "It does not say what the archive contains.");
    return *entry.content;
}

std::vector<Part> parts_of(pg::Spi& spi, std::int64_t archive_id) {
    const pg::Rows rows = spi.query("SELECT part_no, first_block, end_block, rows, pg_catalog.encode(hash, 'hex'), "
                                    "bytes, sha256 FROM citadel.archive_part WHERE archive_id = $1 ORDER BY part_no",
                                    {pg::arg(archive_id)});
    std::vector<Part> parts;
    for (std::size_t i = 0; i < rows.size(); ++i) {
        Part part;
        part.number = rows.int64(i, 0);
        part.first = static_cast<BlockNumber>(rows.int64(i, 1));
        part.end = static_cast<BlockNumber>(rows.int64(i, 2));
        const auto hash = ContentHash::from_hex(rows.int64(i, 3), rows.text(i, 4));
        // Parts are found by their number, and a lost one must not let another stand in for it.
        if (part.number != static_cast<std::int64_t>(i) + 1 || !hash || hash->rows < 0)
            raise_damaged(archive_id, "Part " + std::to_string(i + 1) + " is missing, or has no rows or no hash.");
        part.hash = *hash;
        part.bytes = rows.int64(i, 5);
        part.sha256 = rows.text(i, 6);
        parts.push_back(part);
    }
    return parts;
}

pg::Arg hash_arg(const ContentHash& hash) {
    return pg::arg_as(BYTEAOID, "\\x" + hash.hex());
}

void add_part(pg::Spi& spi, std::int64_t archive_id, const Part& part) {
    const bool file = !part.sha256.empty();
    spi.execute("INSERT INTO citadel.archive_part (archive_id, part_no, first_block, end_block, rows, hash, bytes, "
                "sha256) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
                {pg::arg(archive_id), pg::arg(part.number), pg::arg(static_cast<std::int64_t>(part.first)),
                 pg::arg(static_cast<std::int64_t>(part.end)), pg::arg(part.hash.rows), hash_arg(part.hash),
                 file ? pg::arg(part.bytes) : pg::null(INT8OID), file ? pg::arg(part.sha256) : pg::null()});
}

ContentHash sum_of(const std::vector<Part>& parts) {
    ContentHash sum;
    for (const Part& part : parts)
        sum += part.hash;
    return sum;
}

void save_step(pg::Spi& spi, const Entry& entry) {
    spi.execute(
        "UPDATE citadel.archive_entry SET progress = pg_catalog.jsonb_build_object('step', $2::text, 'block', "
        "$3::bigint, 'rows', $4::bigint, 'hash', $5::text), restored_oid = nullif($6, 0::oid) WHERE archive_id = $1",
        {pg::arg(entry.id), pg::arg(entry.step), pg::arg(entry.step_block), pg::arg(entry.step_hash.rows),
         pg::arg(entry.step_hash.hex()), pg::arg_oid(entry.restored)});
}

namespace {

// One column as JSON: what is compared is what is stored.
constexpr const char* columns_sql =
    "SELECT coalesce(pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object('name', a.attname, "
    "'type', pg_catalog.format_type(a.atttypid, a.atttypmod), "
    "'collation', CASE WHEN a.attcollation <> t.typcollation THEN "
    "  (SELECT pg_catalog.format('%I.%I', n.nspname, c.collname) FROM pg_catalog.pg_collation AS c "
    "   JOIN pg_catalog.pg_namespace AS n ON n.oid = c.collnamespace WHERE c.oid = a.attcollation) ELSE '' END, "
    "'not_null', a.attnotnull, "
    "'generation', CASE WHEN a.attgenerated <> '' THEN pg_catalog.pg_get_expr(d.adbin, d.adrelid) ELSE '' END) "
    "ORDER BY a.attnum), '[]') "
    "FROM pg_catalog.pg_attribute AS a JOIN pg_catalog.pg_type AS t ON t.oid = a.atttypid "
    "LEFT JOIN pg_catalog.pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum "
    "WHERE a.attrelid = $1 AND a.attnum > 0 AND NOT a.attisdropped";

} // namespace

std::string describe_columns(pg::Spi& spi, Oid relation) {
    return spi.query(columns_sql, {pg::arg_oid(relation)}).text(0, 0);
}

bool has_columns(pg::Spi& spi, Oid relation, const Entry& entry) {
    // Nullability and generation do not change what rows look like.
    return spi
        .query("SELECT ARRAY(SELECT ARRAY[c->>'name', c->>'type'] FROM pg_catalog.jsonb_array_elements($1) "
               "WITH ORDINALITY AS e (c, n) ORDER BY n) = "
               "ARRAY(SELECT ARRAY[c->>'name', c->>'type'] FROM citadel.archive_entry AS a, "
               "pg_catalog.jsonb_array_elements(a.columns) WITH ORDINALITY AS e (c, n) WHERE a.archive_id = $2 "
               "ORDER BY n)",
               {pg::arg_as(JSONBOID, describe_columns(spi, relation)), pg::arg(entry.id)})
        .boolean(0, 0);
}

bool relation_exists(Oid relation) {
    return OidIsValid(relation) &&
           pg::guard([relation] { return SearchSysCacheExists1(RELOID, ObjectIdGetDatum(relation)); });
}

Oid find_relation(const std::string& schema, const std::string& name) {
    const char* schema_text = schema.c_str();
    const char* name_text = name.c_str();
    return pg::guard([=] {
        const Oid place = get_namespace_oid(schema_text, true);
        return OidIsValid(place) ? get_relname_relid(name_text, place) : InvalidOid;
    });
}

std::string quoted(const std::string& schema, const std::string& name) {
    return pg::quote_identifier(schema) + "." + pg::quote_identifier(name);
}

std::string unique_digits() {
    unsigned char random[8];
    if (!pg_strong_random(random, sizeof random))
        pg::raise(ERRCODE_INTERNAL_ERROR, "could not obtain random bytes");
    return hexadecimal(random, sizeof random);
}

std::string free_name(const std::string& schema, const std::string& wanted, std::int64_t archive_id) {
    std::string name = pg::fitting_name(wanted, "");
    for (int attempt = 0; pg::name_is_taken(schema, name); ++attempt)
        name = pg::fitting_name(wanted,
                                "_" + std::to_string(archive_id) + (attempt == 0 ? "" : "_" + std::to_string(attempt)));
    return name;
}

void see_all_rows() {
    pg::guard([] {
        (void)set_config_option("row_security", "off", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
    });
}

OpenRelation open_source(pg::Spi& spi, const Entry& entry) {
    if (!relation_exists(entry.source))
        pg::raise(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, quoted(entry.source_schema, entry.source_name) +
                                                                " is gone; its archive " + std::to_string(entry.id) +
                                                                " is not complete");
    OpenRelation source(entry.source, ShareLock);
    if (!has_columns(spi, entry.source, entry))
        pg::raise(ERRCODE_DATATYPE_MISMATCH,
                  "the columns of " + pg::qualified_name(entry.source) + " have changed since its archiving began", {},
                  "The unfinished copy is given up and begun anew.");
    return source;
}

} // namespace citadel::lifecycle::archive
