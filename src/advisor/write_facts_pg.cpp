#include "advisor/write_facts_pg.hpp"

#include "pg/guard.hpp"
#include "pg/plan_tree.hpp"

#include <algorithm>
#include <optional>

extern "C" {
#include "parser/parsetree.h"
#include "utils/lsyscache.h"
}

namespace citadel::advisor {

namespace {

std::optional<WriteKind> kind_of(CmdType command) {
    switch (command) {
    case CMD_INSERT:
        return WriteKind::insert;
    case CMD_UPDATE:
        return WriteKind::update;
    case CMD_DELETE:
        return WriteKind::remove;
    default:
        return std::nullopt;
    }
}

// The columns that UPDATE, or the UPDATE actions of MERGE, set in a table.
struct SetColumns {
    Oid relation;
    std::vector<ColumnNumber> columns;
};

void note_columns(const List* targets, std::vector<ColumnNumber>& into) {
    const ListCell* cell;
    foreach (cell, targets) {
        const TargetEntry* entry = lfirst_node(TargetEntry, cell);
        if (!entry->resjunk && entry->resno > 0)
            into.push_back(entry->resno);
    }
}

void note_query(const Query* query, std::vector<SetColumns>& into) {
    if (query->resultRelation != 0) {
        SetColumns set{rt_fetch(query->resultRelation, query->rtable)->relid, {}};
        if (query->commandType == CMD_UPDATE)
            note_columns(query->targetList, set.columns);
        const ListCell* cell;
        foreach (cell, query->mergeActionList) {
            const MergeAction* action = lfirst_node(MergeAction, cell);
            if (action->commandType == CMD_UPDATE)
                note_columns(action->targetList, set.columns);
        }
        if (!set.columns.empty())
            into.push_back(std::move(set));
    }
    const ListCell* cell;
    foreach (cell, query->cteList) {
        const Node* inner = lfirst_node(CommonTableExpr, cell)->ctequery;
        if (IsA(inner, Query))
            note_query(reinterpret_cast<const Query*>(inner), into);
    }
}

struct PlanVisit {
    const PlannedStmt* plan;
    std::vector<WriteUse>* writes;
};

void note_node(Plan* node, void* context) {
    if (!IsA(node, ModifyTable))
        return;
    const auto* visit = static_cast<PlanVisit*>(context);
    const auto* modify = reinterpret_cast<ModifyTable*>(node);
    const RangeTblEntry* entry = rt_fetch(modify->nominalRelation, visit->plan->rtable);
    if (entry->rtekind != RTE_RELATION)
        return;
    const Plan* rows = outerPlan(node);
    WriteUse use;
    use.relation = entry->relid;
    use.rows = rows == nullptr ? 1.0 : rows->plan_rows;
    if (const std::optional<WriteKind> only_kind = kind_of(modify->operation)) {
        use.kind = *only_kind;
        visit->writes->push_back(use);
    } else if (modify->operation == CMD_MERGE) {
        // Which rows meet which action is not known: each kind of action gets its share.
        std::vector<WriteKind> kinds;
        const ListCell* list;
        foreach (list, modify->mergeActionLists) {
            const ListCell* cell;
            foreach (cell, lfirst_node(List, list))
                if (const std::optional<WriteKind> action = kind_of(lfirst_node(MergeAction, cell)->commandType))
                    if (std::find(kinds.begin(), kinds.end(), *action) == kinds.end())
                        kinds.push_back(*action);
        }
        for (const WriteKind kind : kinds) {
            use.kind = kind;
            use.rows = (rows == nullptr ? 1.0 : rows->plan_rows) / static_cast<double>(kinds.size());
            visit->writes->push_back(use);
        }
    }
}

} // namespace

// Reads trees only; nothing here allocates in the server or raises, except visit_plan() when the stack is too deep,
// which a plan that was just made does not meet.
std::vector<WriteUse> writes_of(const Statement& statement, const std::vector<PlannedStmt*>& plans) {
    std::vector<WriteUse> writes;
    for (PlannedStmt* plan : plans) {
        PlanVisit visit{plan, &writes};
        pg::visit_plan(plan, note_node, &visit);
    }
    std::vector<SetColumns> sets;
    const ListCell* cell;
    foreach (cell, statement.queries())
        note_query(lfirst_node(Query, cell), sets);
    for (WriteUse& use : writes) {
        if (use.kind != WriteKind::update)
            continue;
        for (const SetColumns& set : sets)
            if (set.relation == use.relation)
                use.columns.insert(use.columns.end(), set.columns.begin(), set.columns.end());
        std::sort(use.columns.begin(), use.columns.end());
        use.columns.erase(std::unique(use.columns.begin(), use.columns.end()), use.columns.end());
    }
    return writes;
}

} // namespace citadel::advisor
