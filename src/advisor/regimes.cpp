#include "advisor/regimes.hpp"

#include <algorithm>
#include <map>

namespace citadel::advisor {

namespace {

// The use of one regime that stands for the same appearance of a table: the n-th of that table.
const RelationUse* counterpart(const std::vector<RelationUse>& uses, RelationId relation, std::size_t nth) {
    for (const RelationUse& use : uses)
        if (use.relation == relation && nth-- == 0)
            return &use;
    return nullptr;
}

bool same_search(const Clause& a, const Clause& b) {
    return a.column == b.column && a.expression == b.expression && a.kind == b.kind && a.partner == b.partner;
}

void add_clauses(std::vector<Clause>& into, const std::vector<Clause>& from) {
    for (const Clause& clause : from) {
        const auto known =
            std::find_if(into.begin(), into.end(), [&](const Clause& c) { return same_search(c, clause); });
        if (known == into.end()) {
            into.push_back(clause);
            continue;
        }
        for (const AccessChoice& choice : clause.serves)
            if (std::find(known->serves.begin(), known->serves.end(), choice) == known->serves.end())
                known->serves.push_back(choice);
        if (known->predicate == 0)
            known->predicate = clause.predicate;
    }
}

// How often each predicate was offered for the use in the known regimes.
std::map<ExpressionId, std::size_t> votes(const Regimes& regimes, RelationId relation, std::size_t nth) {
    std::map<ExpressionId, std::size_t> found;
    for (const std::vector<RelationUse>& uses : regimes.known)
        if (const RelationUse* use = counterpart(uses, relation, nth))
            for (const PartialPredicate& partial : use->predicates)
                ++found[partial.predicate];
    return found;
}

} // namespace

std::vector<RelationUse> merged(const Regimes& regimes, double agreement) {
    const bool generic = !regimes.generic.empty();
    std::vector<RelationUse> uses =
        generic ? regimes.generic : (regimes.known.empty() ? std::vector<RelationUse>{} : regimes.known[0]);
    const double enough = agreement * static_cast<double>(regimes.known.size());
    std::map<RelationId, std::size_t> seen;
    for (RelationUse& use : uses) {
        const std::size_t nth = seen[use.relation]++;
        if (!generic)
            use.predicates.clear(); // of one set of values: to be voted on
        const std::map<ExpressionId, std::size_t> offered = votes(regimes, use.relation, nth);
        for (const std::vector<RelationUse>& known : regimes.known) {
            const RelationUse* other = counterpart(known, use.relation, nth);
            if (other == nullptr)
                continue;
            add_clauses(use.clauses, other->clauses);
            for (const std::vector<Clause>& arm : other->arms)
                if (std::find(use.arms.begin(), use.arms.end(), arm) == use.arms.end() && use.arms.size() < 16)
                    use.arms.push_back(arm);
            for (const PartialPredicate& partial : other->predicates)
                if (regimes.known.size() >= 2 && static_cast<double>(offered.at(partial.predicate)) >= enough &&
                    std::none_of(use.predicates.begin(), use.predicates.end(),
                                 [&](const PartialPredicate& p) { return p.predicate == partial.predicate; }))
                    use.predicates.push_back(partial);
        }
    }
    return uses;
}

} // namespace citadel::advisor
