// Reading archives in files where they lie: citadel.read_archive() and a view over it for each.
#pragma once

#include "lifecycle/archive_entry_pg.hpp"

namespace citadel::lifecycle::archive {

// Makes the view, owned by the archive's owner, and notes it in the entry. It does not keep the extension from being
// dropped: it goes along, and comes back by citadel.adopt_archives().
void create_view(pg::Spi& spi, const Entry& entry);

} // namespace citadel::lifecycle::archive
