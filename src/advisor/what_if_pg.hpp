// Hypothetical indexes: described, armed for a planner call of ours, disarmed on every way out.
#pragma once

#include "advisor/statement_pg.hpp"

#include "pg/server.hpp"

#include <string>
#include <vector>

extern "C" {
#include "nodes/pathnodes.h"
}

namespace citadel::advisor {

// One key column of a hypothetical index, as CREATE INDEX resolves it.
struct HypotheticalColumn {
    AttrNumber column = InvalidAttrNumber;
    Oid operator_class = InvalidOid;
    Oid collation = InvalidOid;
    bool descending = false;
    bool nulls_first = false;
};

// A B-tree that does not exist. On a partitioned table it stands for one on each of its leaf partitions.
struct HypotheticalIndex {
    Oid relation = InvalidOid;
    std::string name;
    std::vector<HypotheticalColumn> key;
    std::vector<AttrNumber> included;
    bool unique = false;
};

// Resolves a key of plain columns to the default operator classes and collations. 42704 where a type has no B-tree
// operator class.
HypotheticalColumn resolve_column(Oid relation, AttrNumber column, bool descending, bool nulls_first);

// Raises 42809 (or 0A000) with a hint unless the advisor handles indexes of this relation: tables, partitioned tables
// and materialised views; not temporary or foreign tables, system catalogs, views.
void check_indexable(Oid relation);

// While alive, planner calls of ours (Statement::plan) in this backend see these indexes; nothing else does, neither
// other backends nor functions that run while we plan. Nests: an inner one replaces the outer.
class ArmedIndexes {
  public:
    explicit ArmedIndexes(const std::vector<HypotheticalIndex>& indexes);
    ArmedIndexes(const ArmedIndexes&) = delete;
    ArmedIndexes& operator=(const ArmedIndexes&) = delete;
    ~ArmedIndexes();
    // Which of the indexes the plans use, by position; on partitioned tables, on any partition.
    std::vector<bool> used_by(const std::vector<PlannedStmt*>& plans) const;
    struct State;

  private:
    State* state_;
    State* outer_;
};

// Is this planner call one of ours (Statement::plan), and not one of a function that it runs?
bool is_ours(const PlannerInfo* root);

// Estimated bytes of the index if it were built now, over all partitions.
std::int64_t estimated_bytes(const HypotheticalIndex& index);

// Installs the planner hooks that inject and name hypothetical indexes.
void install_what_if();

} // namespace citadel::advisor
