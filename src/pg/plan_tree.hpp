// Walking queries and finished plans.
#pragma once

#include "pg/server.hpp"

extern "C" {
#include "nodes/nodeFuncs.h"
#include "nodes/plannodes.h"
}

namespace citadel::pg {

// Calls `visit(plan, context)` for every node of a planned statement, init plans and subplans included. `visit` may
// change the node, but not replace it.
void visit_plan(PlannedStmt* statement, void (*visit)(Plan* plan, void* context), void* context);

// Takes run-time pruning out of a plan, so that it can be shown without the values of its parameters: initialising the
// executor would evaluate them. All partitions are shown then.
void clear_run_time_pruning(PlannedStmt* statement);

// The tree walkers: until 15 they took a function without a prototype.
using TreeWalker = bool (*)(Node* node, void* context);
inline bool walk_expression(Node* node, TreeWalker walker, void* context) {
#if PG_VERSION_NUM >= 160000
    return expression_tree_walker(node, walker, context);
#else
    const auto untyped = reinterpret_cast<bool (*)()>(reinterpret_cast<void (*)()>(walker));
    return expression_tree_walker(node, untyped, context);
#endif
}

inline bool walk_query(Query* query, TreeWalker walker, void* context) {
#if PG_VERSION_NUM >= 160000
    return query_tree_walker(query, walker, context, 0);
#else
    const auto untyped = reinterpret_cast<bool (*)()>(reinterpret_cast<void (*)()>(walker));
    return query_tree_walker(query, untyped, context, 0);
#endif
}

// Copies an expression, its parts as `change` gives them.
inline Node* mutate_expression(Node* node, Node* (*change)(Node*, void*), void* context) {
#if PG_VERSION_NUM >= 160000
    return expression_tree_mutator_impl(node, change, context);
#else
    return expression_tree_mutator(node, reinterpret_cast<Node* (*)()>(reinterpret_cast<void (*)()>(change)), context);
#endif
}

} // namespace citadel::pg
