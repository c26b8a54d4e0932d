// Archives on another PostgreSQL, through postgres_fdw: a table there, a foreign table here.
//
// Rows travel through the foreign table, in the owner's name and with his user mapping. The table on the other side is
// made with dblink, because postgres_fdw has no way to.
#pragma once

#include "lifecycle/archive_entry_pg.hpp"

#include <string>

namespace citadel::lifecycle::archive::server {

// Why `owner` cannot archive to the server; empty when he can, as far as can be said from here.
std::string problem(const std::string& server, Oid owner);
// schema.name of the table on the other side; never used before.
std::string new_location(const std::string& name);

// Sends the blocks [part.first, part.end) of the source; fills in the hash. Rows carry the number of their part, so a
// part that was sent and not noted here, because of a crash, is sent again and replaces itself.
void write_part(pg::Spi& spi, Entry& entry, const OpenRelation& source, Part& part);
// Reads a part back from there; raises XX001 when it is not what was sent.
void verify_part(const Entry& entry, const Part& part);
// The same, for whoever needs the rows; the current user is the owner. The column with the part's number must be shown.
void read_part(const Entry& entry, const Part& part, const SlotTaker& take);
// The foreign table as readers shall see it, after a last check for rows that belong to no part.
void finish(pg::Spi& spi, const Entry& entry);
// The hash of all rows over there, read as the archive's owner; of a complete archive.
ContentHash hash_copy(const Entry& entry);
// Drops the tables on both sides. Whatever the other side answers, the one here goes: a server that is gone for good
// must not keep an expiry from being undone. What may be left over there is said in a WARNING.
void discard(pg::Spi& spi, const Entry& entry);

// The column with the part's number comes and goes: readers of the foreign table do not see it, a restore needs it.
inline constexpr const char* part_column = "citadel_part";
void show_part_column(pg::Spi& spi, const Entry& entry, bool show);

} // namespace citadel::lifecycle::archive::server
