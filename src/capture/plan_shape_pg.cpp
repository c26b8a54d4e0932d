#include "capture/plan_shape_pg.hpp"

#include "capture/shape_hash.hpp"

extern "C" {
#include "nodes/pathnodes.h"
#include "nodes/pg_list.h"
#include "parser/parsetree.h"
}

namespace citadel::capture {

namespace {

// A plan nested deeper than this keeps the identity of its upper part; the walk must not run out of stack.
constexpr int deepest = 400;

// What a node's quals say is the query's business (same query_id, same quals up to constants); where they ended up is
// the plan's: so only their number is hashed.
class Walker {
  public:
    explicit Walker(const PlannedStmt* plan) : plan_(plan) {}

    std::uint64_t node(const Plan* plan, int depth) {
        if (plan == nullptr || depth > deepest)
            return 0;
        ++nodes_;
        if (nodeTag(plan) == T_Append || nodeTag(plan) == T_MergeAppend)
            return append(plan, depth);
        ShapeHash hash;
        hash.add(nodeTag(plan));
        hash.add(static_cast<std::uint64_t>(list_length(plan->qual)));
        hash.add(plan->parallel_aware ? 1 : 0);
        details(plan, hash, depth);
        hash.add(node(plan->lefttree, depth + 1));
        hash.add(node(plan->righttree, depth + 1));
        return hash.value();
    }

    int nodes() const { return nodes_; }

  private:
    // Partitions and inheritance children: the set of their shapes. UNION ALL branches fold in the same way, which
    // costs nothing: they belong to the query.
    std::uint64_t append(const Plan* plan, int depth) {
        const List* children = nodeTag(plan) == T_Append ? reinterpret_cast<const Append*>(plan)->appendplans
                                                         : reinterpret_cast<const MergeAppend*>(plan)->mergeplans;
        ShapeSet set;
        const ListCell* cell;
        foreach (cell, children)
            set.add(node(static_cast<const Plan*>(lfirst(cell)), depth + 1));
        return set.value();
    }

    // The topmost parent of a range table entry; `folded` when that is another one.
    Index topmost(Index index, bool& folded) const {
        folded = false;
        for (int step = 0; step < 16; ++step) { // sub-partitioning
            bool moved = false;
            const ListCell* cell;
            foreach (cell, plan_->appendRelations) {
                const auto* child = static_cast<const AppendRelInfo*>(lfirst(cell));
                if (child->child_relid == index && OidIsValid(child->parent_reloid)) {
                    index = child->parent_relid;
                    folded = moved = true;
                    break;
                }
            }
            if (!moved)
                break;
        }
        return index;
    }

    bool relation(Index index, ShapeHash& hash) const {
        bool folded = false;
        const Index top = topmost(index, folded);
        if (top == 0 || top > static_cast<Index>(list_length(plan_->rtable)))
            return folded;
        const RangeTblEntry* entry = rt_fetch(top, plan_->rtable);
        hash.add(entry == nullptr ? 0 : static_cast<std::uint64_t>(entry->rtekind));
        if (entry != nullptr && entry->rtekind == RTE_RELATION)
            hash.add(entry->relid);
        return folded;
    }

    // A partition's index is another object each month: there only that there is one counts.
    void index(bool folded, Oid id, const List* quals, const List* order_by, ShapeHash& hash) const {
        hash.add(folded ? 1 : id);
        hash.add(static_cast<std::uint64_t>(list_length(quals)));
        hash.add(static_cast<std::uint64_t>(list_length(order_by)));
    }

    void columns(int count, const AttrNumber* numbers, ShapeHash& hash) const {
        hash.add(static_cast<std::uint64_t>(count));
        for (int i = 0; i < count && numbers != nullptr; ++i)
            hash.add(static_cast<std::uint64_t>(numbers[i]));
    }

    void children(const List* plans, ShapeHash& hash, int depth) {
        const ListCell* cell;
        foreach (cell, plans)
            hash.add(node(static_cast<const Plan*>(lfirst(cell)), depth + 1));
    }

    template <class Node>
    static const Node* as(const Plan* plan) {
        return reinterpret_cast<const Node*>(plan);
    }

