// The run's registry of expressions and predicates: what an index may be built on besides plain columns. The algorithms
// know them by number; equal expressions, in whichever statement they stand, have the same number.
#pragma once

#include "advisor/model.hpp"

#include "pg/server.hpp"

#include <map>
#include <string>
#include <vector>

extern "C" {
#include "nodes/pg_list.h"
#include "nodes/primnodes.h"
}

namespace citadel::advisor {

// Lives for one run, in a memory context of its own under the one that is current when it is made.
class Expressions {
  public:
    Expressions();
    Expressions(const Expressions&) = delete;
    Expressions& operator=(const Expressions&) = delete;
    ~Expressions();

    // The number of an expression over the columns of one table, whose Vars have number `variable` in the tree; 0 when
    // no index can be built on it: it is not immutable, has parameters, subqueries or sets, reads system columns, other
    // tables or no column at all, or is longer than `longest` bytes as SQL. `node` is copied.
    ExpressionId intern(const Node* node, Oid relation, Index variable = 1);
    // All of them at once, as one predicate; 0 for none. They are over the same table.
    ExpressionId conjunction(std::vector<ExpressionId> predicates);

    // A tree that belongs to the registry; its Vars have number 1. Copy it before it is changed or planned.
    const Node* node(ExpressionId id) const { return at(id).node; }
    Oid relation(ExpressionId id) const { return at(id).relation; }
    Oid type(ExpressionId id) const { return at(id).type; }
    std::int32_t type_modifier(ExpressionId id) const { return at(id).type_modifier; }
    Oid collation(ExpressionId id) const { return at(id).collation; }
    // As SQL, names qualified where they are not in pg_catalog; not in parentheses.
    const std::string& sql(ExpressionId id) const { return at(id).sql; }
    // The columns that it reads, sorted.
    const std::vector<ColumnNumber>& columns(ExpressionId id) const { return at(id).columns; }
    // Does `predicate` hold wherever all of `holding` do? As the planner proves it, so it may be too careful.
    bool implied(ExpressionId predicate, const std::vector<ExpressionId>& holding) const;

    static constexpr std::size_t longest = 4096;

  private:
    struct Entry {
        const Node* node = nullptr;
        Oid relation = InvalidOid;
        Oid type = InvalidOid;
        std::int32_t type_modifier = -1;
        Oid collation = InvalidOid;
        std::string sql; // empty: cannot be indexed, remembered so that it is not deparsed again
        std::vector<ColumnNumber> columns;
    };
    const Entry& at(ExpressionId id) const { return entries_.at(id - 1); }

    MemoryContext memory_;
    std::vector<Entry> entries_;
    std::multimap<Oid, ExpressionId> by_relation_;
};

} // namespace citadel::advisor
