// Hypothetical indexes: described, prepared once, armed for planner calls of ours, disarmed on every way out.
#pragma once

#include "advisor/statement_pg.hpp"

#include "pg/server.hpp"

#include <memory>
#include <optional>
#include <string>
#include <vector>

extern "C" {
#include "catalog/pg_am_d.h"
#include "nodes/pathnodes.h"
}

namespace citadel::advisor {

// One key column of a hypothetical index, as CREATE INDEX resolves it.
struct HypotheticalColumn {
    AttrNumber column = InvalidAttrNumber; // InvalidAttrNumber: the expression
    const Node* expression = nullptr;      // over the table's columns: Vars with varno 1, functions not yet inlined
    Oid operator_class = InvalidOid;
    Oid collation = InvalidOid;
    bool descending = false;
    bool nulls_first = false;
};

// An index that does not exist. On a partitioned table it stands for one on each of its leaf partitions. Expressions
// belong to who made it.
struct HypotheticalIndex {
    Oid relation = InvalidOid;
    std::string name;
    Oid access_method = BTREE_AM_OID; // B-tree, hash, BRIN, GIN or GiST
    std::vector<HypotheticalColumn> key;
    std::vector<AttrNumber> included;
    const Node* predicate = nullptr; // boolean, over Vars with varno 1; nullptr: all rows
    bool unique = false;
    int fill_factor = 0;     // per cent; 0: the access method's default
    int pages_per_range = 0; // BRIN; 0: the server's default
};

// Resolves a key column to what CREATE INDEX would store: the type's default operator class of the access method unless
// one is given, and the collation of the column or expression. 42704 where there is no operator class.
HypotheticalColumn resolve_key_column(Oid relation, const HypotheticalColumn& wanted, Oid access_method);

// Raises 42809 (or 0A000) with a hint unless the advisor handles indexes of this relation: tables, partitioned tables
// and materialised views; not temporary or foreign tables, system catalogs, views.
void check_indexable(Oid relation);

// A hypothetical index together with all that is worked out once: its form on each table it stands on, and its sizes.
class PreparedIndex;
const HypotheticalIndex& description_of(const PreparedIndex& index);
// The length of a row of the index that is too long for it, so that its build fails; 0: none was seen yet (those of
// partitions are looked at with its size, and when they are planned).
std::int64_t too_long_row(const PreparedIndex& index);

// The prepared indexes of one run. Preparing looks up the catalogues and may read a sample of the table; arming then
// costs next to nothing. Statistics of expressions that were prepared are given to every planner call under this pool,
// whichever indexes are armed: prepare everything before comparing costs. Allocates in a memory context of its own
// under the maker's; lives at most as long as that, and as the transaction.
class IndexPool {
  public:
    IndexPool();
    IndexPool(const IndexPool&) = delete;
    IndexPool& operator=(const IndexPool&) = delete;
    ~IndexPool();

    // Copies what it needs of the description. The result lives as long as the pool.
    PreparedIndex& prepare(const HypotheticalIndex& index);
    // Estimated bytes of the index if it were built now, over all partitions.
    std::int64_t bytes(PreparedIndex& index);

    struct State;
    State& state() { return *state_; }

  private:
    std::unique_ptr<State> state_;
};

// While alive, planner calls of ours (Statement::plan) in this backend see the added indexes and do not see the hidden
// ones (of a partitioned index: those of all partitions); nothing else is affected, neither other backends nor
// functions that run while we plan. Nests: an inner one replaces the outer.
class ArmedIndexes {
  public:
    ArmedIndexes(IndexPool& pool, std::vector<PreparedIndex*> added, const std::vector<Oid>& hidden = {});
    ArmedIndexes(const ArmedIndexes&) = delete;
    ArmedIndexes& operator=(const ArmedIndexes&) = delete;
    ~ArmedIndexes();
    // Which of the added indexes the plans use, by position; on partitioned tables, on any partition.
    std::vector<bool> used_by(const std::vector<PlannedStmt*>& plans) const;
    // The same by the numbers that the planner knows them under, each once.
    std::vector<Oid> added_used_by(const std::vector<PlannedStmt*>& plans) const;
    // Which of the added indexes the planner knows under this number; none: it exists.
    std::optional<std::size_t> position_of(Oid index) const;
    // Which existing indexes they use, each once; the partitioned index rather than those of its partitions.
    std::vector<Oid> existing_used_by(const std::vector<PlannedStmt*>& plans) const;
    struct State;

  private:
    std::unique_ptr<State> state_;
    State* outer_;
};

// Is this planner call one of ours (Statement::plan), and not one of a function that it runs?
bool is_ours(const PlannerInfo* root);

// Installs the planner hooks that inject and name hypothetical indexes.
void install_what_if();

} // namespace citadel::advisor
