// Candidate rules: which indexes are worth pricing for a statement.
#pragma once

#include "advisor/index_kinds.hpp"
#include "advisor/model.hpp"

#include <functional>

namespace citadel::advisor {

struct CandidateRules {
    int max_key_columns = 3; // 1..32
    // Bounds on the candidates of one appearance of a table, by kind.
    std::size_t max_per_use = 24; // B-trees without INCLUDE columns and predicate
    std::size_t max_covering = 8; // with INCLUDE columns; as many again with further key columns
    std::size_t max_partial = 10;
    std::size_t max_other = 12;          // hash, BRIN, GIN, GiST
    double widest_predicate = 0.95;      // share of the rows that a partial index may hold at most
    double widest_sole_predicate = 0.25; // the same where the predicate is all that the statement asks
    IndexKinds kinds;                    // what may be recommended at all
};

// The indexes that a table has.
using ExistingIndexes = std::function<const std::vector<ExistingIndex>&(RelationId)>;

// Candidates for one use of a table, without duplicates and, within each kind, in falling order of promise.
//   B-tree: equality columns first (most selective first, and once with each of them leading), then one range column or
//   the wanted order; join columns alone, before and after the equality columns; grouping and ordering columns; each
//   column of a clause by itself; the arms of OR clauses. Prefixes are candidates too: they are smaller, and serve more
//   statements. Columns may be expressions, and have another operator class than the default.
//   Covering: the same keys with the other columns that the statement reads, where that is clearly less than the table.
//   Partial: the keys that are left to ask for when a lasting condition (a flag, a status) becomes the predicate.
//   Others: what the clauses name as able to serve them.
std::vector<Candidate> candidates_for(const RelationUse& use, const CandidateRules& rules);

// Candidates of a whole workload: the union over its statements, without those that an existing index serves already.
std::vector<Candidate> candidates_for(const std::vector<StatementUse>& statements, const CandidateRules& rules,
                                      const ExistingIndexes& existing);

// Does an existing index serve everything that the candidate would?
bool is_served(const Candidate& candidate, const std::vector<ExistingIndex>& existing);

// Longer indexes that do all that the candidate does: with one more column at the end of the key, for each that some
// statement uses in a clause or order of that table (none when it has max_key_columns already), and with the columns
// that a statement reads besides, where including them is worth trying. B-trees only.
std::vector<Candidate> extensions_of(const Candidate& candidate, const std::vector<StatementUse>& statements,
                                     const CandidateRules& rules, const ExistingIndexes& existing);

// One index in the place of two: the key of each followed by what the other has besides, their included columns
// together. None for indexes of different tables, methods or predicates, nor where the key would be too long, and never
// one of the two themselves. B-trees only.
std::vector<Candidate> merges_of(const Candidate& a, const Candidate& b, const CandidateRules& rules);

} // namespace citadel::advisor
