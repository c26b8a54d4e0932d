// What the parts of a selection share: the workload, the indexes on offer, the plans known so far, and how much is
// worth a planner call. For selection.cpp and its parts.
#pragma once

#include "advisor/candidates.hpp"
#include "advisor/cost_cache.hpp"
#include "advisor/drops.hpp"
#include "advisor/selection.hpp"
#include "advisor/stand_ins.hpp"
#include "advisor/statement_folding.hpp"

#include <map>
#include <utility>
#include <vector>

namespace citadel::advisor {

class SelectionContext {
  public:
    SelectionContext(const std::vector<StatementUse>& of, const ExistingIndexes& there, CostSource& costs,
                     const SelectionRules& wanted)
        : statements(of), existing(there), source(costs), rules(wanted), cache(of, costs), base(of.size()),
          told(of.size()), searched(of.size()), folding(unfolded(of)) {}

    // Takes in the existing indexes that may be dropped.
    void offer_existing();
    // Takes in candidates; returns the new ones.
    std::vector<Item> offer(const std::vector<Candidate>& candidates);

    // Of a created index; what exists takes no new space.
    double bytes(Item item) { return cache.is_existing(item) ? 0.0 : std::max(cache.bytes(item), 1.0); }
    // Of the tables that the workload reads; infinity when that is not known.
    double table_bytes() const;
    bool fits_alone(Item item) {
        return !cache.is_existing(item) &&
               (!rules.budget_bytes || bytes(item) <= static_cast<double>(*rules.budget_bytes));
    }

    // With the load of those that it stands for.
    double weight(std::size_t s) const { return folding.weight[s]; }
    bool leads(std::size_t s) const { return folding.leads(s); }
    // What more could be gained by it.
    double room(std::size_t s, double present) const { return weight(s) * (present - cache.floor(s)); }
    // Less than that in one statement is not worth a planner call.
    double trifle() const { return 0.02 * enough; }
    // What an index must gain, as a share of the workload's cost.
    double share_enough() const;

    const Candidate& as_candidate(Item item) const {
        return cache.is_existing(item) ? droppable.at(item).as_candidate : cache.candidate(item);
    }
    const std::vector<Item>& droppable_on(RelationId relation) const;

    bool stopped() {
        if (!halted && rules.stop && rules.stop())
            halted = true;
        return halted;
    }

    const std::vector<StatementUse>& statements;
    const ExistingIndexes& existing;
    CostSource& source;
    const SelectionRules& rules;
    CostCache cache;
    StandIns stand_ins;
    std::vector<double> base;          // a statement: its cost today
    std::vector<char> told;            // a statement: its plans tell what others would cost
    std::vector<std::size_t> searched; // a statement: its plans that the last search knew; estimates come with them
    Folding folding;
    std::map<RelationId, std::uint32_t> groups;
    std::vector<RelationId> relations; // by group
    std::map<Item, DroppableIndex> droppable;
    double initial = 0.0;
    double enough = 0.0;
    bool halted = false;

  private:
    std::map<RelationId, std::vector<Item>> droppable_on_;
};

} // namespace citadel::advisor
