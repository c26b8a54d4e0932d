// What the advisor's algorithms think about: tables, the ways statements use them, and indexes that might exist or do.
// Plain values, no server types: planner_facts_pg.cpp fills them from the planner, existing_indexes_pg.cpp from the
// catalogues, unit tests fill them by hand.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace citadel::advisor {

using RelationId = std::uint32_t;      // pg_class OID
using ColumnNumber = std::int16_t;     // pg_attribute.attnum, from 1
using IndexId = std::uint32_t;         // pg_class OID of an index that exists
using OperatorClassId = std::uint32_t; // pg_opclass OID; 0: the default class of the type and access method
// An expression or predicate over one table, in the run's registry (expressions_pg.hpp); 0: none. Equal numbers are
// equal expressions.
using ExpressionId = std::uint32_t;

enum class AccessMethod : std::uint8_t { btree, hash, brin, gin, gist };
// As in pg_am and after USING.
const char* access_method_name(AccessMethod method);

// One key column of an index or of a wanted ordering: a column of the table, or an expression over it.
struct KeyColumn {
    ColumnNumber column = 0; // 0: the expression
    bool descending = false;
    bool nulls_first = false;
    ExpressionId expression = 0;
    OperatorClassId operator_class = 0;
    friend auto operator<=>(const KeyColumn&, const KeyColumn&) = default;
};

using Key = std::vector<KeyColumn>;

// Do both index the same thing, whatever the direction and operator class?
inline bool same_term(const KeyColumn& a, const KeyColumn& b) {
    return a.column == b.column && a.expression == b.expression;
}

// An index that might be created. Ordered and comparable, so that sets of candidates are free of duplicates.
struct Candidate {
    RelationId relation = 0;
    AccessMethod method = AccessMethod::btree;
    Key key;
    std::vector<ColumnNumber> included; // sorted; only B-trees and GiST have them
    ExpressionId predicate = 0;         // 0: of all rows
    friend auto operator<=>(const Candidate&, const Candidate&) = default;
};

// An index that exists.
struct ExistingIndex {
    IndexId id = 0;
    AccessMethod method = AccessMethod::btree;
    // Can it be compared with candidates? Not when it has another access method, or a collation, operator class option
    // or expression that the model cannot say; it then serves nobody and is never dropped.
    bool comparable = true;
    Key key;
    std::vector<ColumnNumber> included; // sorted
    ExpressionId predicate = 0;
    bool unique = false;
    // Others rest on it: primary key, unique or exclusion constraint, the target of a foreign key, replica identity,
    // CLUSTER. Never to be dropped.
    bool constraint = false;
    bool valid = true;
    std::uint64_t bytes = 0; // of all partitions
    double scans = 0.0;      // counted over the observed time
    bool unused = false;     // not scanned for citadel_opt.unused_index_age
};

// A set of changes to the indexes that exist. Both lists are sorted.
struct Configuration {
    std::vector<Candidate> added;
    std::vector<IndexId> hidden; // existing indexes, planned as if they were dropped
    friend auto operator<=>(const Configuration&, const Configuration&) = default;
};

// How a clause can use an index.
enum class ClauseKind : std::uint8_t {
    equality,      // column = value, IS NULL, a boolean column by itself
    any_of,        // column = ANY (array): finds like an equality, but breaks the order of what follows
    join_equality, // column = column of another relation
    range,         // <, <=, >, >=, LIKE 'prefix%' where the collation allows
    prefix,        // LIKE 'prefix%' or ^ of a regular expression that only another B-tree class (`serves`) can use
    search,        // neither: only what `serves` says
};

// An index, other than a B-tree of the default class, that can use a clause.
struct AccessChoice {
    AccessMethod method = AccessMethod::btree;
    OperatorClassId operator_class = 0;
    friend auto operator<=>(const AccessChoice&, const AccessChoice&) = default;
};

struct Clause {
    ColumnNumber column = 0; // 0: the expression
    ClauseKind kind = ClauseKind::equality;
    double selectivity = 1.0;    // the planner's, 0..1
    std::uint64_t partner = 0;   // join_equality: which relation(s) stand on the other side; equal numbers are one join
    ExpressionId expression = 0; // of the column's side
    ExpressionId predicate = 0;  // the clause itself, where it compares with constants: what a partial index may demand
    std::vector<AccessChoice> serves = {};
    friend bool operator==(const Clause&, const Clause&) = default;
};

// ORDER BY column <-> constant: what a GiST index of that operator class gives.
struct DistanceOrder {
    ColumnNumber column = 0; // 0: the expression
    ExpressionId expression = 0;
    OperatorClassId operator_class = 0;
    friend auto operator<=>(const DistanceOrder&, const DistanceOrder&) = default;
};

// A predicate that a partial index may have for this use: the clauses it stands for hold in every run of the statement.
struct PartialPredicate {
    ExpressionId predicate = 0;
    double selectivity = 1.0;
    std::vector<ExpressionId> clauses; // Clause::predicate of each clause that it makes superfluous; sorted
    std::vector<ColumnNumber> needed;  // as RelationUse::needed, without what only those clauses read
    friend bool operator==(const PartialPredicate&, const PartialPredicate&) = default;
};

// One appearance of a table in a statement (or in one of its subqueries): what an index could serve.
struct RelationUse {
    RelationId relation = 0;
    std::vector<Clause> clauses;           // all of them hold at once
    std::vector<std::vector<Clause>> arms; // arms of OR clauses, each a conjunction: for bitmap ORs
    std::vector<Key>
        orders; // ORDER BY, GROUP BY, DISTINCT, window, merge join and row-comparison orders, each a prefix
    std::vector<DistanceOrder> distance_orders;
    std::vector<PartialPredicate> predicates;
    std::vector<ColumnNumber> needed; // every column that the statement reads from it; sorted. Empty: not only columns
    double rows = 0.0;                // of the table, as the planner sees it
    double pages = 0.0;
    double row_width = 0.0;               // bytes of a row of the table, 0: unknown
    std::vector<double> column_widths;    // average bytes of column 1, 2 ...; 0: not read
    std::vector<ColumnNumber> unsortable; // columns whose type has no default B-tree class: no keys; sorted
};

enum class WriteKind : std::uint8_t { insert, update, remove };

// What one execution of a statement writes in a table.
struct WriteUse {
    RelationId relation = 0;
    WriteKind kind = WriteKind::insert;
    double rows = 0.0;                 // the planner's
    std::vector<ColumnNumber> columns; // update: those that it sets; sorted
};

// A statement as the algorithms see it.
struct StatementUse {
    double weight = 1.0; // how often it runs in the workload
    std::vector<RelationUse> relations;
    std::vector<WriteUse> writes = {};
};

// Is `key` served by an index with these key columns: is it a prefix, in this or in wholly reversed direction?
bool is_prefix(const Key& key, const Key& of);

// Does the longer index do all that the shorter one does: same table, access method and predicate, its key a prefix,
// its included columns among those of the longer one?
bool subsumes(const Candidate& longer, const Candidate& shorter);

// Can an index like this serve this statement at all: its first column (B-tree, hash) or any of its columns stands in a
// clause that its access method can use, its first columns in an order, or it holds every needed column (an index-only
// scan)? Partial indexes only where the use knows the predicate. Skip scans of PostgreSQL 18 are priced where the first
// column is used anyway.
bool is_relevant(const Candidate& candidate, const StatementUse& statement);

} // namespace citadel::advisor
