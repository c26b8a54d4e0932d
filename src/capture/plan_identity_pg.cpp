// A prepared statement is planned once and run a million times, so the walk over its plan belongs into the planner
// hook. Between planning and running the plan may be copied (the plan cache copies what it keeps), so neither its
// address nor a table beside it can tie the two together: the identity has to travel inside the plan. PlannedStmt has
// no field for it before PostgreSQL 18 (and there it is for whoever comes first), but it has a list that is copied with
// it and that nobody reads but the plan cache, which compares each item with the catalogue cache whose entry was
// invalidated: `invalItems`. An item of ours names a cache that does not exist (a negative number), so it never
// matches.
#include "capture/plan_identity_pg.hpp"

#include "capture/hooks_pg.hpp"
#include "capture/overhead_pg.hpp"
#include "capture/plan_shape_pg.hpp"

extern "C" {
#include "nodes/pg_list.h"
#include "optimizer/planner.h"
}

namespace citadel::capture {

namespace {

planner_hook_type previous_planner = nullptr;

constexpr std::uint32_t no_cache = 0x80000000U;

// Next to what planning itself has just allocated these few bytes are nothing; like them they come from the plan's own
// memory.
void note(PlannedStmt* plan) {
    const std::uint64_t id = plan_shape(plan).id;
    auto* item = makeNode(PlanInvalItem);
    item->cacheId = static_cast<int>(no_cache | static_cast<std::uint32_t>(id >> 32));
    item->hashValue = static_cast<uint32>(id);
    plan->invalItems = lappend(plan->invalItems, item);
}

PlannedStmt* plan(Query* query, const char* text, int options, ParamListInfo parameters) {
    PlannedStmt* const planned = previous_planner != nullptr ? previous_planner(query, text, options, parameters)
                                                             : standard_planner(query, text, options, parameters);
    if (planned->queryId != 0 && plans_are_watched())
        meter.now_and_then([planned] { note(planned); });
    return planned;
}

} // namespace

void install_plan_identity() {
    previous_planner = planner_hook;
    planner_hook = plan;
}

std::uint64_t plan_identity(const PlannedStmt* plan) {
    for (int i = list_length(plan->invalItems) - 1; i >= 0; --i) { // ours is the last, as a rule
        const auto* item = static_cast<const PlanInvalItem*>(list_nth(plan->invalItems, i));
        if (item->cacheId < 0)
            return static_cast<std::uint64_t>(static_cast<std::uint32_t>(item->cacheId) & ~no_cache) << 32 |
                   item->hashValue;
    }
    return plan_shape(plan).id;
}

} // namespace citadel::capture
