#include "advisor/what_if_pg.hpp"

#include "advisor/access_paths_pg.hpp"
#include "advisor/index_info_pg.hpp"
#include "advisor/index_pool_pg.hpp"
#include "pg/boundary.hpp"
#include "pg/compat.hpp"
#include "pg/guard.hpp"
#include "pg/plan_tree.hpp"

#include <algorithm>
#include <map>
#include <memory>
#include <utility>

extern "C" {
#include "catalog/catalog.h"
#include "catalog/pg_class.h"
#include "commands/defrem.h"
#include "commands/explain.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/plancat.h"
#include "parser/parsetree.h"
#include "utils/acl.h"
#include "utils/lsyscache.h"
#include "utils/selfuncs.h"
}

namespace citadel::advisor {

namespace {

ArmedIndexes::State* armed = nullptr;
get_relation_info_hook_type previous_relation_info = nullptr;
explain_get_index_name_hook_type previous_index_name = nullptr;
get_index_stats_hook_type previous_index_statistics = nullptr;

} // namespace

struct ArmedIndexes::State {
    IndexPool& pool;
    std::vector<PreparedIndex*> added;
    std::vector<Oid> hidden; // with the partitions of each; sorted
};

namespace {

void hide(RelOptInfo* relation) {
    const std::vector<Oid>& hidden = armed->hidden;
    ListCell* cell;
    foreach (cell, relation->indexlist)
        if (std::binary_search(hidden.begin(), hidden.end(), lfirst_node(IndexOptInfo, cell)->indexoid))
            relation->indexlist = foreach_delete_current(relation->indexlist, cell);
}

void inject(PlannerInfo* root, Oid table, bool is_parent, RelOptInfo* relation) {
    if (armed == nullptr || !is_ours(root))
        return;
    if (!armed->hidden.empty())
        hide(relation);
    if (is_parent)
        return;
    armed->pool.state().learn_all(table);
    if (IndexOptInfo* carrier = armed->pool.state().carrier_for(table, relation); carrier != nullptr)
        pg::guard([=] { relation->indexlist = lcons(carrier, relation->indexlist); });
    for (PreparedIndex* index : armed->added) {
        if (!armed->pool.state().covers(*index, table))
            continue;
        TableIndex& there = armed->pool.state().on_table(*index, table);
        if (index->too_long > 0)
            continue; // it cannot be built
        const IndexSize& size = there.size_for(relation->tuples);
        pg::guard([&there, &size, relation] {
            relation->indexlist = lcons(copy_for_planner(there.form, relation, there.oid, size), relation->indexlist);
        });
    }
    AccessPaths::watch(relation);
}

void relation_info_hook(PlannerInfo* root, Oid table, bool is_parent, RelOptInfo* relation) {
    if (previous_relation_info != nullptr)
        previous_relation_info(root, table, is_parent, relation);
    if (armed != nullptr)
        pg::boundary([=] { inject(root, table, is_parent, relation); });
}

// Statistics show data: to operators that may leak it, only when the user may read the table.
bool may_see_statistics(PlannerInfo* root, const RelOptInfo* relation) {
    if (relation == nullptr)
        return true; // the caller asks for correlation and width
    const RangeTblEntry* entry = planner_rt_fetch(relation->relid, root);
    return entry->securityQuals == NIL && pg_class_aclcheck(entry->relid, GetUserId(), ACL_SELECT) == ACLCHECK_OK;
}

// The statistics of an index column that is an expression, where the index is one of ours.
bool index_statistics_hook(PlannerInfo* root, Oid index, AttrNumber column, VariableStatData* data) {
    if (armed != nullptr) {
        HeapTuple statistics = nullptr;
        pg::boundary([&] {
            if (is_ours(root))
                statistics = armed->pool.state().statistics_of(index, column);
        });
        if (HeapTupleIsValid(statistics)) {
            data->statsTuple = statistics;
            data->freefunc = [](HeapTuple) {}; // it belongs to the pool
            data->acl_ok = may_see_statistics(root, data->rel);
            return true;
        }
    }
    return previous_index_statistics != nullptr && previous_index_statistics(root, index, column, data);
}

const char* index_name_hook(Oid index) {
    if (armed != nullptr) {
        const auto& known = armed->pool.state().by_oid;
        const auto found = known.find(index);
        if (found != known.end())
            return found->second->index->index.name.c_str();
    }
    return previous_index_name != nullptr ? previous_index_name(index) : nullptr;
}

} // namespace

bool is_ours(const PlannerInfo* root) {
    const Query* ours = query_being_planned();
    if (ours == nullptr)
        return false;
    while (root->parent_root != nullptr)
        root = root->parent_root;
    return root->parse == ours;
}

HypotheticalColumn resolve_key_column(Oid relation, const HypotheticalColumn& wanted, Oid access_method) {
    HypotheticalColumn resolved = wanted;
    pg::guard([&] {
        Oid type = InvalidOid;
        int32 modifier = -1;
        Oid collation = InvalidOid;
        if (wanted.column != InvalidAttrNumber) {
            get_atttypetypmodcoll(relation, wanted.column, &type, &modifier, &collation);
        } else {
            type = exprType(wanted.expression);
            collation = exprCollation(wanted.expression);
        }
        if (!OidIsValid(wanted.collation))
            resolved.collation = collation;
        if (OidIsValid(wanted.operator_class))
            return;
        resolved.operator_class = GetDefaultOpClass(type, access_method);
        if (OidIsValid(resolved.operator_class))
            return;
        const char* method = get_am_name(access_method);
        ereport(ERROR, (errcode(ERRCODE_UNDEFINED_OBJECT),
                        errmsg("data type %s has no default operator class for access method \"%s\"",
                               format_type_be(type), method),
                        wanted.column == InvalidAttrNumber
                            ? errhint("Name an operator class of \"%s\" for the expression.", method)
                            : errhint("Name an operator class of \"%s\" for column \"%s\".", method,
                                      get_attname(relation, wanted.column, false))));
    });
    return resolved;
}

void check_indexable(Oid relation) {
    pg::guard([relation] {
        const char kind = get_rel_relkind(relation);
        const char* name = get_rel_name(relation);
        if (name == nullptr)
            ereport(ERROR, (errcode(ERRCODE_UNDEFINED_TABLE), errmsg("relation with OID %u does not exist", relation)));
        if (kind != RELKIND_RELATION && kind != RELKIND_PARTITIONED_TABLE && kind != RELKIND_MATVIEW)
            ereport(ERROR, (errcode(ERRCODE_WRONG_OBJECT_TYPE), errmsg("\"%s\" cannot be indexed", name),
                            errhint("Indexes are recommended for tables, partitioned tables and materialized views.")));
        if (get_rel_persistence(relation) == RELPERSISTENCE_TEMP)
            ereport(ERROR, (errcode(ERRCODE_WRONG_OBJECT_TYPE), errmsg("\"%s\" is a temporary table", name),
                            errhint("Indexes are recommended for permanent tables.")));
        if (IsCatalogRelationOid(relation) || IsToastNamespace(get_rel_namespace(relation)))
            ereport(ERROR, (errcode(ERRCODE_WRONG_OBJECT_TYPE), errmsg("\"%s\" is a system catalog", name),
                            errhint("System catalogs take no further indexes.")));
    });
}

ArmedIndexes::ArmedIndexes(IndexPool& pool, std::vector<PreparedIndex*> added, const std::vector<Oid>& hidden)
    : state_(std::make_unique<State>(State{pool, std::move(added), {}})), outer_(armed) {
    for (const Oid index : hidden) {
        const std::vector<Oid>& all = pool.state().partitions_of(index);
        state_->hidden.insert(state_->hidden.end(), all.begin(), all.end());
    }
    std::sort(state_->hidden.begin(), state_->hidden.end());
    armed = state_.get();
}

ArmedIndexes::~ArmedIndexes() {
    armed = outer_;
}

namespace {

// Every index that the plans scan, each as often as it is scanned.
std::vector<Oid> scanned_by(const std::vector<PlannedStmt*>& plans) {
    std::vector<Oid> scanned;
    for (PlannedStmt* plan : plans) {
        pg::visit_plan(
            plan,
            [](Plan* node, void* context) {
                Oid index = InvalidOid;
                if (IsA(node, IndexScan))
                    index = reinterpret_cast<IndexScan*>(node)->indexid;
                else if (IsA(node, IndexOnlyScan))
                    index = reinterpret_cast<IndexOnlyScan*>(node)->indexid;
                else if (IsA(node, BitmapIndexScan))
                    index = reinterpret_cast<BitmapIndexScan*>(node)->indexid;
                if (OidIsValid(index))
                    static_cast<std::vector<Oid>*>(context)->push_back(index);
            },
            &scanned);
    }
    return scanned;
}

} // namespace

std::vector<bool> ArmedIndexes::used_by(const std::vector<PlannedStmt*>& plans) const {
    std::vector<bool> used(state_->added.size());
    const auto& known = state_->pool.state().by_oid;
    for (const Oid oid : scanned_by(plans)) {
        const auto found = known.find(oid);
        if (found == known.end())
            continue;
        const auto position = std::find(state_->added.begin(), state_->added.end(), found->second->index);
        if (position != state_->added.end())
            used[static_cast<std::size_t>(position - state_->added.begin())] = true;
    }
    return used;
}

std::vector<Oid> ArmedIndexes::added_used_by(const std::vector<PlannedStmt*>& plans) const {
    std::vector<Oid> used;
    for (const Oid oid : scanned_by(plans))
        if (state_->pool.state().by_oid.count(oid) != 0)
            used.push_back(oid);
    std::sort(used.begin(), used.end());
    used.erase(std::unique(used.begin(), used.end()), used.end());
    return used;
}

std::optional<std::size_t> ArmedIndexes::position_of(Oid index) const {
    const auto& known = state_->pool.state().by_oid;
    const auto found = known.find(index);
    if (found == known.end())
        return std::nullopt;
    const auto position = std::find(state_->added.begin(), state_->added.end(), found->second->index);
    return static_cast<std::size_t>(position - state_->added.begin());
}

std::vector<Oid> ArmedIndexes::existing_used_by(const std::vector<PlannedStmt*>& plans) const {
    std::vector<Oid> used;
    for (const Oid oid : scanned_by(plans))
        if (state_->pool.state().by_oid.count(oid) == 0)
            used.push_back(state_->pool.state().topmost(oid));
    std::sort(used.begin(), used.end());
    used.erase(std::unique(used.begin(), used.end()), used.end());
    return used;
}

void install_what_if() {
    previous_relation_info = get_relation_info_hook;
    get_relation_info_hook = relation_info_hook;
    previous_index_statistics = get_index_stats_hook;
    get_index_stats_hook = index_statistics_hook;
    previous_index_name = explain_get_index_name_hook;
    explain_get_index_name_hook = index_name_hook;
}

} // namespace citadel::advisor
