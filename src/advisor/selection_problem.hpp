// What is known of a workload, as a problem for the search. For selection.cpp.
#pragma once

#include "advisor/search.hpp"
#include "advisor/selection_context.hpp"

namespace citadel::advisor {

// `charge`, `byte_price`: what an index and a byte of it must bring at least. The context must outlive the problem.
SearchProblem problem_of(SelectionContext& context, double charge, double byte_price, bool thorough);

// What writes to a table cost with these indexes, less what they cost today.
double write_cost_of(SelectionContext& context, RelationId relation, const CostCache::Set& present);

} // namespace citadel::advisor
