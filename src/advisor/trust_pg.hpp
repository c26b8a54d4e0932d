// Whose code planning a statement would run.
#pragma once

#include "advisor/statement_pg.hpp"

#include <string>

namespace citadel::advisor {

// Planning folds immutable functions, and predicates and expressions of indexes. Who owns them may have changed them
// since the statement ran: planning it again as its user would run their code with his rights. For a statement of a
// superuser that is never worth it: returns the reason when somebody who is none owns a table, function or type that
// it uses; empty when there is nobody, or when `role` is no superuser. To be asked before parameters are bound.
std::string distrust(const Statement& statement, Oid role);

} // namespace citadel::advisor
