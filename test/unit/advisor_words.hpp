// Words in which the advisor's unit tests speak of indexes and of what statements ask for.
#pragma once

#include "advisor/candidates.hpp"

#include <initializer_list>
#include <utility>
#include <vector>

namespace citadel::advisor::test {

constexpr RelationId table = 100;

// Columns by number; a negative one is descending.
inline Key key(std::initializer_list<int> columns) {
    Key result;
    for (const int column : columns)
        result.push_back(
            KeyColumn{static_cast<ColumnNumber>(column < 0 ? -column : column), column < 0, column < 0, 0, 0});
    return result;
}

inline Candidate index_on(std::initializer_list<int> columns, RelationId relation = table) {
    Candidate candidate;
    candidate.relation = relation;
    candidate.key = key(columns);
    return candidate;
}

inline RelationUse use_of(std::vector<Clause> clauses, std::vector<Key> orders = {}, RelationId relation = table) {
    RelationUse use;
    use.relation = relation;
    use.clauses = std::move(clauses);
    use.orders = std::move(orders);
    return use;
}

inline const std::vector<ExistingIndex> none;
inline const ExistingIndexes no_indexes = [](RelationId) -> const std::vector<ExistingIndex>& { return none; };

} // namespace citadel::advisor::test
