#include "advisor/what_if_pg.hpp"

#include "advisor/index_size_pg.hpp"
#include "pg/boundary.hpp"
#include "pg/compat.hpp"
#include "pg/guard.hpp"
#include "pg/plan_tree.hpp"
#include "pg/text.hpp"

#include <algorithm>
#include <map>
#include <memory>

extern "C" {
#include "access/amapi.h"
#include "access/relation.h"
#include "catalog/catalog.h"
#include "catalog/pg_am_d.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "commands/defrem.h"
#include "commands/explain.h"
#include "nodes/makefuncs.h"
#include "optimizer/plancat.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"
}

namespace citadel::advisor {

namespace {

// One hypothetical index as one table of the server sees it: the table itself, or a leaf partition.
struct Resolved {
    Oid index = InvalidOid; // an OID that no relation has
    Oid table = InvalidOid;
    std::size_t position = 0; // in the list that was armed
    std::vector<HypotheticalColumn> key;
    std::vector<AttrNumber> included;
    bool unique = false;
    const char* name = nullptr;
};

// Index numbers are handed out from the top of the OID space, where no server counts within a lifetime; one that is in
// use all the same is passed over.
constexpr Oid first_hypothetical = 4294967000U;

ArmedIndexes::State* armed = nullptr;
get_relation_info_hook_type previous_relation_info = nullptr;
explain_get_index_name_hook_type previous_index_name = nullptr;

} // namespace

struct ArmedIndexes::State {
    std::vector<HypotheticalIndex> indexes;
    std::multimap<Oid, std::unique_ptr<Resolved>> by_table;
    std::map<Oid, const Resolved*> by_index;
};

namespace {

std::vector<Oid> leaf_partitions(Oid relation) {
    std::vector<Oid> leaves;
    List* all = pg::guard([relation] { return find_all_inheritors(relation, AccessShareLock, nullptr); });
    const ListCell* cell;
    foreach (cell, all) {
        const Oid child = lfirst_oid(cell);
        if (pg::guard([child] { return get_rel_relkind(child); }) == RELKIND_RELATION)
            leaves.push_back(child);
    }
    return leaves;
}

// The partition's number of a column of its parent: they differ when columns were dropped in one of them.
AttrNumber column_in(Oid partition, Oid parent, AttrNumber column) {
    return pg::guard([=]() -> AttrNumber {
        const char* name = get_attname(parent, column, false);
        const AttrNumber number = get_attnum(partition, name);
        if (number == InvalidAttrNumber)
            elog(ERROR, "partition %u has no column \"%s\"", partition, name);
        return number;
    });
}

Resolved resolve_for(const HypotheticalIndex& index, Oid table) {
    Resolved resolved;
    resolved.table = table;
    resolved.key = index.key;
    resolved.included = index.included;
    resolved.unique = index.unique;
    if (table != index.relation) {
        for (HypotheticalColumn& column : resolved.key)
            column.column = column_in(table, index.relation, column.column);
        for (AttrNumber& column : resolved.included)
            column = column_in(table, index.relation, column);
    }
    return resolved;
}

std::vector<Oid> tables_of(Oid relation) {
    if (pg::guard([relation] { return get_rel_relkind(relation); }) == RELKIND_PARTITIONED_TABLE)
        return leaf_partitions(relation);
    return {relation};
}

std::vector<AttrNumber> key_numbers(const std::vector<HypotheticalColumn>& key) {
    std::vector<AttrNumber> numbers;
    numbers.reserve(key.size());
    for (const HypotheticalColumn& column : key)
        numbers.push_back(column.column);
    return numbers;
}

IndexSize size_of(const Resolved& index, double rows) {
    return btree_size(sized_index(index.table, rows, key_numbers(index.key), index.included, index.unique));
}

// The planner's description of an index, built as get_relation_info() builds it for a real B-tree.
struct IndexShape {
    const HypotheticalColumn* key;
    int key_count;
    const AttrNumber* included;
    int included_count;
};

void fill_columns(IndexOptInfo* info, const IndexShape& shape, Oid table, Index relid) {
    const int keys = shape.key_count;
    const int columns = keys + shape.included_count;
    info->ncolumns = columns;
    info->nkeycolumns = keys;
    info->indexkeys = static_cast<int*>(palloc(sizeof(int) * columns));
    info->indexcollations = static_cast<Oid*>(palloc0(sizeof(Oid) * keys));
    info->opfamily = static_cast<Oid*>(palloc(sizeof(Oid) * keys));
    info->opcintype = static_cast<Oid*>(palloc(sizeof(Oid) * keys));
    info->reverse_sort = static_cast<bool*>(palloc(sizeof(bool) * keys));
    info->nulls_first = static_cast<bool*>(palloc(sizeof(bool) * keys));
    info->canreturn = static_cast<bool*>(palloc(sizeof(bool) * columns));
    info->opclassoptions = static_cast<bytea**>(palloc0(sizeof(bytea*) * keys));
    for (int i = 0; i < columns; ++i) {
        const AttrNumber column = i < keys ? shape.key[i].column : shape.included[i - keys];
        info->indexkeys[i] = column;
        info->canreturn[i] = true; // a B-tree returns every column
        Oid type = InvalidOid;
        int32 modifier = -1;
        Oid collation = InvalidOid;
        get_atttypetypmodcoll(table, column, &type, &modifier, &collation);
        Var* variable = makeVar(static_cast<int>(relid), column, type, modifier, collation, 0);
        info->indextlist = lappend(info->indextlist, makeTargetEntry(reinterpret_cast<Expr*>(variable),
                                                                     static_cast<AttrNumber>(i + 1), nullptr, false));
        if (i >= keys)
            continue;
        info->indexcollations[i] = shape.key[i].collation;
        info->opfamily[i] = get_opclass_family(shape.key[i].operator_class);
        info->opcintype[i] = get_opclass_input_type(shape.key[i].operator_class);
        info->reverse_sort[i] = shape.key[i].descending;
        info->nulls_first[i] = shape.key[i].nulls_first;
    }
    info->sortopfamily = info->opfamily;
}

IndexOptInfo* make_index_info(const Resolved& index, const IndexSize& size, RelOptInfo* relation) {
    const IndexShape shape{index.key.data(), static_cast<int>(index.key.size()), index.included.data(),
                           static_cast<int>(index.included.size())};
    const double rows = relation->tuples;
    const auto pages = static_cast<BlockNumber>(std::min<std::uint64_t>(size.pages, MaxBlockNumber));
    const int height = size.tree_height;
    const Oid oid = index.index;
    const Oid table = index.table;
    const bool unique = index.unique;
    return pg::guard([=] {
        const IndexAmRoutine* method = GetIndexAmRoutineByAmId(BTREE_AM_OID, false);
        IndexOptInfo* info = makeNode(IndexOptInfo);
        info->indexoid = oid;
        info->reltablespace = InvalidOid; // costs as in the database's default tablespace
        info->rel = relation;
        info->pages = pages;
        info->tuples = rows;
        info->tree_height = height;
        fill_columns(info, shape, table, relation->relid);
        info->relam = BTREE_AM_OID;
        info->unique = unique;
        info->immediate = true;
        info->hypothetical = true;
        pg::copy_access_method(info, method);
        return info;
    });
}

void inject(PlannerInfo* root, Oid table, bool is_parent, RelOptInfo* relation) {
    if (armed == nullptr || is_parent || !is_ours(root))
        return;
    const auto [begin, end] = armed->by_table.equal_range(table);
    for (auto entry = begin; entry != end; ++entry) {
        const Resolved& index = *entry->second;
        IndexOptInfo* info = make_index_info(index, size_of(index, relation->tuples), relation);
        pg::guard([=] { relation->indexlist = lcons(info, relation->indexlist); });
    }
}

void relation_info_hook(PlannerInfo* root, Oid table, bool is_parent, RelOptInfo* relation) {
    if (previous_relation_info != nullptr)
        previous_relation_info(root, table, is_parent, relation);
    if (armed != nullptr)
        pg::boundary([=] { inject(root, table, is_parent, relation); });
}

const char* index_name_hook(Oid index) {
    if (armed != nullptr) {
        const auto found = armed->by_index.find(index);
        if (found != armed->by_index.end())
            return found->second->name;
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

HypotheticalColumn resolve_column(Oid relation, AttrNumber column, bool descending, bool nulls_first) {
    HypotheticalColumn resolved;
    resolved.column = column;
    resolved.descending = descending;
    resolved.nulls_first = nulls_first;
    pg::guard([&] {
        Oid type = InvalidOid;
        int32 modifier = -1;
        Oid collation = InvalidOid;
        get_atttypetypmodcoll(relation, column, &type, &modifier, &collation);
        resolved.operator_class = GetDefaultOpClass(type, BTREE_AM_OID);
        if (!OidIsValid(resolved.operator_class))
            ereport(ERROR, (errcode(ERRCODE_UNDEFINED_OBJECT),
                            errmsg("data type %s has no default operator class for access method \"btree\"",
                                   format_type_be(type)),
                            errhint("A B-tree cannot index column \"%s\".", get_attname(relation, column, false))));
        resolved.collation = collation;
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

ArmedIndexes::ArmedIndexes(const std::vector<HypotheticalIndex>& indexes) : state_(nullptr), outer_(armed) {
    auto state = std::make_unique<State>();
    state->indexes = indexes;
    Oid next = first_hypothetical;
    for (std::size_t position = 0; position < state->indexes.size(); ++position) {
        const HypotheticalIndex& index = state->indexes[position];
        for (const Oid table : tables_of(index.relation)) {
            auto resolved = std::make_unique<Resolved>(resolve_for(index, table));
            while (pg::guard([next] { return SearchSysCacheExists1(RELOID, ObjectIdGetDatum(next)); }))
                --next;
            resolved->index = next--;
            resolved->position = position;
            resolved->name = index.name.c_str();
            state->by_index[resolved->index] = resolved.get();
            state->by_table.emplace(table, std::move(resolved));
        }
    }
    state_ = state.release();
    armed = state_;
}

ArmedIndexes::~ArmedIndexes() {
    armed = outer_;
    delete state_;
}

std::vector<bool> ArmedIndexes::used_by(const std::vector<PlannedStmt*>& plans) const {
    struct Search {
        const State* state;
        std::vector<bool> used;
    } search{state_, std::vector<bool>(state_->indexes.size())};
    for (PlannedStmt* plan : plans) {
        pg::visit_plan(
            plan,
            [](Plan* node, void* context) {
                auto* search = static_cast<Search*>(context);
                Oid index = InvalidOid;
                if (IsA(node, IndexScan))
                    index = reinterpret_cast<IndexScan*>(node)->indexid;
                else if (IsA(node, IndexOnlyScan))
                    index = reinterpret_cast<IndexOnlyScan*>(node)->indexid;
                else if (IsA(node, BitmapIndexScan))
                    index = reinterpret_cast<BitmapIndexScan*>(node)->indexid;
                const auto found = search->state->by_index.find(index);
                if (found != search->state->by_index.end())
                    search->used[found->second->position] = true;
            },
            &search);
    }
    return search.used;
}

std::int64_t estimated_bytes(const HypotheticalIndex& index) {
    std::int64_t bytes = 0;
    for (const Oid table : tables_of(index.relation)) {
        const double rows = pg::guard([table] {
            Relation opened = relation_open(table, AccessShareLock);
            BlockNumber pages = 0;
            double tuples = 0;
            double all_visible = 0;
            estimate_rel_size(opened, nullptr, &pages, &tuples, &all_visible);
            relation_close(opened, NoLock);
            return tuples;
        });
        bytes += static_cast<std::int64_t>(size_of(resolve_for(index, table), rows).bytes(BLCKSZ));
    }
    return bytes;
}

void install_what_if() {
    previous_relation_info = get_relation_info_hook;
    get_relation_info_hook = relation_info_hook;
    previous_index_name = explain_get_index_name_hook;
    explain_get_index_name_hook = index_name_hook;
}

} // namespace citadel::advisor
