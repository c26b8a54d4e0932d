// What keeping indexes costs the writers of a table.
#pragma once

#include "advisor/model.hpp"

#include <vector>

namespace citadel::advisor {

// Rows written over the time that the workload stands for, as the server counts them.
struct WriteRates {
    double inserts = 0.0;
    double updates = 0.0;     // HOT ones included
    double hot_updates = 0.0; // of these: no index got a new entry
    double deletes = 0.0;
};

// Updates that set these columns.
struct UpdateClass {
    std::vector<ColumnNumber> columns; // sorted
    double rows = 0.0;
};

// The writes of a table.
struct TableWrites {
    double inserts = 0.0;
    double deletes = 0.0;
    std::vector<UpdateClass> updates;
    double unknown_updates = 0.0; // rows that got new entries, by updates of unknown columns
    double unknown_hot = 0.0;     // rows of those that did not, and are not expected to
    double hot_share = 0.5;       // of the updates that change no indexed column: room on the page was found
};

// What the planner's unit of cost says of single steps (its settings of the same names).
struct CostUnits {
    double cpu_operator = 0.0025;
    double cpu_index_tuple = 0.005;
    double random_page = 4.0;
    double cache_pages = 524288.0; // effective_cache_size
};

struct MaintainedIndex {
    AccessMethod method = AccessMethod::btree;
    double pages = 1.0;
    double rows = 1.0;                 // of the table
    double share = 1.0;                // of the table's rows that it holds (a partial index)
    bool keeps_hot = false;            // BRIN since PostgreSQL 16: an update of its columns may stay HOT
    std::vector<ColumnNumber> columns; // sorted: key, included, those of expressions and of the predicate
};

// The cost of putting one row into the index, in the planner's unit.
double entry_cost(const MaintainedIndex& index, const CostUnits& units);

// The cost of all the table's writes for its indexes together. Not the sum of what each costs alone: the first index on
// a column that updates change makes these updates non-HOT, and then every index of the table gets an entry for them
// (and vacuum has one more to remove from each).
double maintenance_cost(const TableWrites& writes, const std::vector<MaintainedIndex>& indexes, const CostUnits& units);

// The writes of a table from what the server counted and what the statements' texts say. `counted` all zero: the texts
// alone. Updates of the texts share what was counted in proportion; what no text explains is unknown. `today`: the
// indexes that the counted updates met.
TableWrites table_writes(const WriteRates& counted, TableWrites from_texts, const std::vector<MaintainedIndex>& today);

// Does any index keep an update of these columns from being HOT?
bool prevents_hot(const std::vector<MaintainedIndex>& indexes, const std::vector<ColumnNumber>& columns);

} // namespace citadel::advisor
