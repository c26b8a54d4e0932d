#include "lifecycle/archive_adopt_pg.hpp"

#include "lifecycle/archive_file_pg.hpp"
#include "lifecycle/archive_view_pg.hpp"
#include "pg/boundary.hpp"
#include "pg/compat.hpp"
#include "pg/role.hpp"
#include "pg/subtransaction.hpp"
#include "pg/tuplestore.hpp"

extern "C" {
#include "catalog/pg_class.h"
#include "utils/lsyscache.h"
}

namespace citadel::lifecycle::archive {

namespace {

// A comment's last line; what stands before it is the owner's.
constexpr const char* mark_pattern = "\n?citadel_opt archive (\\{.*\\})$";

void set_comment(pg::Spi& spi, Oid relation, const std::string& comment) {
    const bool foreign = pg::guard([relation] { return get_rel_relkind(relation); }) == RELKIND_FOREIGN_TABLE;
    spi.execute(std::string("COMMENT ON ") + (foreign ? "FOREIGN TABLE " : "TABLE ") + pg::qualified_name(relation) +
                " IS " + (comment.empty() ? "NULL" : pg::quote_literal(comment)));
}

std::string comment_without_mark(pg::Spi& spi, Oid relation) {
    return spi
        .query("SELECT pg_catalog.regexp_replace(coalesce(pg_catalog.obj_description($1, 'pg_class'), ''), $2, '')",
               {pg::arg_oid(relation), pg::arg(mark_pattern)})
        .text(0, 0);
}

} // namespace

void mark(pg::Spi& spi, const Entry& entry) {
    const std::string facts =
        spi.query("SELECT (pg_catalog.to_jsonb(e) - ARRAY['archive_id', 'policy_id', 'source_oid', 'relation_oid', "
                  "'relation_schema', 'relation_name', 'oids_since', "
                  "'owner_name', 'columns', 'state', 'verification', 'progress', 'restore_as', 'target_oid', "
                  "'restored_oid', 'restored_at']) || pg_catalog.jsonb_build_object('parts', "
                  "(SELECT coalesce(pg_catalog.jsonb_agg(pg_catalog.jsonb_build_array(p.rows, p.hash) "
                  "ORDER BY p.part_no), '[]') FROM citadel.archive_part AS p WHERE p.archive_id = e.archive_id)) "
                  "FROM citadel.archive_entry AS e WHERE e.archive_id = $1",
                  {pg::arg(entry.id)})
            .text(0, 0);
    const std::string comment = comment_without_mark(spi, entry.relation);
    set_comment(spi, entry.relation, comment + (comment.empty() ? "" : "\n") + "citadel_opt archive " + facts);
}

void unmark(pg::Spi& spi, Oid relation) {
    set_comment(spi, relation, comment_without_mark(spi, relation));
}

namespace {

// What the mark says of a local table must be what is in it: the owner can write marks too.
void check_content(const Entry& entry) {
    if (entry.destination.kind != Kind::schema)
        return;
    pg::RoleScope owner(entry.owner);
    const ContentHash hash = hash_content(entry.relation, entry.column_names(), {}, true);
    owner.leave();
    if (hash != entry.content)
        pg::raise(ERRCODE_DATA_CORRUPTED, "its content is not what its mark says");
}

std::int64_t adopt_relation(pg::Spi& spi, Oid relation) {
    const pg::Rows added = spi.query(
        "INSERT INTO citadel.archive_entry (origin_schema, origin_name, source_schema, source_name, owner_name, "
        "destination, tablespace, location, relation_oid, relation_schema, relation_name, lower_bound, upper_bound, "
        "origin_bound, privileges, columns, "
        "rows, hash, state, verification, created_at, verified_at) "
        "SELECT m.origin_schema, m.origin_name, m.source_schema, m.source_name, "
        "pg_catalog.pg_get_userbyid(c.relowner), "
        "m.destination, m.tablespace, m.location, c.oid, n.nspname, c.relname, m.lower_bound, m.upper_bound, "
        "m.origin_bound, m.privileges, "
        "$2, "
        "m.rows, m.hash, 'complete', 'adopted', m.created_at, m.verified_at "
        "FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace, "
        "pg_catalog.jsonb_to_record(pg_catalog.substring("
        "pg_catalog.obj_description(c.oid, 'pg_class'), $3)::pg_catalog.jsonb) AS m (origin_schema name, origin_name "
        "name, source_schema name, source_name name, destination text, tablespace name, location text, lower_bound "
        "text, upper_bound text, origin_bound text, privileges text, rows bigint, hash bytea, created_at timestamptz, "
        "verified_at timestamptz) WHERE c.oid = $1 "
        "AND m.destination LIKE CASE c.relkind WHEN 'f' THEN 'server:%' ELSE 'schema%' END RETURNING archive_id",
        {pg::arg_oid(relation), pg::arg_as(JSONBOID, describe_columns(spi, relation)), pg::arg(mark_pattern)});
    if (added.empty())
        pg::raise(ERRCODE_DATA_CORRUPTED, "its mark does not fit what it is");
    const std::int64_t id = added.int64(0, 0);
    spi.execute("INSERT INTO citadel.archive_part (archive_id, part_no, first_block, end_block, rows, hash, verified) "
                "SELECT $1, p.n, 0, 0, (p.part->>0)::bigint, (p.part->>1)::bytea, true FROM "
                "pg_catalog.jsonb_array_elements((pg_catalog.substring(pg_catalog.obj_description($2, 'pg_class'), "
                "$3)::pg_catalog.jsonb)->'parts') WITH ORDINALITY AS p (part, n)",
                {pg::arg(id), pg::arg_oid(relation), pg::arg(mark_pattern)});
    check_content(load(spi, id));
    return id;
}

// The columns of a manifest as SQL that can be nothing but types and collations, whatever the file says.
std::string checked_columns(pg::Spi& spi, const format::Manifest& manifest) {
    pg::Rows columns;
    std::string list = "[]";
    for (const format::Column& column : manifest.columns) {
        const char* text = column.type.c_str();
        const std::string type = pg::guard([text] {
            Oid oid = InvalidOid;
            std::int32_t modifier = -1;
            pg::parse_type(text, &oid, &modifier);
            return static_cast<const char*>(format_type_extended(oid, modifier, FORMAT_TYPE_TYPEMOD_GIVEN));
        });
        std::string collation;
        if (!column.collation.empty())
            collation =
                spi.query("SELECT pg_catalog.format('%I.%I', n.nspname, c.collname) FROM pg_catalog.pg_collation "
                          "AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.collnamespace WHERE c.oid = "
                          "$1::pg_catalog.regcollation",
                          {pg::arg(column.collation)})
                    .text(0, 0);
        list = spi.query("SELECT $1 || pg_catalog.jsonb_build_array(pg_catalog.jsonb_build_object('name', $2::text, "
                         "'type', $3::text, 'collation', $4::text, 'not_null', $5::boolean, 'generation', $6::text))",
                         {pg::arg_as(JSONBOID, list), pg::arg(column.name), pg::arg(type), pg::arg(collation),
                          pg::arg(column.not_null), pg::arg(column.generation)})
                   .text(0, 0);
    }
    return list;
}

std::int64_t adopt_folder(pg::Spi& spi, const std::string& location) {
    std::string sha256;
    const format::Manifest manifest = file::read_manifest(location, "", &sha256);
    const std::string folder = location.substr(0, location.rfind('/') == std::string::npos ? 0 : location.rfind('/'));
    const auto optional = [](const std::string& text) { return text.empty() ? pg::null() : pg::arg(text); };
    const std::int64_t id =
        spi.query("INSERT INTO citadel.archive_entry (origin_schema, origin_name, source_schema, source_name, "
                  "owner_name, destination, location, lower_bound, upper_bound, origin_bound, columns, rows, hash, "
                  "checksum, state, verification, created_at, verified_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, "
                  "$10, $11, $12, $13, $14, 'complete', 'adopted', $15::timestamptz, pg_catalog.now()) "
                  "RETURNING archive_id",
                  {pg::arg(manifest.origin_schema), pg::arg(manifest.origin_name), pg::arg(manifest.schema),
                   pg::arg(manifest.name), pg::arg(manifest.owner), pg::arg("file:" + (folder.empty() ? "/" : folder)),
                   pg::arg(location), optional(manifest.lower_bound), optional(manifest.upper_bound),
                   optional(manifest.partition_bound), pg::arg_as(JSONBOID, checked_columns(spi, manifest)),
                   pg::arg(manifest.rows), pg::arg_as(BYTEAOID, "\\x" + manifest.hash), pg::arg(sha256),
                   pg::arg(manifest.created_at)})
            .int64(0, 0);
    std::int64_t number = 0;
    std::int64_t bytes = 0;
    for (const format::Segment& segment : manifest.segments) {
        Part part;
        part.number = ++number;
        if (segment.file != format::segment_name(number))
            pg::raise(ERRCODE_DATA_CORRUPTED, "its files are not numbered from 1");
        part.hash = ContentHash::from_hex(segment.rows, segment.hash).value();
        part.bytes = segment.bytes;
        part.sha256 = segment.sha256;
        bytes += segment.bytes;
        add_part(spi, id, part);
    }
    spi.execute("UPDATE citadel.archive_entry SET bytes = $2 WHERE archive_id = $1", {pg::arg(id), pg::arg(bytes)});
    const Entry entry = load(spi, id);
    if (!OidIsValid(entry.owner))
        pg::raise(ERRCODE_UNDEFINED_OBJECT, "role \"" + entry.owner_name + "\" does not exist");
    create_view(spi, entry);
    return id;
}

void note_left_alone(const std::string& what, const pg::Error& error) {
    const char* name = what.c_str();
    const char* reason = error.what();
    pg::guard([=] { ereport(NOTICE, (errmsg("%s is left alone: %s", name, reason))); });
}

} // namespace

} // namespace citadel::lifecycle::archive

