// Making and verifying archives, whatever their destination.
#include "lifecycle/archive_pg.hpp"

#include "lifecycle/archive_adopt_pg.hpp"
#include "lifecycle/archive_entry_pg.hpp"
#include "lifecycle/archive_file_pg.hpp"
#include "lifecycle/archive_schema_pg.hpp"
#include "lifecycle/archive_server_pg.hpp"
#include "lifecycle/archive_view_pg.hpp"
#include "pg/fault.hpp"
#include "pg/role.hpp"

#include <algorithm>
#include <functional>

extern "C" {
#include "access/xact.h"
#include "catalog/pg_class.h"
#include "mb/pg_wchar.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
}

namespace citadel::lifecycle::archive {

namespace {

// Hashing alone is fast: a longer stretch at a time.
constexpr BlockNumber hash_blocks = 16 * part_blocks;

BlockNumber next_block(const std::vector<Part>& parts) {
    return parts.empty() ? 0 : parts.back().end;
}

ContentHash hash_blocks_of(const Entry& entry, const OpenRelation& relation, BlockNumber first, BlockNumber end) {
    pg::RoleScope owner(entry.owner);
    const RowEncoder encoder(relation.shape(), entry.column_names(), GetDatabaseEncoding());
    const ContentHash hash = scan_blocks(relation, encoder, first, end, {});
    owner.leave();
    return hash;
}

void require_owner(const Entry& entry) {
    if (!OidIsValid(entry.owner))
        pg::raise(ERRCODE_UNDEFINED_OBJECT, "role \"" + entry.owner_name + "\", the owner of archive " +
                                                std::to_string(entry.id) + ", does not exist");
}

// Does the next stretch of the source, of `most` blocks at most, and notes it as a part; `work` says what is done with
// it and sets the part's hash. False when there is none left.
bool next_part(pg::Spi& spi, const Entry& entry, BlockNumber most,
               const std::function<void(const OpenRelation&, Part&)>& work) {
    OpenRelation source = open_source(spi, entry);
    const std::vector<Part> parts = parts_of(spi, entry.id);
    Part part;
    part.number = static_cast<std::int64_t>(parts.size()) + 1;
    part.first = next_block(parts);
    const BlockNumber blocks = source.blocks();
    const bool any = part.first < blocks;
    if (any) {
        part.end = std::min(blocks, part.first + most);
        work(source, part);
    }
    source.close();
    if (any)
        add_part(spi, entry.id, part);
    return any;
}

Progress move_some(pg::Spi& spi, Entry& entry) {
    if (next_part(spi, entry, hash_blocks, [&entry](const OpenRelation& source, Part& part) {
            part.hash = hash_blocks_of(entry, source, part.first, part.end);
        }))
        return Progress::more;
    pg::fault_point("archive_schema_hashed");
    schema::prepare(spi, entry.destination.place);
    const std::string name = free_name(entry.destination.place, entry.source_name, entry.id);
    schema::move(spi, entry.source, entry.destination.place, name, entry.tablespace);
    const ContentHash sum = sum_of(parts_of(spi, entry.id));
    spi.execute(
        "UPDATE citadel.archive_entry SET state = 'copied', rows = $2, hash = $3, location = $4 WHERE archive_id = $1",
        {pg::arg(entry.id), pg::arg(sum.rows), hash_arg(sum), pg::arg(quoted(entry.destination.place, name))});
    set_relation(spi, entry.id, entry.source);
    return Progress::done;
}

Progress copy_part(pg::Spi& spi, Entry& entry) {
    const bool to_file = entry.destination.kind == Kind::file;
    if (next_part(spi, entry, part_blocks, [&](const OpenRelation& source, Part& part) {
            if (to_file)
                file::write_part(entry, source, part);
            else
                server::write_part(spi, entry, source, part);
        })) {
        pg::fault_point("archive_part_copied");
        return Progress::more;
    }
    const std::vector<Part> parts = parts_of(spi, entry.id);
    const ContentHash sum = sum_of(parts);
    std::string checksum;
    if (to_file)
        checksum = file::finish(entry, parts);
    spi.execute("UPDATE citadel.archive_entry SET state = 'copied', rows = $2, hash = $3, checksum = nullif($4, ''), "
                "bytes = (SELECT pg_catalog.sum(bytes) FROM citadel.archive_part WHERE archive_id = $1) "
                "WHERE archive_id = $1",
                {pg::arg(entry.id), pg::arg(sum.rows), hash_arg(sum), pg::arg(checksum)});
    return Progress::done;
}

[[noreturn]] void raise_changed(const Entry& entry) {
    pg::raise(ERRCODE_DATA_CORRUPTED,
              "rows of " + quoted(entry.source_schema, entry.source_name) +
                  " have changed since they were copied to archive " + std::to_string(entry.id),
              "Nothing is dropped.", "Shut out writers; the unfinished copy has to be discarded and begun anew.");
}

void complete(pg::Spi& spi, const Entry& entry, const char* verification) {
    spi.execute("UPDATE citadel.archive_entry SET state = 'complete', verification = $2, verified_at = "
                "pg_catalog.clock_timestamp() WHERE archive_id = $1",
                {pg::arg(entry.id), pg::arg(verification)});
    if (entry.destination.kind != Kind::file)
        mark(spi, load(spi, entry.id));
}

// Everything is verified: what is left is to see that nothing was added, and to make it readable.
void finish_verification(pg::Spi& spi, const Entry& entry) {
    const std::vector<Part> parts = parts_of(spi, entry.id);
    OpenRelation source = open_source(spi, entry);
    const BlockNumber blocks = source.blocks();
    source.close();
    if (blocks > next_block(parts) || !entry.content || sum_of(parts) != *entry.content)
        raise_changed(entry);
    if (entry.destination.kind == Kind::file) {
        const format::Manifest manifest = file::read_manifest(entry.location, entry.checksum);
        if (manifest.rows != entry.content->rows || manifest.hash != entry.content->hex() ||
            manifest.columns != entry.columns)
            pg::raise(ERRCODE_DATA_CORRUPTED,
                      "the manifest of archive " + std::to_string(entry.id) + " does not say what the catalogue says");
        create_view(spi, entry);
    } else {
        server::finish(spi, entry);
    }
    pg::fault_point("archive_verified");
    complete(spi, entry, "verified");
}

std::string new_entry_location(const Destination& destination, const std::string& name) {
    if (destination.kind == Kind::file)
        return file::new_location(destination.place, name);
    if (destination.kind == Kind::server)
        return server::new_location(name);
    return quoted(destination.place, name);
}

} // namespace

std::string destination_problem(const std::string& destination, const std::string& tablespace, Oid owner) {
    Destination parsed;
    try {
        parsed = parse_destination(destination);
    } catch (const pg::Error& error) {
        return error.what();
    }
    if (!tablespace.empty() && parsed.kind != Kind::schema)
        return "only archives in a schema can be given a tablespace";
    switch (parsed.kind) {
    case Kind::schema:
        return schema::problem(parsed.place, tablespace, owner);
    case Kind::server:
        return server::problem(parsed.place, owner);
    case Kind::file:
        return file::problem(parsed.place, owner);
    }
    return {};
}

std::int64_t begin(const Source& source) {
    const Oid owner = owner_of(source.relation);
    const std::string problem = destination_problem(source.destination, source.tablespace, owner);
    if (!problem.empty())
        pg::raise(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
                  "cannot archive " + pg::qualified_name(source.relation) + " to " + source.destination, problem);
    OpenRelation relation(source.relation, AccessShareLock);
    const bool plain = relation.get()->rd_rel->relkind == RELKIND_RELATION && relation.has_blocks();
    const bool permanent = relation.get()->rd_rel->relpersistence != RELPERSISTENCE_TEMP;
    const bool part_of_another = relation.get()->rd_rel->relispartition;
    relation.close();
    if (!plain || !permanent || part_of_another)
        pg::raise(ERRCODE_WRONG_OBJECT_TYPE,
                  "only a table whose rows can be read block by block can be archived, not " +
                      pg::qualified_name(source.relation),
                  part_of_another ? "It is still attached as a partition." : "");
    const Destination destination = parse_destination(source.destination);
    pg::Spi spi;
    const pg::Rows names = spi.query("SELECT n.nspname, c.relname, pg_catalog.pg_get_userbyid(c.relowner) "
                                     "FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n "
                                     "ON n.oid = c.relnamespace WHERE c.oid = $1",
                                     {pg::arg_oid(source.relation)});
    const std::string& name = names.text(0, 1);
    const auto optional = [](const std::string& text) { return text.empty() ? pg::null() : pg::arg(text); };
    const pg::Rows created = spi.query(
        "INSERT INTO citadel.archive_entry (policy_id, origin_schema, origin_name, source_schema, source_name, "
        "source_oid, owner_name, destination, tablespace, location, lower_bound, upper_bound, origin_bound, "
        "privileges, columns) VALUES (nullif($1, 0), $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15) "
        "RETURNING archive_id",
        {pg::arg(source.policy_id), pg::arg(source.origin_schema.empty() ? names.text(0, 0) : source.origin_schema),
         pg::arg(source.origin_name.empty() ? name : source.origin_name), pg::arg(names.text(0, 0)), pg::arg(name),
         pg::arg_oid(source.relation), pg::arg(names.text(0, 2)), pg::arg(source.destination),
         optional(source.tablespace), pg::arg(new_entry_location(destination, name)), optional(source.lower_bound),
         optional(source.upper_bound), optional(source.partition_bound), optional(source.privileges),
         pg::arg_as(JSONBOID, describe_columns(spi, source.relation))});
    pg::fault_point("archive_begun");
    return created.int64(0, 0);
}

Progress copy_some(std::int64_t archive_id) {
    pg::Spi spi;
    Entry entry = load(spi, archive_id);
    if (entry.state == "copied" || entry.state == "complete")
        return Progress::done;
    require_state(entry, "copying");
    require_owner(entry);
    return entry.destination.kind == Kind::schema ? move_some(spi, entry) : copy_part(spi, entry);
}

Progress verify_some(std::int64_t archive_id) {
    pg::Spi spi;
    const Entry entry = load(spi, archive_id);
    if (entry.state == "complete")
        return Progress::done;
    require_state(entry, "copied");
    require_owner(entry);
    if (entry.destination.kind == Kind::schema) {
        complete(spi, entry, "moved");
        return Progress::done;
    }
    const std::vector<Part> parts = parts_of(spi, archive_id);
    const pg::Rows next = spi.query("SELECT pg_catalog.min(part_no) FROM citadel.archive_part "
                                    "WHERE archive_id = $1 AND NOT verified",
                                    {pg::arg(archive_id)});
    if (next.is_null(0, 0)) {
        finish_verification(spi, entry);
        return Progress::done;
    }
    const Part& part = parts.at(static_cast<std::size_t>(next.int64(0, 0) - 1));
    OpenRelation source = open_source(spi, entry);
    const ContentHash now = hash_blocks_of(entry, source, part.first, part.end);
    source.close();
    if (now != part.hash)
        raise_changed(entry);
    if (entry.destination.kind == Kind::file)
        file::read_part(entry, part, {});
    else
        server::verify_part(entry, part);
    spi.execute("UPDATE citadel.archive_part SET verified = true WHERE archive_id = $1 AND part_no = $2",
                {pg::arg(archive_id), pg::arg(part.number)});
    pg::fault_point("archive_part_verified");
    return Progress::more;
}

bool source_matches(std::int64_t archive_id) {
    pg::Spi spi;
    const Entry entry = load(spi, archive_id);
    require_state(entry, "complete");
    if (entry.destination.kind == Kind::schema)
        return true;
    require_owner(entry);
    OpenRelation source = open_source(spi, entry);
    const ContentHash hash = hash_blocks_of(entry, source, 0, source.blocks());
    source.close();
    return hash == entry.content;
}

void discard_partial(std::int64_t archive_id) {
    pg::Spi spi;
    const Entry entry = load(spi, archive_id);
    if (entry.state == "restoring") {
        abandon_restore(archive_id);
        return;
    }
    require_state(entry, "copying, copied, discarded");
    // A table that was moved is no copy.
    if (entry.destination.kind == Kind::schema)
        require_state(entry, "copying, discarded");
    if (entry.destination.kind == Kind::file)
        file::discard(entry);
    else if (entry.destination.kind == Kind::server)
        server::discard(spi, entry);
    spi.execute("DELETE FROM citadel.archive_part WHERE archive_id = $1", {pg::arg(archive_id)});
    spi.execute("UPDATE citadel.archive_entry SET state = 'discarded' WHERE archive_id = $1", {pg::arg(archive_id)});
}

void give_up(std::int64_t archive_id) {
    pg::Spi spi;
    const Entry entry = load(spi, archive_id);
    if (entry.state == "copying" || (entry.state == "copied" && entry.destination.kind != Kind::schema))
        discard_partial(archive_id);
}

void require_copy(std::int64_t archive_id) {
    pg::Spi spi;
    const Entry entry = load(spi, archive_id);
    require_state(entry, "complete");
    require_owner(entry);
    const auto lost = [&](const std::string& why) {
        pg::raise(ERRCODE_DATA_CORRUPTED,
                  "the copy in archive " + std::to_string(archive_id) + " cannot be read as it was verified: " + why,
                  "Nothing is dropped.", "Bring the copy back, or undo the expiry: the next one makes a new copy.");
    };
    try {
        if (entry.destination.kind == Kind::file) {
            (void)file::read_manifest(entry.location, entry.checksum);
            for (const Part& part : parts_of(spi, archive_id))
                file::check_part(entry, part);
        } else if (entry.destination.kind == Kind::server) {
            if (server::hash_copy(entry) != entry.content)
                lost("its rows are others");
        }
    } catch (const pg::Error& error) {
        const int code = error.sqlerrcode();
        if (code != ERRCODE_UNDEFINED_FILE && code != ERRCODE_UNDEFINED_TABLE && code != ERRCODE_DATA_CORRUPTED)
            throw;
        if (code == ERRCODE_DATA_CORRUPTED && !error.hint().empty())
            throw;
        lost(error.what());
    }
}

void discard_copy(std::int64_t archive_id) {
    std::string state;
    {
        pg::Spi spi;
        const Entry entry = load(spi, archive_id);
        state = entry.state;
        if (state == "complete" && entry.destination.kind == Kind::schema)
            pg::raise(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
                      "archive " + std::to_string(archive_id) + " is no copy: the table itself was moved", {},
                      "citadel.restore_archive() brings it back.");
        // What differs from the source may be all that is left of some rows.
        if (state == "complete" && !source_matches(archive_id))
            return;
        if (state == "complete") {
            if (entry.destination.kind == Kind::file) {
                if (relation_exists(entry.relation))
                    spi.execute("DROP VIEW " + pg::qualified_name(entry.relation));
                file::discard(entry);
            } else {
                server::discard(spi, entry);
            }
            spi.execute("DELETE FROM citadel.archive_part WHERE archive_id = $1", {pg::arg(archive_id)});
            spi.execute("UPDATE citadel.archive_entry SET state = 'discarded' WHERE archive_id = $1",
                        {pg::arg(archive_id)});
        }
    }
    if (state == "copying" || state == "copied")
        discard_partial(archive_id);
}

} // namespace citadel::lifecycle::archive
