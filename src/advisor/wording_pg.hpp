// What a recommendation says: the index's name, the statement to run, the reason, what to know before.
#pragma once

#include "advisor/planner_costs_pg.hpp"
#include "advisor/recommendation.hpp"
#include "advisor/selection.hpp"

#include <set>
#include <string>
#include <vector>

namespace citadel::advisor {

class Wording {
  public:
    explicit Wording(PlannerCosts& costs) : costs_(costs) {}

    // Of an index to create, whose `helped` is known; `uses` are those statements. Raises when its table is gone.
    void word(Recommendation& found, const Step& step, const std::vector<const StatementUse*>& uses);
    // Of an index to drop; `existing` are those of its table. False when it is gone already.
    bool word(Recommendation& found, const Drop& drop, const std::vector<ExistingIndex>& existing);

  private:
    std::string unused_name(const HypotheticalIndex& index);
    void say_what_it_replaces(Recommendation& found, const Step& step);

    PlannerCosts& costs_;
    std::set<std::string> taken_;
};

} // namespace citadel::advisor
