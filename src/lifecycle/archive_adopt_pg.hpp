// Archives outlive the extension: tables carry a mark that says what they are, files have their manifest.
#pragma once

#include "lifecycle/archive_entry_pg.hpp"

namespace citadel::lifecycle::archive {

// Adds the mark, which holds the entry, as the last line of the relation's comment.
void mark(pg::Spi& spi, const Entry& entry);
// Takes it away from a table that is an archive no longer.
void unmark(pg::Spi& spi, Oid relation);

} // namespace citadel::lifecycle::archive
