// What the advisor's algorithms think about: tables, the ways statements use them, and indexes that might exist. Plain
// values, no server types: planner_facts_pg.cpp fills them from the planner, unit tests fill them by hand.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace citadel::advisor {

using RelationId = std::uint32_t;  // pg_class OID
using ColumnNumber = std::int16_t; // pg_attribute.attnum, from 1

// One key column of a B-tree index or of a wanted ordering.
struct KeyColumn {
    ColumnNumber column = 0;
    bool descending = false;
    bool nulls_first = false;
    friend auto operator<=>(const KeyColumn&, const KeyColumn&) = default;
};

using Key = std::vector<KeyColumn>;

// An index that might be created. Ordered and comparable, so that sets of candidates are free of duplicates.
struct Candidate {
    RelationId relation = 0;
    Key key;
    friend auto operator<=>(const Candidate&, const Candidate&) = default;
};

// A valid, complete (not partial) B-tree that exists. Expressions have column number 0.
struct ExistingIndex {
    Key key;
    bool unique = false;
};

// How a clause can use a B-tree column.
enum class ClauseKind : std::uint8_t {
    equality,      // column = value, IS NULL, a boolean column by itself
    any_of,        // column = ANY (array): finds like an equality, but breaks the order of what follows
    join_equality, // column = column of another relation
    range,         // <, <=, >, >=, LIKE 'prefix%' where the collation allows
};

struct Clause {
    ColumnNumber column = 0;
    ClauseKind kind = ClauseKind::equality;
    double selectivity = 1.0;  // the planner's, 0..1
    std::uint64_t partner = 0; // join_equality: which relation(s) stand on the other side; equal numbers are one join
    friend bool operator==(const Clause&, const Clause&) = default;
};

// One appearance of a table in a statement (or in one of its subqueries): what an index could serve.
struct RelationUse {
    RelationId relation = 0;
    std::vector<Clause> clauses;           // all of them hold at once
    std::vector<std::vector<Clause>> arms; // arms of OR clauses, each a conjunction: for bitmap ORs
    std::vector<Key> orders;          // ORDER BY, GROUP BY, DISTINCT, window and row-comparison orders, each a prefix
    std::vector<ColumnNumber> needed; // every column that the statement reads from it; sorted
};

// A statement as the algorithms see it.
struct StatementUse {
    double weight = 1.0; // how often it runs in the workload
    std::vector<RelationUse> relations;
};

// Is `key` served by an index with these key columns: is it a prefix, in this or in wholly reversed direction?
bool is_prefix(const Key& key, const Key& of);

// Can an index with this key serve this statement at all: its first column stands in a clause or an order, or it holds
// every needed column (an index-only scan)? Skip scans of PostgreSQL 18 are priced where the first column is used
// anyway.
bool is_relevant(const Candidate& candidate, const StatementUse& statement);

} // namespace citadel::advisor
