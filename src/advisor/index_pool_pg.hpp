// What the what-if engine keeps of an index for a run: its form on each table it stands on, and how its size follows
// from the number of rows. For the engine's own files; others use what_if_pg.hpp.
#pragma once

#include "advisor/index_size.hpp"
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
};

// What is known of one table.
struct TableFacts {
    double rows = 0.0; // as the planner estimates them
    BlockNumber pages = 0;
    std::vector<Oid> ancestors; // partitioned tables above it
};

struct IndexPool::State {
    explicit State(MemoryContext kept) : memory(kept) {}
    MemoryContext memory;
    std::vector<std::unique_ptr<PreparedIndex>> indexes;
    std::map<Oid, const TableIndex*> by_oid;
    std::map<Oid, TableFacts> facts;
    std::map<Oid, std::vector<Oid>> index_partitions; // of indexes that exist
    std::map<Oid, Oid> index_parents;                 // the topmost
    Oid next = InvalidOid;

    const TableFacts& facts_of(Oid table);
    // The index as it stands on this table, which is its own or a leaf partition of it; worked out at first need.
    TableIndex& on_table(PreparedIndex& index, Oid table);
    // Does the index stand on this table (its own, or one of its partitions)?
    bool covers(const PreparedIndex& index, Oid table);
    // An existing index and, when it is partitioned, those that belong to it.
    const std::vector<Oid>& partitions_of(Oid index);
    // The partitioned index that an existing index belongs to in the end, or itself.
    Oid topmost(Oid index);
};

} // namespace citadel::advisor
