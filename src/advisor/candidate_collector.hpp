// What the candidate rules of the access methods share.
#pragma once

#include "advisor/candidates.hpp"

#include <algorithm>
#include <set>

namespace citadel::advisor {

inline bool contains(const Key& key, const KeyColumn& term) {
    return std::any_of(key.begin(), key.end(), [&](const KeyColumn& k) { return same_term(k, term); });
}

inline bool contains(const Key& key, ColumnNumber column) {
    return contains(key, KeyColumn{column});
}

inline void append(Key& key, const KeyColumn& column) {
    if (!contains(key, column))
        key.push_back(column);
}

inline Key joined(Key head, const Key& tail) {
    for (const KeyColumn& column : tail)
        append(head, column);
    return head;
}

inline KeyColumn term_of(const Clause& clause) {
    return KeyColumn{clause.column, false, false, clause.expression, 0};
}

// Average bytes of a column; 0 for an expression, whose width is not known here.
inline double width_of(const RelationUse& use, ColumnNumber column) {
    if (column <= 0)
        return 0.0;
    const auto position = static_cast<std::size_t>(column - 1);
    return position < use.column_widths.size() && use.column_widths[position] > 0.0 ? use.column_widths[position] : 8.0;
}

// An entry of a B-tree holds a third of a page at most; a column that comes near that would make writes fail.
inline bool is_wide(const RelationUse& use, ColumnNumber column) {
    return width_of(use, column) > 800.0;
}

// Candidates of one use of a table, in order of promise; knows what it has, what is allowed, and when it is enough.
class Collector {
  public:
    Collector(RelationId relation, const CandidateRules& rules) : relation_(relation), rules_(rules) {}

    // The next candidates count against a limit of their own.
    void limit(std::size_t more) { full_at_ = found_.size() + more; }
    bool full() const { return found_.size() >= full_at_; }

    bool add(Candidate candidate) {
        candidate.relation = relation_;
        if (candidate.key.empty() || full() || !allows(rules_.kinds, candidate) || !seen_.insert(candidate).second)
            return false;
        found_.push_back(std::move(candidate));
        return true;
    }

    const std::vector<Candidate>& found() const { return found_; }
    std::vector<Candidate> take() { return std::move(found_); }
    const CandidateRules& rules() const { return rules_; }

  private:
    RelationId relation_;
    const CandidateRules& rules_;
    std::vector<Candidate> found_;
    std::set<Candidate> seen_;
    std::size_t full_at_ = 0;
};

// B-tree keys that the clauses of one conjunction and these orders ask for, best first, cut to the allowed width;
// without prefixes. `use` says how wide columns are.
std::vector<Key> btree_keys(const RelationUse& use, const std::vector<Clause>& clauses, const std::vector<Key>& orders,
                            const CandidateRules& rules);

// The columns of `needed` that are not in the key, where including them is worth trying: index-only scans of an index
// that is clearly smaller than the table. Empty when it is not, or when there are none.
std::vector<ColumnNumber> worth_including(const RelationUse& use, const std::vector<ColumnNumber>& needed,
                                          const Key& key);

// By kind of index, best first within each.
void add_btrees(Collector& into, const RelationUse& use);
void add_covering(Collector& into, const RelationUse& use);
void add_partial(Collector& into, const RelationUse& use);
void add_other_methods(Collector& into, const RelationUse& use);

} // namespace citadel::advisor