using namespace citadel;
using namespace citadel::lifecycle;

CITADEL_FUNCTION(citadel_adopt_archives) {
    if (!pg::guard([] { return superuser(); }))
        pg::raise(ERRCODE_INSUFFICIENT_PRIVILEGE, "must be superuser to adopt archives");
    pg::ResultSet result(fcinfo);
    pg::Spi spi;
    const pg::Rows relations =
        spi.query("SELECT c.oid FROM pg_catalog.pg_class AS c WHERE c.relkind IN ('r', 'f') AND "
                  "pg_catalog.obj_description(c.oid, 'pg_class') ~ $1 AND c.oid NOT IN (SELECT h.relation_oid FROM "
                  "citadel.archive_relation AS h WHERE h.relation_oid IS NOT NULL) ORDER BY c.oid",
                  {pg::arg(archive::mark_pattern)});
    for (std::size_t i = 0; i < relations.size(); ++i) {
        const Oid relation = relations.oid(i, 0);
        std::int64_t id = 0;
        const auto error = pg::try_subtransaction([&] { id = archive::adopt_relation(spi, relation); });
        if (error)
            archive::note_left_alone(pg::qualified_name(relation), *error);
        else
            result.row({pg::arg(id), pg::arg(pg::qualified_name(relation))});
    }
    for (const std::string& location : archive::file::all_locations()) {
        if (spi.query("SELECT 1 FROM citadel.archive_entry WHERE location = $1 AND destination LIKE 'file:%'",
                      {pg::arg(location)})
                .size() != 0)
            continue;
        std::int64_t id = 0;
        const auto error = pg::try_subtransaction([&] { id = archive::adopt_folder(spi, location); });
        if (error)
            archive::note_left_alone("folder \"" + location + "\"", *error);
        else
            result.row({pg::arg(id), pg::arg(location)});
    }
    return static_cast<Datum>(0);
}
