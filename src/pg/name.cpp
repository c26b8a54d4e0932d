#include "pg/server.hpp"

#include "pg/guard.hpp"
#include "pg/name.hpp"

extern "C" {
#include "catalog/namespace.h"
#include "mb/pg_wchar.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"
}

namespace citadel::pg {

std::string fitting_name(const std::string& name, const std::string& ending) {
    const char* text = name.c_str();
    const auto bytes = static_cast<int>(name.size());
    const auto room = NAMEDATALEN - 1 - static_cast<int>(ending.size());
    const int keep = guard([=] { return pg_mbcliplen(text, bytes, room); });
    return name.substr(0, static_cast<std::size_t>(keep)) + ending;
}

bool name_is_taken(const std::string& schema, const std::string& name) {
    const char* schema_text = schema.c_str();
    const char* name_text = name.c_str();
    return guard([=] {
        const Oid place = get_namespace_oid(schema_text, true);
        return OidIsValid(place) &&
               (OidIsValid(get_relname_relid(name_text, place)) ||
                SearchSysCacheExists2(TYPENAMENSP, PointerGetDatum(name_text), ObjectIdGetDatum(place)));
    });
}

} // namespace citadel::pg
