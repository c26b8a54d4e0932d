// From a set of indexes to an answer in steps: what each brings at its place, what goes, who pays.
#pragma once

#include "advisor/cost_cache.hpp"
#include "advisor/drops.hpp"
#include "advisor/selection.hpp"

#include <functional>
#include <map>
#include <optional>
#include <vector>

namespace citadel::advisor {

class SelectionReport {
  public:
    // `base`: a statement's cost today. `may_ask`: may costs still be asked for? Else what is known has to do.
    SelectionReport(const std::vector<StatementUse>& statements, CostCache& cache, CostSource& source,
                    const std::vector<double>& base, const std::map<Item, DroppableIndex>& droppable, bool may_ask)
        : statements_(statements), cache_(cache), source_(source), base_(base), droppable_(droppable),
          may_ask_(may_ask) {}

    Selection make(const SearchAnswer& answer);

  private:
    using Set = CostCache::Set;

    double cost(std::size_t statement, const Set& set);
    double known_cost(std::size_t statement, const Set& set) const;
    double known_gain(const std::vector<Item>& items, const Set& set, const std::vector<double>& now) const;
    std::vector<std::vector<Item>> ordered(const SearchAnswer& answer, const Set& start);
    // Of one table, or of all.
    Configuration changes(std::optional<RelationId> relation, const Set& set) const;
    double writes(RelationId relation, const Set& set);
    Step step(Item item, const std::vector<Item>& group, const Set& final);
    Drop drop(Item item, const Set& final);
    const Candidate& as_candidate(Item item) const;

    const std::vector<StatementUse>& statements_;
    CostCache& cache_;
    CostSource& source_;
    const std::vector<double>& base_;
    const std::map<Item, DroppableIndex>& droppable_;
    const bool may_ask_;
};

} // namespace citadel::advisor
