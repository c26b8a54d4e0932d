#include "pg/plan_tree.hpp"

#include "pg/compat.hpp"

namespace citadel::pg {

namespace {

using Visitor = void (*)(Plan*, void*);

void visit_node(Plan* plan, Visitor visit, void* context);

void visit_list(const List* plans, Visitor visit, void* context) {
    const ListCell* cell;
    foreach (cell, plans)
        visit_node(static_cast<Plan*>(lfirst(cell)), visit, context);
}

void visit_node(Plan* plan, Visitor visit, void* context) {
    if (plan == nullptr)
        return;
    check_stack_depth();
    visit(plan, context);
    switch (nodeTag(plan)) {
    case T_Append:
        visit_list(reinterpret_cast<Append*>(plan)->appendplans, visit, context);
        break;
    case T_MergeAppend:
        visit_list(reinterpret_cast<MergeAppend*>(plan)->mergeplans, visit, context);
        break;
    case T_BitmapAnd:
        visit_list(reinterpret_cast<BitmapAnd*>(plan)->bitmapplans, visit, context);
        break;
    case T_BitmapOr:
        visit_list(reinterpret_cast<BitmapOr*>(plan)->bitmapplans, visit, context);
        break;
    case T_SubqueryScan:
        visit_node(reinterpret_cast<SubqueryScan*>(plan)->subplan, visit, context);
        break;
    case T_CustomScan:
        visit_list(reinterpret_cast<CustomScan*>(plan)->custom_plans, visit, context);
        break;
    default:
        break;
    }
    visit_node(plan->lefttree, visit, context);
    visit_node(plan->righttree, visit, context);
}

} // namespace

void visit_plan(PlannedStmt* statement, Visitor visit, void* context) {
    visit_node(statement->planTree, visit, context);
    // Init plans and subplans stand in one list of the statement.
    visit_list(statement->subplans, visit, context);
}

void clear_run_time_pruning(PlannedStmt* statement) {
    visit_plan(
        statement,
        [](Plan* plan, void*) {
#if PG_VERSION_NUM >= 180000
            if (IsA(plan, Append))
                reinterpret_cast<Append*>(plan)->part_prune_index = -1;
            else if (IsA(plan, MergeAppend))
                reinterpret_cast<MergeAppend*>(plan)->part_prune_index = -1;
#else
            if (IsA(plan, Append))
                reinterpret_cast<Append*>(plan)->part_prune_info = nullptr;
            else if (IsA(plan, MergeAppend))
                reinterpret_cast<MergeAppend*>(plan)->part_prune_info = nullptr;
#endif
        },
        nullptr);
#if PG_VERSION_NUM >= 180000
    statement->partPruneInfos = NIL;
    // What no pruning keeps out may be opened.
    statement->unprunableRelids = bms_add_range(statement->unprunableRelids, 1, list_length(statement->rtable));
#endif
}

} // namespace citadel::pg
