#include "advisor/access_paths_pg.hpp"

#include "advisor/what_if_pg.hpp"

#include "pg/boundary.hpp"
#include "pg/guard.hpp"
#include "pg/plan_tree.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <map>

extern "C" {
#include "access/amapi.h"
#include "optimizer/pathnode.h"
#include "optimizer/paths.h"
#include "parser/parsetree.h"
}

namespace citadel::advisor {

namespace {

// One way to read a table.
struct Access {
    const RelOptInfo* relation;
    Oid index;    // InvalidOid: none
    Relids outer; // whose columns it is searched with
    List* order;  // pathkeys
    double cost;  // of one run
};

// A path that the access method was asked to price; complete when the planner is done with its table. The planner keeps
// index paths in memory even when it prefers others.
struct Asked {
    IndexPath* path;
    const RelOptInfo* relation;
    double loops;
    // Copied: what tells a path for parallel workers from the one before.
    const IndexOptInfo* index;
    const List* clauses;
    const List* order;
    ScanDirection direction;
};

constexpr std::size_t most_asked = 4096;
std::array<Asked, most_asked> asked;
std::size_t asked_count = 0;

// The access methods' own functions.
struct Estimator {
    Oid method;
    amcostestimate_function function;
};
std::array<Estimator, 16> estimators;
std::size_t estimator_count = 0;

AccessPaths::State* collecting = nullptr;
set_rel_pathlist_hook_type previous_hook = nullptr;

amcostestimate_function estimator_of(Oid method) {
    for (std::size_t i = 0; i < estimator_count; ++i)
        if (estimators[i].method == method)
            return estimators[i].function;
    return nullptr;
}

// Stands in for the access method's function. Errors jump through it: nothing here has a destructor.
void note_cost(PlannerInfo* root, IndexPath* path, double loops, Cost* startup, Cost* total, Selectivity* selectivity,
               double* correlation, double* pages) {
    estimator_of(path->indexinfo->relam)(root, path, loops, startup, total, selectivity, correlation, pages);
    const Asked noted = {
        path, path->path.parent, loops, path->indexinfo, path->indexclauses, path->path.pathkeys, path->indexscandir};
    // The planner makes the same path once more for parallel workers, which shows later alone, and frees it when they
    // are not worth it.
    if (asked_count > 0) {
        const Asked& last = asked[asked_count - 1];
        if (last.index == noted.index && last.clauses == noted.clauses && last.order == noted.order &&
            last.direction == noted.direction && last.relation == noted.relation)
            return;
    }
    if (asked_count < most_asked)
        asked[asked_count++] = noted;
}

} // namespace

struct AccessPaths::State {
    std::vector<Access> found;
};

namespace {

struct Found {
    Access* paths;
    int count;
};

Found read_paths(PlannerInfo* root, RelOptInfo* relation) {
    Found found = {static_cast<Access*>(palloc(sizeof(Access) * (2 * asked_count + 1))), 0};
    const auto add = [&found, relation](Oid index, const Path& path) {
        found.paths[found.count++] = {relation, index, PATH_REQ_OUTER(&path), path.pathkeys, path.total_cost};
    };
    if (bms_is_empty(relation->lateral_relids))
        add(InvalidOid, *create_seqscan_path(root, relation, nullptr, 0));
    for (std::size_t i = 0; i < asked_count; ++i) {
        IndexPath* const path = asked[i].path;
        if (asked[i].relation != relation)
            continue;
        const IndexOptInfo* const index = path->indexinfo;
        if (index->amhasgettuple)
            add(index->indexoid, path->path);
        const bool searched = path->indexclauses != NIL || (index->indpred != NIL && index->predOK);
        if (index->amhasgetbitmap && searched && path->indexorderbys == NIL)
            add(index->indexoid,
                create_bitmap_heap_path(root, relation, &path->path, PATH_REQ_OUTER(&path->path), asked[i].loops, 0)
                    ->path);
    }
    return found;
}

void set_rel_pathlist(PlannerInfo* root, RelOptInfo* relation, Index number, RangeTblEntry* entry) {
    if (previous_hook != nullptr)
        previous_hook(root, relation, number, entry);
    if (collecting == nullptr)
        return;
    if (entry->rtekind == RTE_RELATION && relation->reloptkind == RELOPT_BASEREL && !entry->inh &&
        entry->tablesample == nullptr && !IS_DUMMY_REL(relation))
        pg::boundary([=] {
            if (!is_ours(root))
                return;
            const Found found = pg::guard([=] { return read_paths(root, relation); });
            collecting->found.insert(collecting->found.end(), found.paths, found.paths + found.count);
        });
    asked_count = 0;
}

// Where an index is used in a plan, and how often it runs there.
struct Use {
    Access access;
    double times;
    bool ordered; // somebody above may rely on the order
};

class Walk {
  public:
    Walk(const std::vector<Access>& known, const PlannedStmt* plan) : known_(known), plan_(plan) {
        visit(plan->planTree, {1.0, 1.0, true});
    }
    const std::vector<Use>& uses() const { return uses_; }

