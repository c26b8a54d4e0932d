// What the catalogue cache says of a relation.
#pragma once

#include "pg/server.hpp"

#include <string>

namespace citadel::pg {

// The role that owns it; raises 42P01 when it is gone.
Oid owner_of(Oid relation);

// "ALTER ... OWNER TO" takes a name: quoted. Raises 42704 when the role is gone.
std::string role_name(Oid role);

} // namespace citadel::pg
