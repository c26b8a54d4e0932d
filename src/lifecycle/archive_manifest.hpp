// The manifest of an archive in files: what the rows are, and which files hold them. Text, one fact a line, so that a
// person can read it in twenty years; its last line is a checksum, so that a half-written one is not taken for whole.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace citadel::lifecycle::format {

struct Column {
    std::string name;
    std::string type;      // with its modifiers, as format_type() writes it
    std::string collation; // schema.name; empty: the type's own
    bool not_null = false;
    std::string generation; // expression of a generated column; its values are in the files as well
    bool operator==(const Column&) const = default;
};

// One data file.
struct Segment {
    std::string file;
    std::int64_t rows = 0;
    std::int64_t bytes = 0;
    std::string sha256; // of the file, 64 hexadecimal digits
    std::string hash;   // of its rows (content_hash.hpp), 32 hexadecimal digits
    bool operator==(const Segment&) const = default;
};

struct Manifest {
    std::string archive;  // key of the archive: unique in the cluster, and what the folder is called
    std::string database; // where it came from
    std::string server;   // version
    std::string encoding; // of all text in it
    std::string schema, name;
    std::string origin_schema, origin_name;
    std::string owner;
    std::string lower_bound, upper_bound, partition_bound;
    std::string created_at;
    std::vector<Column> columns;
    std::vector<Segment> segments;
    std::int64_t rows = 0;
    std::string hash; // of all rows
    bool operator==(const Manifest&) const = default;
};

std::string write_manifest(const Manifest& manifest);

// Throws format::Error when the text is not whole, not of this format, or contradicts itself.
Manifest read_manifest(std::string_view text);

// Names of segments are ours alone: nothing that could name another folder.
std::string segment_name(std::int64_t number);
bool is_segment_name(std::string_view name);

// A manifest larger than this is not one (bytes).
inline constexpr std::size_t max_manifest_bytes = 64 * 1024 * 1024;
inline constexpr const char* manifest_file = "MANIFEST";

} // namespace citadel::lifecycle::format
