#include "pg/preload.hpp"

#include "pg/error.hpp"

namespace citadel::pg {

namespace {
bool was_preloaded = false;
}

void note_preloaded() {
    was_preloaded = true;
}

bool preloaded() {
    return was_preloaded;
}

void require_preload(const char* what) {
    if (!was_preloaded)
        raise(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
              std::string(what) + " needs citadel_opt to be loaded when the server starts", {},
              "Add citadel_opt to shared_preload_libraries and restart the server.");
}

} // namespace citadel::pg
