// A pinned search_path: what we run resolves names in pg_catalog alone, whatever the session or a role has set.
#pragma once

namespace citadel::pg {

// Sets search_path to `pg_catalog, pg_temp` for a GUC nest level and returns the level.
int pin_search_path();
// Same with another path.
int pin_search_path(const char* path);
// Ends the level and restores what was set before.
void unpin_search_path(int level);

} // namespace citadel::pg
