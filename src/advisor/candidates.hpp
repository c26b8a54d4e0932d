// Candidate rules: which indexes are worth pricing for a statement.
#pragma once

#include "advisor/index_kinds.hpp"
#include "advisor/model.hpp"

#include <functional>

namespace citadel::advisor {

struct CandidateRules {
    int max_key_columns = 3;      // 1..32
    std::size_t max_per_use = 24; // bound on the candidates of one appearance of a table
    IndexKinds kinds;             // what may be recommended at all
};

// The indexes that a table has.
using ExistingIndexes = std::function<const std::vector<ExistingIndex>&(RelationId)>;

// Candidates for one use of a table, without duplicates and in falling order of promise:
//   equality columns first (most selective first, and once with each of them leading), then one range column or the
//   wanted order; join columns alone, before and after the equality columns; grouping and ordering columns; each column
//   of a clause by itself; the arms of OR clauses. Prefixes are candidates too: they are smaller, and serve more
//   statements.
std::vector<Candidate> candidates_for(const RelationUse& use, const CandidateRules& rules);

// Candidates of a whole workload: the union over its statements, without those that an existing index serves already.
std::vector<Candidate> candidates_for(const std::vector<StatementUse>& statements, const CandidateRules& rules,
                                      const ExistingIndexes& existing);

// Does an existing index serve everything that the candidate would?
bool is_served(const Candidate& candidate, const std::vector<ExistingIndex>& existing);

// The candidate with one more column at its end, for each column that some statement uses in a clause or order of that
// table and that it lacks; nothing when it has max_key_columns already.
std::vector<Candidate> extensions_of(const Candidate& candidate, const std::vector<StatementUse>& statements,
                                     const CandidateRules& rules, const ExistingIndexes& existing);

} // namespace citadel::advisor
