#include "advisor/index_pool_pg.hpp"

#include "advisor/expression_statistics_pg.hpp"
#include "advisor/index_info_pg.hpp"
#include "advisor/index_model_pg.hpp"

#include "pg/guard.hpp"
#include "pg/memory.hpp"
#include "pg/subtransaction.hpp"

#include <algorithm>
#include <optional>
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

std::int64_t too_long_row(const PreparedIndex& index) {
    return index.too_long;
}

IndexPool::IndexPool()
    : state_(std::make_unique<State>(pg::guard(
          [] { return AllocSetContextCreate(CurrentMemoryContext, "citadel_opt indexes", ALLOCSET_DEFAULT_SIZES); }))) {
    state_->next = first_hypothetical;
}

IndexPool::~IndexPool() {
    state_->facts.clear(); // samples have memory contexts of their own below this one
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
    if (index.predicate == nullptr &&
        std::any_of(index.key.begin(), index.key.end(),
                    [](const HypotheticalColumn& column) { return column.expression != nullptr; }))
        state_->with_expressions.push_back(&kept);
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

TableFacts& IndexPool::State::facts_of(Oid table) {
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
    const TableFacts& known_facts = facts_of(table);
    made->model = size_model(index.index, *made->form,
                             {table, known_facts.rows, known_facts.pages, [this, table] { return sample_of(table); }});
    // Of a partial index, examine_variable() does not look at the statistics.
    int expression = 0;
    for (int i = 0; i < made->form->nkeycolumns; ++i)
        made->statistics.push_back(
            made->form->indexkeys[i] != InvalidAttrNumber || made->form->indpred != NIL
                ? nullptr
                : learn(table, static_cast<const Node*>(list_nth(made->form->indexprs, expression++))));
    made->oid = unused_number();
    index.too_long = std::max(index.too_long, made->size_for(known_facts.rows).too_long);
    TableIndex& kept = *made;
    by_oid.emplace(kept.oid, &kept);
    index.tables.emplace(table, std::move(made));
    return kept;
}

// The topmost number that nothing has.
Oid IndexPool::State::unused_number() {
    while (pg::guard([this] { return SearchSysCacheExists1(RELOID, ObjectIdGetDatum(next)); }))
        --next;
    return next--;
}

TableSample* IndexPool::State::sample_of(Oid table) {
    // A sample may take some ten megabytes and milliseconds; of many partitions, the first stand for what is known.
    constexpr int most_tables = 200;
    TableFacts& known = facts_of(table);
    if (!known.sampled && sampled_tables < most_tables) {
        const pg::MemorySwitch lasting(memory);
        ++sampled_tables;
        known.sampled = true;
        known.sample = std::make_unique<TableSample>(table, known.rows, known.pages);
    }
    return known.sample != nullptr && known.sample->size() > 0 ? known.sample.get() : nullptr;
}

HeapTuple IndexPool::State::learn(Oid table, const Node* expression) {
    TableFacts& known = facts_of(table);
    for (std::size_t i = 0; i < known.expressions.size(); ++i)
        if (equal(known.expressions[i], expression))
            return known.statistics[i];
    TableSample* sample = sample_of(table);
    SampledValues* values = sample != nullptr ? sample->expression(expression) : nullptr;
    const HeapTuple statistics = values != nullptr ? expression_statistics(table, *values, known.rows) : nullptr;
    known.expressions.push_back(expression);
    known.statistics.push_back(statistics);
    if (statistics != nullptr && known.carrier == InvalidOid) {
        known.carrier = unused_number();
        tables_of_carriers.emplace(known.carrier, table);
    }
    return statistics;
}

HeapTuple IndexPool::State::statistics_of(Oid index, int column) {
    const auto carrier = tables_of_carriers.find(index);
    const auto found = by_oid.find(index);
    const std::vector<HeapTuple>* all = carrier != tables_of_carriers.end() ? &facts_of(carrier->second).statistics
                                        : found != by_oid.end()             ? &found->second->statistics
                                                                            : nullptr;
    const auto position = static_cast<std::size_t>(column - 1);
    return all != nullptr && position < all->size() ? (*all)[position] : nullptr;
}

void IndexPool::State::learn_all(Oid table) {
    TableFacts& known = facts_of(table);
    for (; known.learned < with_expressions.size(); ++known.learned) {
        PreparedIndex& index = *with_expressions[known.learned];
        if (!covers(index, table) || index.tables.count(table) != 0)
            continue;
        // One that cannot stand on this partition must not end the planner calls of all others.
        const std::optional<pg::Error> failure = pg::try_subtransaction([&] { on_table(index, table); });
        pg::rethrow_cancel(failure);
    }
}

IndexOptInfo* IndexPool::State::carrier_for(Oid table, RelOptInfo* relation) {
    const TableFacts& known = facts_of(table);
    if (known.carrier == InvalidOid)
        return nullptr;
    const auto* expressions = known.expressions.data();
    const std::size_t count = known.expressions.size();
    const Oid oid = known.carrier;
    return pg::guard([=] { return describe_carrier(expressions, count, relation, oid); });
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
