// Archives in files: a folder of data files and a manifest, below the folder that citadel_opt.archive_directory names.
#pragma once

#include "lifecycle/archive_entry_pg.hpp"

#include <functional>
#include <string>

namespace citadel::lifecycle::archive::file {

// Why `owner` cannot archive to `folder`; empty when he can.
std::string problem(const std::string& folder, Oid owner);
// Where an archive of the relation `name` is to lie, relative to the archive directory; never used before.
std::string new_location(const std::string& folder, const std::string& name);

// Writes the blocks [part.first, part.end) of the source to the part's file; fills in hash, bytes and sha256.
void write_part(const Entry& entry, const OpenRelation& source, Part& part);
// Writes the manifest and gives the folder its name; returns the SHA-256 of the manifest. Repeatable.
std::string finish(const Entry& entry, const std::vector<Part>& parts);
// Removes an unfinished copy's files.
void discard(const Entry& entry);

// Reads the manifest of a finished archive, checked against `sha256` unless that is empty; `found` gets its SHA-256.
format::Manifest read_manifest(const std::string& location, const std::string& sha256, std::string* found = nullptr);
// Every folder below the archive directory that has a manifest.
std::vector<std::string> all_locations();

// Number of the encoding that text in the archive has.
int encoding_of(const Entry& entry);

// Calls `row` for each row of a part, after which its hash, size and SHA-256 are checked. A batch of rows is handed
// over before the end of the file was seen: the caller must be able to take it back.
using RowTaker = std::function<void(const format::Reader& row)>;
void read_part(const Entry& entry, const Part& part, const RowTaker& row);

// Raises an error unless the part's file has the size and the SHA-256 with which it was written.
void check_part(const Entry& entry, const Part& part);

} // namespace citadel::lifecycle::archive::file
