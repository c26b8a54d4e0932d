// Candidate rules of hash, BRIN, GIN and GiST indexes: what the clauses name as able to serve them.
#include "advisor/candidate_collector.hpp"

namespace citadel::advisor {

namespace {

// Every term that an access method can serve, by itself, and all of them in one index.
class ByMethod {
  public:
    void note(const Clause& clause) {
        for (const AccessChoice& choice : clause.serves) {
            KeyColumn term = term_of(clause);
            term.operator_class = choice.operator_class;
            if (choice.method == AccessMethod::btree)
                continue;
            // Where an inverted index can search, a GiST would only find signatures and look at many rows in vain.
            if (choice.method == AccessMethod::gist && inverted(clause))
                continue;
            Key& terms = terms_[static_cast<std::size_t>(choice.method)];
            if (std::find(terms.begin(), terms.end(), term) == terms.end())
                terms.push_back(term);
        }
    }

    void add_to(Collector& into, AccessMethod method, bool together, ExpressionId predicate) const {
        const Key& terms = terms_[static_cast<std::size_t>(method)];
        for (const KeyColumn& term : terms)
            into.add(Candidate{0, method, Key{term}, {}, predicate});
        Key all; // one class a term
        for (const KeyColumn& term : terms)
            append(all, term);
        all.resize(std::min(all.size(), static_cast<std::size_t>(into.rules().max_key_columns)));
        if (together && all.size() > 1)
            into.add(Candidate{0, method, std::move(all), {}, predicate});
    }

  private:
    static bool inverted(const Clause& clause) {
        return std::any_of(clause.serves.begin(), clause.serves.end(),
                           [](const AccessChoice& choice) { return choice.method == AccessMethod::gin; });
    }

    Key terms_[5];
};

bool is_among(const std::vector<ExpressionId>& sorted, ExpressionId id) {
    return id != 0 && std::binary_search(sorted.begin(), sorted.end(), id);
}

} // namespace

void add_other_methods(Collector& into, const RelationUse& use) {
    into.limit(into.rules().max_other);
    ByMethod methods;
    for (const Clause& clause : use.clauses)
        methods.note(clause);
    for (const DistanceOrder& order : use.distance_orders)
        into.add(Candidate{0,
                           AccessMethod::gist,
                           Key{KeyColumn{order.column, false, false, order.expression, order.operator_class}},
                           {},
                           0});
    methods.add_to(into, AccessMethod::gin, true, 0);
    methods.add_to(into, AccessMethod::gist, true, 0);
    methods.add_to(into, AccessMethod::brin, true, 0);
    methods.add_to(into, AccessMethod::hash, false, 0);
    for (const std::vector<Clause>& arm : use.arms) {
        ByMethod of_arm;
        for (const Clause& clause : arm)
            of_arm.note(clause);
        of_arm.add_to(into, AccessMethod::gin, true, 0);
        of_arm.add_to(into, AccessMethod::gist, true, 0);
        of_arm.add_to(into, AccessMethod::hash, false, 0);
    }
    for (const PartialPredicate& partial : use.predicates) {
        if (partial.selectivity > into.rules().widest_predicate)
            continue;
        ByMethod rest;
        for (const Clause& clause : use.clauses)
            if (!is_among(partial.clauses, clause.predicate))
                rest.note(clause);
        rest.add_to(into, AccessMethod::gin, false, partial.predicate);
        rest.add_to(into, AccessMethod::gist, false, partial.predicate);
    }
}

} // namespace citadel::advisor