  private:
    struct Position {
        double times;    // how often it is started
        double fraction; // how much of it is read each time
        bool ordered;
    };

    void visit(const Plan* node, Position at) {
        if (node == nullptr)
            return;
        pg::guard([] { check_stack_depth(); });
        const ListCell* cell = nullptr;
        foreach (cell, node->initPlan) {
            const int number = lfirst_node(SubPlan, cell)->plan_id;
            visit(static_cast<const Plan*>(list_nth(plan_->subplans, number - 1)), {1.0, 1.0, true});
        }
        const Plan* const left = node->lefttree;
        const Plan* const right = node->righttree;
        switch (nodeTag(node)) {
        case T_IndexScan:
            use(node, reinterpret_cast<const IndexScan*>(node)->indexid, at);
            return;
        case T_IndexOnlyScan:
            use(node, reinterpret_cast<const IndexOnlyScan*>(node)->indexid, at);
            return;
        case T_BitmapHeapScan:
            if (IsA(left, BitmapIndexScan))
                use(node, reinterpret_cast<const BitmapIndexScan*>(left)->indexid, at);
            return;
        case T_NestLoop:
            visit(left, at);
            visit_inner(right, left->plan_rows, at);
            return;
        case T_HashJoin:
            visit(left, {at.times, at.fraction, false});
            visit(right, {at.times, 1.0, false});
            return;
        case T_MergeJoin:
            visit(left, {at.times, at.fraction, true});
            visit(right, {at.times, at.fraction, true});
            return;
        case T_Sort:
            visit(left, {at.times, 1.0, false});
            return;
        case T_Agg:
            if (reinterpret_cast<const Agg*>(node)->aggstrategy != AGG_SORTED)
                at = {at.times, 1.0, false};
            visit(left, at);
            return;
        case T_Limit: {
            const double all = left->total_cost - left->startup_cost;
            if (all > 0.0)
                at.fraction *= std::clamp((node->total_cost - left->startup_cost) / all, 0.0, 1.0);
            visit(left, at);
            return;
        }
        case T_Append:
            visit(reinterpret_cast<const Append*>(node)->appendplans, at);
            return;
        case T_MergeAppend:
            visit(reinterpret_cast<const MergeAppend*>(node)->mergeplans, {at.times, at.fraction, true});
            return;
        case T_SubqueryScan:
            visit(reinterpret_cast<const SubqueryScan*>(node)->subplan, at);
            return;
        default:
            visit(left, at);
            visit(right, at);
        }
    }

    void visit(const List* plans, const Position& at) {
        const ListCell* cell = nullptr;
        foreach (cell, plans)
            visit(static_cast<const Plan*>(lfirst(cell)), at);
    }

    void visit_inner(const Plan* inner, double outer_rows, const Position& at) {
        const double rows = std::max(outer_rows * at.fraction, 1.0);
        if (IsA(inner, Material))
            visit(inner->lefttree, {at.times, 1.0, false});
        else if (IsA(inner, Memoize))
            visit(inner->lefttree,
                  {at.times * std::clamp<double>(reinterpret_cast<const Memoize*>(inner)->est_entries, 1.0, rows), 1.0,
                   false});
        else
            visit(inner, {at.times * rows, 1.0, false});
    }

    // The path behind a plan's scan: same index, same cost (a target list may have added a little).
    void use(const Plan* node, Oid index, const Position& at) {
        const Access* best = nullptr;
        double least = 0.01 * node->total_cost;
        for (const Access& access : known_)
            if (access.index == index && std::abs(access.cost - node->total_cost) <= least) {
                least = std::abs(access.cost - node->total_cost);
                best = &access;
            }
        if (best != nullptr)
            uses_.push_back({*best, at.times * at.fraction, at.ordered});
    }

