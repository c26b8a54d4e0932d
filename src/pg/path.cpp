#include "pg/path.hpp"

#include "pg/guard.hpp"

namespace citadel::pg {

int pin_search_path() {
    return pin_search_path("pg_catalog, pg_temp");
}

int pin_search_path(const char* path) {
    return guard([path] {
        const int level = NewGUCNestLevel();
        (void)set_config_option("search_path", path, PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
        return level;
    });
}

void unpin_search_path(int level) {
    AtEOXact_GUC(true, level);
}

} // namespace citadel::pg
