// Shutting writers out of a table that is to be archived, and letting them in again.
#pragma once

#include "pg/server.hpp"

#include <string>

namespace citadel::lifecycle {

// Waits for those who are writing (ACCESS EXCLUSIVE, held until the end of the transaction), then takes INSERT, UPDATE,
// DELETE and TRUNCATE from everybody, the owner included; only superusers, or an owner who grants them to himself
// again, could write after that, and source_matches() finds out. Returns what there was, for open_to_writers(); an
// empty string when nothing was there to take. By privileges and not by a trigger: a trigger would hang on the
// extension, and DROP EXTENSION could not leave archives alone.
std::string close_to_writers(Oid relation);

// Grants again what close_to_writers() took.
void open_to_writers(Oid relation, const std::string& saved);

} // namespace citadel::lifecycle
