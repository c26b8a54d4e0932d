#include "advisor/writes_pg.hpp"

#include "advisor/drops.hpp"

#include "pg/compat.hpp"
#include "pg/guard.hpp"
#include "pg/spi.hpp"
#include "pg/subtransaction.hpp"

#include <algorithm>
#include <optional>

extern "C" {
#include "catalog/pg_class.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "utils/lsyscache.h"
}

namespace citadel::advisor {

namespace {

CostUnits server_units() {
    CostUnits units;
    units.cpu_operator = cpu_operator_cost;
    units.cpu_index_tuple = cpu_index_tuple_cost;
    units.random_page = random_page_cost;
    units.cache_pages = effective_cache_size;
    return units;
}

// A row in the table itself: its place, its WAL, its share of a page that has to be written.
constexpr double heap_row_cost = 1.0;

TableWrites of_one(const WriteUse& use) {
    TableWrites writes;
    if (use.kind == WriteKind::insert)
        writes.inserts = use.rows;
    else if (use.kind == WriteKind::remove)
        writes.deletes = use.rows;
    else
        writes.updates.push_back({use.columns, use.rows});
    return writes;
}

bool has_indexes(RelationId relation) {
    const char kind = pg::guard([relation] { return get_rel_relkind(relation); });
    return kind == RELKIND_RELATION || kind == RELKIND_PARTITIONED_TABLE || kind == RELKIND_MATVIEW;
}

} // namespace

std::map<RelationId, WriteRates> measured_writes() {
    std::map<RelationId, WriteRates> measured;
    pg::Spi spi;
    const pg::Rows rows = spi.query(R"(
        WITH hourly AS (
            SELECT coalesce(pg_catalog.pg_partition_root(c.oid)::oid, c.oid) AS relation,
                   pg_catalog.date_trunc('hour', d.at) AS hour,
                   pg_catalog.sum(d.rows_inserted)::float8 AS inserted,
                   pg_catalog.sum(d.rows_updated)::float8 AS updated,
                   pg_catalog.sum(d.rows_hot_updated)::float8 AS hot,
                   pg_catalog.sum(d.rows_deleted)::float8 AS deleted
            FROM citadel.table_delta d JOIN pg_catalog.pg_class c ON c.oid = d.relation
            WHERE d.at > pg_catalog.now() - interval '7 days'
            GROUP BY 1, 2
        ), present AS (
            SELECT t.root AS relation,
                   pg_catalog.sum(CASE WHEN t.kind <> 'p' THEN greatest(c.reltuples, 0) ELSE 0 END)::float8 AS tuples
            FROM citadel.partition_tree(ARRAY(SELECT DISTINCT h.relation FROM hourly h)) t
            JOIN pg_catalog.pg_class c ON c.oid = t.relation
            GROUP BY 1
        )
        SELECT h.relation,
               pg_catalog.sum(CASE WHEN p.tuples > 0 AND h.inserted - h.deleted > p.tuples / 2 THEN 0
                                   ELSE h.inserted END)::float8,
               pg_catalog.sum(h.updated)::float8, pg_catalog.sum(h.hot)::float8, pg_catalog.sum(h.deleted)::float8
        FROM hourly h JOIN present p USING (relation)
        GROUP BY h.relation)");
    for (std::size_t i = 0; i < rows.size(); ++i)
        measured[rows.oid(i, 0)] = {rows.float8(i, 1), rows.float8(i, 2), rows.float8(i, 3), rows.float8(i, 4)};
    return measured;
}

void WorkloadWrites::add(const StatementUse& use, double calls) {
    for (const RelationUse& relation : use.relations) {
        double& rows = rows_[relation.relation];
        rows = std::max(rows, relation.rows);
        for (const PartialPredicate& predicate : relation.predicates)
            shares_.emplace(predicate.predicate, predicate.selectivity);
    }
    for (const WriteUse& write : use.writes) {
        TableWrites& texts = from_texts_[write.relation];
        if (write.kind == WriteKind::insert)
            texts.inserts += calls * write.rows;
        else if (write.kind == WriteKind::remove)
            texts.deletes += calls * write.rows;
        else
            texts.updates.push_back({write.columns, calls * write.rows});
    }
}

MaintainedIndex WorkloadWrites::maintained(const Candidate& candidate, std::uint64_t bytes) const {
    MaintainedIndex index;
    index.method = candidate.method;
    index.pages = std::max(static_cast<double>(bytes) / BLCKSZ, 1.0);
    index.keeps_hot = pg::brin_keeps_hot && candidate.method == AccessMethod::brin;
    if (const auto rows = rows_.find(candidate.relation); rows != rows_.end())
        index.rows = std::max(rows->second, 1.0);
    std::vector<ColumnNumber>& columns = index.columns;
    for (const KeyColumn& column : candidate.key)
        if (column.column != 0)
            columns.push_back(column.column);
        else if (column.expression != 0)
            columns.insert(columns.end(), expressions_.columns(column.expression).begin(),
                           expressions_.columns(column.expression).end());
    columns.insert(columns.end(), candidate.included.begin(), candidate.included.end());
    if (candidate.predicate != 0) {
        columns.insert(columns.end(), expressions_.columns(candidate.predicate).begin(),
                       expressions_.columns(candidate.predicate).end());
        if (const auto share = shares_.find(candidate.predicate); share != shares_.end())
            index.share = std::clamp(share->second, 0.0, 1.0);
    }
    std::sort(columns.begin(), columns.end());
    columns.erase(std::unique(columns.begin(), columns.end()), columns.end());
    return index;
}

WorkloadWrites::Table& WorkloadWrites::table(RelationId relation) {
    if (const auto found = tables_.find(relation); found != tables_.end())
        return found->second;
    Table table;
    std::vector<MaintainedIndex> today;
    // Without keeping the table locked; one that went away meanwhile has no index.
    const std::optional<pg::Error> failure = pg::try_discarded_subtransaction([&] {
        if (!has_indexes(relation))
            return;
        for (const ExistingIndex& index : existing_indexes(relation, expressions_))
            table.indexes.emplace_back(index.id, maintained(as_candidate(relation, index), index.bytes));
    });
    pg::rethrow_cancel(failure);
    for (const auto& [id, index] : table.indexes)
        today.push_back(index);
    WriteRates counted;
    if (const auto found = counted_.find(relation); found != counted_.end())
        counted = found->second;
    table.writes = table_writes(counted, from_texts_[relation], today);
    table.today = maintenance_cost(table.writes, today, server_units());
    return tables_.emplace(relation, std::move(table)).first->second;
}

std::vector<MaintainedIndex> WorkloadWrites::with(const Table& table, RelationId relation,
                                                  const Configuration& configuration, const Size& size) const {
    std::vector<MaintainedIndex> indexes;
    for (const auto& [id, index] : table.indexes)
        if (!std::binary_search(configuration.hidden.begin(), configuration.hidden.end(), id))
            indexes.push_back(index);
    for (const Candidate& candidate : configuration.added)
        if (candidate.relation == relation)
            indexes.push_back(maintained(candidate, size(candidate)));
    return indexes;
}

double WorkloadWrites::cost(RelationId relation, const Configuration& configuration, const Size& size) {
    const Table& of = table(relation);
    return maintenance_cost(of.writes, with(of, relation, configuration, size), server_units()) - of.today;
}

double WorkloadWrites::statement_cost(const StatementUse& use, const Configuration& configuration, const Size& size) {
    double cost = 0.0;
    for (const WriteUse& write : use.writes) {
        const Table& of = table(write.relation);
        TableWrites writes = of_one(write);
        writes.hot_share = of.writes.hot_share;
        cost += write.rows * heap_row_cost +
                maintenance_cost(writes, with(of, write.relation, configuration, size), server_units());
    }
    return cost;
}

} // namespace citadel::advisor