    const std::vector<Access>& known_;
    const PlannedStmt* plan_;
    std::vector<Use> uses_;
};

// What the cost changes by with each other access in the place of this one.
std::map<Oid, double> changes_of(const Use& use, const std::vector<Access>& known) {
    std::map<Oid, double> changes;
    for (const Access& access : known) {
        if (access.relation != use.access.relation || access.index == use.access.index)
            continue;
        List* const wanted = use.access.order;
        List* const given = access.order;
        const Relids outer = use.access.outer;
        const Relids other = access.outer;
        if (!pg::guard([=] { return bms_equal(outer, other); }) ||
            (use.ordered && !pg::guard([=] { return pathkeys_contained_in(wanted, given); })))
            continue;
        const double change = use.times * (access.cost - use.access.cost);
        const auto [entry, is_new] = changes.emplace(access.index, change);
        if (!is_new)
            entry->second = std::min(entry->second, change);
    }
    return changes;
}

// How often the plans name each index.
std::map<Oid, std::size_t> scans_in(const std::vector<PlannedStmt*>& plans) {
    std::map<Oid, std::size_t> scans;
    for (PlannedStmt* plan : plans)
        pg::visit_plan(
            plan,
            [](Plan* node, void* context) {
                auto& counts = *static_cast<std::map<Oid, std::size_t>*>(context);
                if (IsA(node, IndexScan))
                    ++counts[reinterpret_cast<IndexScan*>(node)->indexid];
                else if (IsA(node, IndexOnlyScan))
                    ++counts[reinterpret_cast<IndexOnlyScan*>(node)->indexid];
                else if (IsA(node, BitmapIndexScan))
                    ++counts[reinterpret_cast<BitmapIndexScan*>(node)->indexid];
            },
            &scans);
    return scans;
}

} // namespace

AccessPaths::AccessPaths() : state_(new State), outer_(collecting) {
    collecting = state_;
    asked_count = 0;
}

AccessPaths::~AccessPaths() {
    collecting = outer_;
    asked_count = 0;
    delete state_;
}

void AccessPaths::watch(RelOptInfo* relation) {
    if (collecting == nullptr)
        return;
    pg::guard([relation] {
        const ListCell* cell = nullptr;
        foreach (cell, relation->indexlist) {
            IndexOptInfo* const index = lfirst_node(IndexOptInfo, cell);
            if (estimator_of(index->relam) == nullptr) {
                if (index->relam == InvalidOid || estimator_count == estimators.size())
                    continue;
                estimators[estimator_count++] = {index->relam,
                                                 GetIndexAmRoutineByAmId(index->relam, false)->amcostestimate};
            }
            index->amcostestimate = reinterpret_cast<decltype(index->amcostestimate)>(note_cost);
        }
    });
}

std::vector<Place> AccessPaths::places(const std::vector<PlannedStmt*>& plans) const {
    struct Gathered {
        std::size_t seen = 0;
        std::map<Oid, double> changes;
    };
    std::map<Oid, Gathered> gathered;
    for (const PlannedStmt* plan : plans) {
        const Walk walk(state_->found, plan);
        for (const Use& use : walk.uses()) {
            Gathered& all = gathered[use.access.index];
            std::map<Oid, double> changes = changes_of(use, state_->found);
            if (++all.seen == 1) {
                all.changes = std::move(changes);
                continue;
            }
            for (auto entry = all.changes.begin(); entry != all.changes.end();) {
                const auto other = changes.find(entry->first);
                if (other == changes.end()) {
                    entry = all.changes.erase(entry);
                } else {
                    entry->second += other->second;
                    ++entry;
                }
            }
        }
    }
    const std::map<Oid, std::size_t> scans = scans_in(plans);
    std::vector<Place> places;
    for (const auto& [index, all] : gathered) {
        if (all.seen != scans.at(index))
            continue;
        Place place{index, {}};
        for (const auto& [other, change] : all.changes)
            place.others.push_back({other, change});
        places.push_back(std::move(place));
    }
    return places;
}

void install_access_paths() {
    previous_hook = set_rel_pathlist_hook;
    set_rel_pathlist_hook = set_rel_pathlist;
}

} // namespace citadel::advisor
