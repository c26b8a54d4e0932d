// Why this index and not the obvious one.
#pragma once

#include "advisor/planner_costs_pg.hpp"
#include "advisor/recommendation.hpp"
#include "advisor/selection.hpp"

#include <vector>

namespace citadel::advisor {

// What somebody would try first instead of `index`, priced beside the indexes `before` for the statements that `index`
// helps most (`helped`, those first). One whose table changed meanwhile is left out.
std::vector<Alternative> alternatives(const Candidate& index, const std::vector<Candidate>& before,
                                      const std::vector<Helped>& helped, PlannerCosts& costs);

} // namespace citadel::advisor
