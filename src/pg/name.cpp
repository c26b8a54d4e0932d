#include "pg/server.hpp"

#include "pg/guard.hpp"
#include "pg/name.hpp"

extern "C" {
#include "mb/pg_wchar.h"
}

namespace citadel::pg {

std::string fitting_name(const std::string& name, const std::string& ending) {
    const char* text = name.c_str();
    const auto bytes = static_cast<int>(name.size());
    const auto room = NAMEDATALEN - 1 - static_cast<int>(ending.size());
    const int keep = guard([=] { return pg_mbcliplen(text, bytes, room); });
    return name.substr(0, static_cast<std::size_t>(keep)) + ending;
}

} // namespace citadel::pg
