#include "advisor/write_cost.hpp"

#include <algorithm>
#include <cmath>

namespace citadel::advisor {

namespace {

// Vacuum finds a dead entry while it reads the index in its physical order: about a tuple's share.
double removal_cost(const MaintainedIndex& index, const CostUnits& units) {
    return index.method == AccessMethod::brin ? 0.0 : index.share * 2.0 * units.cpu_index_tuple;
}

// Keys that a row puts into a GIN index; it is not known otherwise, and a posting takes a few bytes.
double keys_per_row(const MaintainedIndex& index) {
    constexpr double bytes_per_key = 16.0;
    constexpr double page_bytes = 8192.0;
    return std::clamp(index.pages * page_bytes / std::max(index.rows * index.share, 1.0) / bytes_per_key, 1.0, 50.0);
}

bool overlap(const std::vector<ColumnNumber>& a, const std::vector<ColumnNumber>& b) {
    return std::any_of(a.begin(), a.end(),
                       [&](ColumnNumber column) { return std::binary_search(b.begin(), b.end(), column); });
}

} // namespace

// As btcostestimate() prices a descent (50 operators a page, a comparison for each halving), the entry itself, and the
// leaf page, which has to be read unless the index fits the cache.
double entry_cost(const MaintainedIndex& index, const CostUnits& units) {
    const double pages = std::max(index.pages, 1.0);
    const double levels = std::max(std::ceil(std::log(pages) / std::log(285.0)), 0.0) + 1.0;
    const double tuples = std::max(index.rows * index.share, 2.0);
    const double uncached = std::clamp(1.0 - units.cache_pages / pages, 0.0, 1.0) * units.random_page;
    switch (index.method) {
    case AccessMethod::brin: // the summary of a whole range of pages, seldom changed
        return index.share * 2.0 * units.cpu_index_tuple;
    case AccessMethod::hash:
        return index.share * (2.0 * 50.0 * units.cpu_operator + units.cpu_index_tuple + uncached);
    case AccessMethod::gin: // first into the pending list, then many keys at once
        return index.share * keys_per_row(index) *
               (25.0 * levels * units.cpu_operator + units.cpu_index_tuple + 0.5 * uncached);
    case AccessMethod::gist: // a penalty is computed for every entry of each page on the way
        return index.share * (levels * 200.0 * units.cpu_operator + units.cpu_index_tuple + uncached);
    case AccessMethod::btree:
        break;
    }
    return index.share * (units.cpu_operator * (50.0 * levels + std::log2(tuples)) + units.cpu_index_tuple + uncached);
}

bool prevents_hot(const std::vector<MaintainedIndex>& indexes, const std::vector<ColumnNumber>& columns) {
    return std::any_of(indexes.begin(), indexes.end(), [&](const MaintainedIndex& index) {
        return !index.keeps_hot && overlap(columns, index.columns);
    });
}

double maintenance_cost(const TableWrites& writes, const std::vector<MaintainedIndex>& indexes,
                        const CostUnits& units) {
    double entered = writes.inserts + writes.unknown_updates;
    double removed = writes.deletes + writes.unknown_updates;
    for (const UpdateClass& update : writes.updates) {
        const double cold = prevents_hot(indexes, update.columns) ? 1.0 : 1.0 - writes.hot_share;
        entered += update.rows * cold;
        removed += update.rows * cold;
    }
    double cost = 0.0;
    for (const MaintainedIndex& index : indexes)
        cost += entered * entry_cost(index, units) + removed * removal_cost(index, units);
    return cost;
}

TableWrites table_writes(const WriteRates& counted, TableWrites from_texts, const std::vector<MaintainedIndex>& today) {
    if (counted.inserts + counted.updates + counted.deletes <= 0.0)
        return from_texts;
    TableWrites writes = std::move(from_texts);
    writes.inserts = counted.inserts;
    writes.deletes = counted.deletes;
    double explained = 0.0;
    double may_be_hot = 0.0;
    for (const UpdateClass& update : writes.updates) {
        explained += update.rows;
        if (!prevents_hot(today, update.columns))
            may_be_hot += update.rows;
    }
    // Texts say which columns, the counters how many rows.
    const double scale = explained > counted.updates ? counted.updates / explained : 1.0;
    for (UpdateClass& update : writes.updates)
        update.rows *= scale;
    explained *= scale;
    may_be_hot *= scale;
    const double hot = std::min(counted.hot_updates, counted.updates);
    if (may_be_hot > 0.0)
        writes.hot_share = std::min(hot / may_be_hot, 1.0);
    writes.unknown_hot = std::clamp(hot - may_be_hot, 0.0, counted.updates - explained);
    writes.unknown_updates = std::max(counted.updates - explained - writes.unknown_hot, 0.0);
    return writes;
}

} // namespace citadel::advisor
