// An archive's row in the catalogue, for the files that work on it.
#pragma once

#include "lifecycle/archive_manifest.hpp"
#include "lifecycle/archive_pg.hpp"
#include "lifecycle/content_hash_pg.hpp"
#include "pg/relation.hpp"
#include "pg/spi.hpp"

#include <optional>
#include <string>
#include <vector>

namespace citadel::lifecycle::archive {

enum class Kind { schema, server, file };

// 'schema', 'schema:NAME', 'server:NAME', 'file:DIR'.
struct Destination {
    Kind kind = Kind::schema;
    std::string place; // schema, server or folder
};
// Raises 22023 when the text names no destination.
Destination parse_destination(const std::string& text);

inline constexpr const char* default_schema = "citadel_archive";

struct Entry {
    std::int64_t id = 0;
    std::string state, verification;
    std::string destination_text;
    Destination destination;
    std::string tablespace, location, checksum;
    Oid source = InvalidOid;
    std::string source_schema, source_name, origin_schema, origin_name;
    std::string owner_name;
    Oid owner = InvalidOid; // InvalidOid: the role is gone
    Oid relation = InvalidOid;
    std::string lower_bound, upper_bound, bound, privileges, created_at;
    std::vector<format::Column> columns;
    std::optional<ContentHash> content;
    std::string restore_as;
    Oid target = InvalidOid, restored = InvalidOid;
    // Of a restore under way.
    std::string step;
    std::int64_t step_block = 0;
    ContentHash step_hash;

    std::vector<std::string> column_names() const;
    std::string column_list() const; // quoted, with commas
};

struct Part {
    std::int64_t number = 0;
    BlockNumber first = 0, end = 0;
    ContentHash hash;
    std::int64_t bytes = 0;
    std::string sha256;
};

// The entry, locked until the transaction ends; raises 42704 when there is none.
Entry load(pg::Spi& spi, std::int64_t archive_id, bool lock = true);
// Remembers with what relation an archive is read.
void set_relation(pg::Spi& spi, std::int64_t archive_id, Oid relation);
// Raises 55000 unless the state is one of those in the comma-separated list.
void require_state(const Entry& entry, const std::string& states);
// What the archive holds, of one that has been copied; XX001 when its row was changed by hand.
const ContentHash& known_content(const Entry& entry);

std::vector<Part> parts_of(pg::Spi& spi, std::int64_t archive_id);
void add_part(pg::Spi& spi, std::int64_t archive_id, const Part& part);
ContentHash sum_of(const std::vector<Part>& parts);
pg::Arg hash_arg(const ContentHash& hash);
void save_step(pg::Spi& spi, const Entry& entry);

// Columns of a relation as the catalogue keeps them, as JSON; and whether a relation still has these.
std::string describe_columns(pg::Spi& spi, Oid relation);
bool has_columns(pg::Spi& spi, Oid relation, const Entry& entry);

bool relation_exists(Oid relation);
using pg::owner_of;
// The relation's OID, or InvalidOid.
Oid find_relation(const std::string& schema, const std::string& name);
// `wanted`, shortened and numbered so that no relation or type of the schema has it.
std::string free_name(const std::string& schema, const std::string& wanted, std::int64_t archive_id);
std::string quoted(const std::string& schema, const std::string& name);
// Sixteen digits that no other archive's place has: a copy of this database numbers its archives as we do.
std::string unique_digits();

// The source, with writers locked out until the transaction ends; raises 55000 when it is gone or has changed shape.
OpenRelation open_source(pg::Spi& spi, const Entry& entry);

// Inside a RoleScope: rows are never left out silently by a policy; where one would apply the statement fails instead.
void see_all_rows();

// One part's length in blocks, some seconds of work.
inline constexpr BlockNumber part_blocks = 64 * 1024 * 1024 / BLCKSZ;

} // namespace citadel::lifecycle::archive
