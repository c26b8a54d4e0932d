// What the what-if engine keeps of an index for a run: its form on each table it stands on, and how its size follows
// from the number of rows. For the engine's own files; others use what_if_pg.hpp.
#pragma once

#include "advisor/index_size.hpp"
#include "advisor/table_sample_pg.hpp"
#include "advisor/what_if_pg.hpp"

#include "pg/server.hpp"

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

extern "C" {
#include "nodes/pathnodes.h"
}

namespace citadel::advisor {

// A hypothetical index on one table that holds rows: the index's own table, or a leaf partition of it.
struct TableIndex {
    Oid oid = InvalidOid; // one that no relation has
    Oid table = InvalidOid;
    const PreparedIndex* index = nullptr;
    // As get_relation_info() would describe it; tables and expressions with varno 1, without sizes.
    const IndexOptInfo* form = nullptr;
    // Size by number of rows of the table, and the last answer.
    std::function<IndexSize(double)> model;
    double rows = -1.0;
    IndexSize size;
    // Of the key columns that are expressions, as pg_statistic would have them for the index; nullptr: none, or a
    // column.
    std::vector<HeapTuple> statistics;

    const IndexSize& size_for(double table_rows) {
        if (table_rows != rows) {
            size = model(table_rows);
            rows = table_rows;
        }
        return size;
    }
};

class PreparedIndex {
  public:
    // Expressions in `described` live in the pool's memory.
    explicit PreparedIndex(HypotheticalIndex described) : index(std::move(described)) {}
    HypotheticalIndex index;
    std::map<Oid, std::unique_ptr<TableIndex>> tables; // worked out so far
    std::int64_t bytes = -1;                           // over all tables; -1: not asked for yet
    std::int64_t too_long = 0;                         // see IndexSize; of the tables worked out so far
};

// What is known of one table.
struct TableFacts {
    double rows = 0.0; // as the planner estimates them
    BlockNumber pages = 0;
    std::vector<Oid> ancestors; // partitioned tables above it
    std::size_t learned = 0;    // indexes with expressions that were looked at
    bool sampled = false;
    std::unique_ptr<TableSample> sample; // nullptr: not asked for, or not to be had
    // Expressions whose statistics are known, as an index that no path can use: the planner finds statistics of
    // expressions through a relation's indexes alone.
    std::vector<const Node*> expressions; // varno 1
    std::vector<HeapTuple> statistics;    // of each; nullptr: none
    Oid carrier = InvalidOid;             // the number of that index
};

struct IndexPool::State {
    explicit State(MemoryContext kept) : memory(kept) {}
    MemoryContext memory;
    std::vector<std::unique_ptr<PreparedIndex>> indexes;
    std::vector<PreparedIndex*> with_expressions;
    std::map<Oid, const TableIndex*> by_oid;
    std::map<Oid, TableFacts> facts;
    std::map<Oid, Oid> tables_of_carriers;
    int sampled_tables = 0;
    std::map<Oid, std::vector<Oid>> index_partitions; // of indexes that exist
    std::map<Oid, Oid> index_parents;                 // the topmost
    Oid next = InvalidOid;

    TableFacts& facts_of(Oid table);
    // nullptr when the table cannot be read, or enough tables have been.
    TableSample* sample_of(Oid table);
    // What pg_statistic would say of an index column, or nullptr.
    HeapTuple statistics_of(Oid index, int column);
    // Works out the statistics of every prepared expression on the table: each planner call is to see the same ones.
    void learn_all(Oid table);
    // For a planner call: an index that carries the statistics of the table's expressions; nullptr when there are none.
    IndexOptInfo* carrier_for(Oid table, RelOptInfo* relation);
    // The index as it stands on this table, which is its own or a leaf partition of it; worked out at first need.
    TableIndex& on_table(PreparedIndex& index, Oid table);
    // Does the index stand on this table (its own, or one of its partitions)?
    bool covers(const PreparedIndex& index, Oid table);
    // An existing index and, when it is partitioned, those that belong to it.
    const std::vector<Oid>& partitions_of(Oid index);
    // The partitioned index that an existing index belongs to in the end, or itself.
    Oid topmost(Oid index);

  private:
    Oid unused_number();
    HeapTuple learn(Oid table, const Node* expression);
};

} // namespace citadel::advisor
