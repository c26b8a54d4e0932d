// Walking finished plans.
#pragma once

#include "pg/server.hpp"

extern "C" {
#include "nodes/plannodes.h"
}

namespace citadel::pg {

// Calls `visit(plan, context)` for every node of a planned statement, init plans and subplans included. `visit` may
// change the node, but not replace it.
void visit_plan(PlannedStmt* statement, void (*visit)(Plan* plan, void* context), void* context);

// Takes run-time pruning out of a plan, so that it can be shown without the values of its parameters: initialising the
// executor would evaluate them. All partitions are shown then.
void clear_run_time_pruning(PlannedStmt* statement);

} // namespace citadel::pg
