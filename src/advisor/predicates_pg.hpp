// Statements that could use each other's partial indexes.
#pragma once

#include "advisor/expressions_pg.hpp"
#include "advisor/model.hpp"

#include <vector>

namespace citadel::advisor {

// Notes with each use of a table the predicates of other uses that hold there as well, by the planner's own proof:
// `status = 'open'` implies `status <> 'done'` and `status IS NOT NULL`. A partial index found for one statement is
// then priced for all that can use it.
void share_predicates(std::vector<StatementUse>& statements, const Expressions& expressions);

} // namespace citadel::advisor
