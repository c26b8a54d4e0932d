#include "advisor/index_pool_pg.hpp"

#include "advisor/index_info_pg.hpp"
#include "advisor/index_model_pg.hpp"

#include "pg/guard.hpp"
#include "pg/memory.hpp"

#include <algorithm>
#include <utility>

extern "C" {
#include "access/relation.h"
#include "catalog/partition.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/plancat.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"
}

namespace citadel::advisor {

namespace {

// Index numbers are handed out from the top of the OID space, where no server counts within a lifetime; one that is in
// use all the same is passed over.
constexpr Oid first_hypothetical = 4294967000U;

// Relations below a partitioned one that hold rows themselves (or, for an index, that hold its entries). No lock is
// kept: thousands of partitions would fill the lock table.
std::vector<Oid> leaves_of(Oid relation, char kind) {
    std::vector<Oid> leaves;
    List* all = pg::guard([relation] { return find_all_inheritors(relation, NoLock, nullptr); });
    const ListCell* cell;
    foreach (cell, all) {
        const Oid child = lfirst_oid(cell);
        if (pg::guard([child] { return get_rel_relkind(child); }) == kind)
            leaves.push_back(child);
    }
    return leaves;
}

std::vector<Oid> tables_of(Oid relation) {
    if (pg::guard([relation] { return get_rel_relkind(relation); }) == RELKIND_PARTITIONED_TABLE)
        return leaves_of(relation, RELKIND_RELATION);
    return {relation};
}

std::vector<Oid> ancestors_of(Oid table) {
    std::vector<Oid> ancestors;
    List* above =
        pg::guard([table]() -> List* { return get_rel_relispartition(table) ? get_partition_ancestors(table) : NIL; });
    const ListCell* cell;
    foreach (cell, above)
        ancestors.push_back(lfirst_oid(cell));
    return ancestors;
}

template <class T>
T* copied(const T* expression) {
    return static_cast<T*>(pg::guard([expression] { return copyObjectImpl(expression); }));
}

} // namespace

const HypotheticalIndex& description_of(const PreparedIndex& index) {
    return index.index;
}

IndexPool::IndexPool()
    : state_(std::make_unique<State>(pg::guard(
          [] { return AllocSetContextCreate(CurrentMemoryContext, "citadel_opt indexes", ALLOCSET_DEFAULT_SIZES); }))) {
    state_->next = first_hypothetical;
}

IndexPool::~IndexPool() {
    MemoryContextDelete(state_->memory);
}

PreparedIndex& IndexPool::prepare(const HypotheticalIndex& index) {
    const pg::MemorySwitch lasting(state_->memory);
    auto prepared = std::make_unique<PreparedIndex>(index);
    for (HypotheticalColumn& column : prepared->index.key)
        if (column.expression != nullptr)
            column.expression = copied(column.expression);
    if (index.predicate != nullptr)
        prepared->index.predicate = copied(index.predicate);
    state_->indexes.push_back(std::move(prepared));
    PreparedIndex& kept = *state_->indexes.back();
    const Oid relation = index.relation;
    if (pg::guard([relation] { return get_rel_relkind(relation); }) != RELKIND_PARTITIONED_TABLE)
        state_->on_table(kept, relation);
    return kept;
}

std::int64_t IndexPool::bytes(PreparedIndex& index) {
    if (index.bytes >= 0)
        return index.bytes;
    std::int64_t bytes = 0;
    for (const Oid table : tables_of(index.index.relation)) {
        TableIndex& there = state_->on_table(index, table);
        bytes += static_cast<std::int64_t>(there.size_for(state_->facts_of(table).rows).bytes(BLCKSZ));
    }
    index.bytes = bytes;
    return bytes;
}

const TableFacts& IndexPool::State::facts_of(Oid table) {
    const auto known = facts.find(table);
    if (known != facts.end())
        return known->second;
    TableFacts found;
    pg::guard([table, &found] {
        Relation opened = try_relation_open(table, AccessShareLock);
        if (opened == nullptr)
            return; // dropped meanwhile
        double all_visible = 0;
        estimate_rel_size(opened, nullptr, &found.pages, &found.rows, &all_visible);
        relation_close(opened, AccessShareLock);
    });
    found.ancestors = ancestors_of(table);
    return facts.emplace(table, std::move(found)).first->second;
}

TableIndex& IndexPool::State::on_table(PreparedIndex& index, Oid table) {
    const auto known = index.tables.find(table);
    if (known != index.tables.end())
        return *known->second;
    const pg::MemorySwitch lasting(memory);
    auto made = std::make_unique<TableIndex>();
    made->table = table;
    made->index = &index;
    made->form = describe_index(index.index, table);
    made->model = size_model(index.index, *made->form, table);
    while (pg::guard([this] { return SearchSysCacheExists1(RELOID, ObjectIdGetDatum(next)); }))
        --next;
    made->oid = next--;
    TableIndex& kept = *made;
    by_oid.emplace(kept.oid, &kept);
    index.tables.emplace(table, std::move(made));
    return kept;
}

bool IndexPool::State::covers(const PreparedIndex& index, Oid table) {
    if (index.index.relation == table)
        return true;
    const std::vector<Oid>& above = facts_of(table).ancestors;
    return std::find(above.begin(), above.end(), index.index.relation) != above.end();
}

const std::vector<Oid>& IndexPool::State::partitions_of(Oid index) {
    const auto known = index_partitions.find(index);
    if (known != index_partitions.end())
        return known->second;
    std::vector<Oid> all = {index};
    if (pg::guard([index] { return get_rel_relkind(index); }) == RELKIND_PARTITIONED_INDEX) {
        List* found = pg::guard([index] { return find_all_inheritors(index, NoLock, nullptr); });
        const ListCell* cell;
        foreach (cell, found)
            all.push_back(lfirst_oid(cell));
        std::sort(all.begin(), all.end());
    }
    return index_partitions.emplace(index, std::move(all)).first->second;
}

Oid IndexPool::State::topmost(Oid index) {
    const auto known = index_parents.find(index);
    if (known != index_parents.end())
        return known->second;
    const std::vector<Oid> above = ancestors_of(index);
    const Oid top = above.empty() ? index : above.back();
    index_parents.emplace(index, top);
    return top;
}

} // namespace citadel::advisor
