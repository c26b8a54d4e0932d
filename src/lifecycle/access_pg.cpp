#include "lifecycle/access_pg.hpp"

#include "pg/compat.hpp"
#include "pg/guard.hpp"

extern "C" {
#include "catalog/pg_authid.h"
#include "utils/acl.h"
}

namespace citadel::lifecycle {

bool owns(Oid relation) {
    return pg::guard(
        [relation] { return relation == InvalidOid ? superuser() : pg::owns_relation(relation, GetUserId()); });
}

void require_owner(Oid relation, const std::string& name, const char* what) {
    if (!owns(relation))
        pg::raise(ERRCODE_INSUFFICIENT_PRIVILEGE, std::string("must be owner to ") + what + " table " + name);
}

bool monitors() {
    return pg::guard([] { return has_privs_of_role(GetUserId(), ROLE_PG_MONITOR); });
}

} // namespace citadel::lifecycle
