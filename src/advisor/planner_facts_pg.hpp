// What the planner knows about a statement, taken while it plans: which columns its clauses, joins and orders could use
// an index for. No SQL text is parsed for it; subqueries, views and DML are seen as the planner sees them, after
// pull-up and push-down.
#pragma once

#include "advisor/expressions_pg.hpp"
#include "advisor/model.hpp"

#include "pg/server.hpp"

#include <map>
#include <string>
#include <vector>

extern "C" {
#include "nodes/pathnodes.h"
}

namespace citadel::advisor {

// While alive, planner calls of ours (Statement::plan) note their facts here. Nests: an inner one replaces the outer.
class FactCollector {
  public:
    // Expressions and predicates get their numbers from `expressions`.
    explicit FactCollector(Expressions& expressions);
    FactCollector(const FactCollector&) = delete;
    FactCollector& operator=(const FactCollector&) = delete;
    ~FactCollector();

    // One entry for each appearance of a table that may get an index, in the order of planning.
    const std::vector<RelationUse>& uses() const { return uses_; }
    // Relations that were planned but may not get one, with the reason.
    const std::map<Oid, std::string>& unsupported() const { return unsupported_; }

    // For the hook.
    void note(PlannerInfo* root, RelOptInfo* relation, const RangeTblEntry* entry);

  private:
    FactCollector* outer_;
    Expressions& expressions_;
    std::vector<RelationUse> uses_;
    std::map<Oid, std::string> unsupported_;
};

// Why no index can be recommended on this relation; empty when one can.
std::string unsupported_reason(Oid relation);

// Installs the planner hook that feeds FactCollector.
void install_planner_facts();

} // namespace citadel::advisor
