// What a statement writes, from its analysed queries and plans.
#pragma once

#include "advisor/model.hpp"
#include "advisor/statement_pg.hpp"

#include <vector>

namespace citadel::advisor {

// Tables that one execution writes, with the planner's number of rows; those of data-modifying CTEs included. ON
// CONFLICT DO UPDATE counts as an update of no row: how often it happens is not known.
std::vector<WriteUse> writes_of(const Statement& statement, const std::vector<PlannedStmt*>& plans);

} // namespace citadel::advisor
