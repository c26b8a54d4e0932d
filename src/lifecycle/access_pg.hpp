// Who may do what with a policy.
#pragma once

#include "pg/server.hpp"

#include <string>

namespace citadel::lifecycle {

// Whether the current user owns the relation, or is a member of the role that does, or superuser.
bool owns(Oid relation);
// Raises 42501 otherwise: `what` is a verb phrase ("suspend the lifecycle policy of"), `name` the table for people.
// Policies of tables that are gone are for superusers.
void require_owner(Oid relation, const std::string& name, const char* what);
// Whether the current user may see everybody's policies.
bool monitors();

} // namespace citadel::lifecycle