    void details(const Plan* plan, ShapeHash& hash, int depth) {
        switch (nodeTag(plan)) {
        case T_SeqScan:
        case T_SampleScan:
        case T_TidScan:
        case T_TidRangeScan:
        case T_FunctionScan:
        case T_ValuesScan:
        case T_TableFuncScan:
        case T_CteScan:
        case T_NamedTuplestoreScan:
        case T_WorkTableScan:
        case T_ForeignScan:
            relation(as<Scan>(plan)->scanrelid, hash);
            break;
        case T_BitmapHeapScan:
            relation(as<Scan>(plan)->scanrelid, hash);
            break;
        case T_IndexScan: {
            const auto* scan = as<IndexScan>(plan);
            const bool folded = relation(scan->scan.scanrelid, hash);
            index(folded, scan->indexid, scan->indexqual, scan->indexorderby, hash);
            hash.add(static_cast<std::uint64_t>(scan->indexorderdir));
            break;
        }
        case T_IndexOnlyScan: {
            const auto* scan = as<IndexOnlyScan>(plan);
            const bool folded = relation(scan->scan.scanrelid, hash);
            index(folded, scan->indexid, scan->indexqual, scan->indexorderby, hash);
            hash.add(static_cast<std::uint64_t>(scan->indexorderdir));
            break;
        }
        case T_BitmapIndexScan: {
            const auto* scan = as<BitmapIndexScan>(plan);
            const bool folded = relation(scan->scan.scanrelid, hash);
            index(folded, scan->indexid, scan->indexqual, nullptr, hash);
            break;
        }
        case T_BitmapAnd:
            children(as<BitmapAnd>(plan)->bitmapplans, hash, depth);
            break;
        case T_BitmapOr:
            children(as<BitmapOr>(plan)->bitmapplans, hash, depth);
            break;
        case T_SubqueryScan:
            hash.add(node(as<SubqueryScan>(plan)->subplan, depth + 1));
            break;
        case T_CustomScan:
            children(as<CustomScan>(plan)->custom_plans, hash, depth);
            break;
        case T_NestLoop:
            hash.add(static_cast<std::uint64_t>(as<Join>(plan)->jointype));
            hash.add(static_cast<std::uint64_t>(list_length(as<NestLoop>(plan)->nestParams)));
            break;
        case T_MergeJoin:
            hash.add(static_cast<std::uint64_t>(as<Join>(plan)->jointype));
            hash.add(static_cast<std::uint64_t>(list_length(as<MergeJoin>(plan)->mergeclauses)));
            break;
        case T_HashJoin:
            hash.add(static_cast<std::uint64_t>(as<Join>(plan)->jointype));
            hash.add(static_cast<std::uint64_t>(list_length(as<HashJoin>(plan)->hashclauses)));
            break;
        case T_Sort:
            columns(as<Sort>(plan)->numCols, as<Sort>(plan)->sortColIdx, hash);
            break;
        case T_IncrementalSort:
            columns(as<IncrementalSort>(plan)->sort.numCols, as<IncrementalSort>(plan)->sort.sortColIdx, hash);
            hash.add(static_cast<std::uint64_t>(as<IncrementalSort>(plan)->nPresortedCols));
            break;
        case T_Group:
            columns(as<Group>(plan)->numCols, as<Group>(plan)->grpColIdx, hash);
            break;
        case T_Agg:
            hash.add(static_cast<std::uint64_t>(as<Agg>(plan)->aggstrategy));
            hash.add(static_cast<std::uint64_t>(as<Agg>(plan)->aggsplit));
            columns(as<Agg>(plan)->numCols, as<Agg>(plan)->grpColIdx, hash);
            break;
        case T_WindowAgg:
            columns(as<WindowAgg>(plan)->partNumCols, as<WindowAgg>(plan)->partColIdx, hash);
            columns(as<WindowAgg>(plan)->ordNumCols, as<WindowAgg>(plan)->ordColIdx, hash);
            break;
        case T_Unique:
            columns(as<Unique>(plan)->numCols, as<Unique>(plan)->uniqColIdx, hash);
            break;
        case T_SetOp:
            hash.add(static_cast<std::uint64_t>(as<SetOp>(plan)->cmd));
            hash.add(static_cast<std::uint64_t>(as<SetOp>(plan)->strategy));
            break;
        case T_ModifyTable: {
            const auto* modify = as<ModifyTable>(plan);
            hash.add(static_cast<std::uint64_t>(modify->operation));
            hash.add(static_cast<std::uint64_t>(modify->onConflictAction));
            ShapeSet targets; // partitions of one target fold into it
            const ListCell* cell;
            foreach (cell, modify->resultRelations) {
                ShapeHash target;
                relation(static_cast<Index>(lfirst_int(cell)), target);
                targets.add(target.value());
            }
            hash.add(targets.value());
            break;
        }
        default:
            break;
        }
    }

    const PlannedStmt* plan_;
    int nodes_ = 0;
};

} // namespace

PlanShape plan_shape(const PlannedStmt* plan) {
    Walker walker(plan);
    ShapeHash hash;
    hash.add(static_cast<std::uint64_t>(plan->commandType));
    hash.add(walker.node(plan->planTree, 0));
    const ListCell* cell;
    foreach (cell, plan->subplans)
        hash.add(walker.node(static_cast<const Plan*>(lfirst(cell)), 0));
    // 63 bits, so that SQL shows it as a positive number and there is room for a mark beside it; 0 says unknown.
    const std::uint64_t id = hash.value() & INT64_MAX;
    return {id != 0 ? id : 1, walker.nodes()};
}

} // namespace citadel::capture
