#include "advisor/candidates.hpp"

#include "advisor/candidate_collector.hpp"

#include <algorithm>
#include <set>

namespace citadel::advisor {

namespace {

bool reversed_equal(const KeyColumn& a, const KeyColumn& b) {
    return same_term(a, b) && a.operator_class == b.operator_class && a.descending != b.descending &&
           a.nulls_first != b.nulls_first;
}

// Every included column of the one stands somewhere in the other.
bool holds_included(const std::vector<ColumnNumber>& wanted, const Key& key,
                    const std::vector<ColumnNumber>& included) {
    return std::all_of(wanted.begin(), wanted.end(), [&](ColumnNumber column) {
        return std::binary_search(included.begin(), included.end(), column) || contains(key, column);
    });
}

// A key that only adds what the other index includes: as good as that one for index-only scans, and hardly better for
// searches. Two indexes that differ by so little are not worth their keep.
bool differs_by_included(const Key& key, const Key& existing, const std::vector<ColumnNumber>& included) {
    if (existing.empty() || existing.size() >= key.size() || included.empty() || !is_prefix(existing, key))
        return false;
    return std::all_of(
        key.begin() + static_cast<std::ptrdiff_t>(existing.size()), key.end(), [&](const KeyColumn& column) {
            return column.column != 0 && std::binary_search(included.begin(), included.end(), column.column);
        });
}

// The order of columns means nothing to GIN, GiST and BRIN.
bool same_key(AccessMethod method, const Key& shorter, const Key& longer) {
    if (method == AccessMethod::btree)
        return is_prefix(shorter, longer);
    if (method == AccessMethod::hash)
        return shorter == longer;
    return std::all_of(shorter.begin(), shorter.end(), [&](const KeyColumn& column) {
        return std::any_of(longer.begin(), longer.end(), [&](const KeyColumn& other) {
            return same_term(column, other) && column.operator_class == other.operator_class;
        });
    });
}

const PartialPredicate* find_predicate(const RelationUse& use, ExpressionId predicate) {
    for (const PartialPredicate& partial : use.predicates)
        if (partial.predicate == predicate)
            return &partial;
    return nullptr;
}

bool can_search(AccessMethod method, const KeyColumn& column, const std::vector<Clause>& clauses) {
    return std::any_of(clauses.begin(), clauses.end(), [&](const Clause& clause) {
        if (clause.column != column.column || clause.expression != column.expression)
            return false;
        if (method == AccessMethod::btree)
            return clause.kind != ClauseKind::search;
        return std::find(clause.serves.begin(), clause.serves.end(), AccessChoice{method, column.operator_class}) !=
               clause.serves.end();
    });
}

bool can_search(const Candidate& candidate, const KeyColumn& column, const RelationUse& use) {
    return can_search(candidate.method, column, use.clauses) ||
           std::any_of(use.arms.begin(), use.arms.end(),
                       [&](const std::vector<Clause>& arm) { return can_search(candidate.method, column, arm); });
}

bool can_order(const Candidate& candidate, const RelationUse& use) {
    const KeyColumn& first = candidate.key.front();
    if (candidate.method == AccessMethod::gist)
        return std::any_of(use.distance_orders.begin(), use.distance_orders.end(), [&](const DistanceOrder& order) {
            return order.column == first.column && order.expression == first.expression &&
                   order.operator_class == first.operator_class;
        });
    // Any order may follow equality columns, so each of its columns can come to lead.
    return candidate.method == AccessMethod::btree && first.operator_class == 0 &&
           std::any_of(use.orders.begin(), use.orders.end(), [&](const Key& order) { return contains(order, first); });
}

bool is_relevant(const Candidate& candidate, const RelationUse& use) {
    if (use.relation != candidate.relation)
        return false;
    const std::vector<ColumnNumber>* needed = &use.needed;
    if (candidate.predicate != 0) {
        const PartialPredicate* partial = find_predicate(use, candidate.predicate);
        if (partial == nullptr)
            return false;
        // A small index of the rows that are wanted helps whatever its key.
        if (candidate.method == AccessMethod::btree)
            return true;
        needed = &partial->needed;
    }
    const bool leads = candidate.method == AccessMethod::btree || candidate.method == AccessMethod::hash;
    if (leads ? can_search(candidate, candidate.key.front(), use)
              : std::any_of(candidate.key.begin(), candidate.key.end(),
                            [&](const KeyColumn& column) { return can_search(candidate, column, use); }))
        return true;
    if (can_order(candidate, use))
        return true;
    return candidate.method == AccessMethod::btree && !needed->empty() &&
           holds_included(*needed, candidate.key, candidate.included);
}

// Every term that the use has in a clause or an order, as it would stand at the end of a key.
void collect_terms(const RelationUse& use, const IndexKinds& kinds, std::set<KeyColumn>& terms) {
    const auto add = [&](const std::vector<Clause>& clauses) {
        for (const Clause& clause : clauses)
            if (clause.kind != ClauseKind::search && clause.kind != ClauseKind::prefix &&
                !is_wide(use, clause.column) && (clause.column != 0 || kinds.expression))
                terms.insert(term_of(clause));
    };
    add(use.clauses);
    for (const std::vector<Clause>& arm : use.arms)
        add(arm);
    for (const Key& order : use.orders)
        for (const KeyColumn& column : order)
            if (!is_wide(use, column.column) && (column.column != 0 || kinds.expression))
                terms.insert(column);
}

std::vector<ColumnNumber> without_key(std::vector<ColumnNumber> columns, const Key& key) {
    std::sort(columns.begin(), columns.end());
    columns.erase(std::unique(columns.begin(), columns.end()), columns.end());
    columns.erase(std::remove_if(columns.begin(), columns.end(), [&](ColumnNumber c) { return contains(key, c); }),
                  columns.end());
    return columns;
}

} // namespace

const char* access_method_name(AccessMethod method) {
    switch (method) {
    case AccessMethod::hash:
        return "hash";
    case AccessMethod::brin:
        return "brin";
    case AccessMethod::gin:
        return "gin";
    case AccessMethod::gist:
        return "gist";
    case AccessMethod::btree:
        break;
    }
    return "btree";
}

bool is_prefix(const Key& key, const Key& of) {
    if (key.size() > of.size())
        return false;
    return std::equal(key.begin(), key.end(), of.begin()) ||
           std::equal(key.begin(), key.end(), of.begin(), reversed_equal);
}

bool subsumes(const Candidate& longer, const Candidate& shorter) {
    return longer.relation == shorter.relation && longer.method == shorter.method &&
           longer.predicate == shorter.predicate && same_key(longer.method, shorter.key, longer.key) &&
           holds_included(shorter.included, longer.key, longer.included);
}

bool is_relevant(const Candidate& candidate, const StatementUse& statement) {
    return std::any_of(statement.relations.begin(), statement.relations.end(),
                       [&](const RelationUse& use) { return is_relevant(candidate, use); });
}

std::vector<Candidate> candidates_for(const RelationUse& use, const CandidateRules& rules) {
    Collector collector(use.relation, rules);
    add_btrees(collector, use);
    add_covering(collector, use);
    add_partial(collector, use);
    add_other_methods(collector, use);
    return collector.take();
}

bool is_served(const Candidate& candidate, const std::vector<ExistingIndex>& existing) {
    return std::any_of(existing.begin(), existing.end(), [&](const ExistingIndex& index) {
        if (!index.comparable || !index.valid || index.predicate != candidate.predicate)
            return false;
        // What a hash does for one column a B-tree does as well.
        const bool as_hash = candidate.method == AccessMethod::hash && index.method == AccessMethod::btree &&
                             is_prefix(candidate.key, index.key);
        const bool key =
            same_key(index.method, candidate.key, index.key) ||
            (index.method == AccessMethod::btree && differs_by_included(candidate.key, index.key, index.included));
        return as_hash || (index.method == candidate.method && key &&
                           holds_included(candidate.included, index.key, index.included));
    });
}

std::vector<Candidate> candidates_for(const std::vector<StatementUse>& statements, const CandidateRules& rules,
                                      const ExistingIndexes& existing) {
    std::vector<Candidate> all;
    std::set<Candidate> seen;
    for (const StatementUse& statement : statements)
        for (const RelationUse& use : statement.relations)
            for (Candidate& candidate : candidates_for(use, rules))
                if (!is_served(candidate, existing(candidate.relation)) && seen.insert(candidate).second)
                    all.push_back(std::move(candidate));
    return all;
}

std::vector<Candidate> extensions_of(const Candidate& candidate, const std::vector<StatementUse>& statements,
                                     const CandidateRules& rules, const ExistingIndexes& existing) {
    std::set<Candidate> found;
    if (candidate.method != AccessMethod::btree)
        return {};
    std::set<KeyColumn> terms;
    const auto offer = [&](Candidate longer) {
        if (allows(rules.kinds, longer) && !is_served(longer, existing(longer.relation)))
            found.insert(std::move(longer));
    };
    for (const StatementUse& statement : statements) {
        if (!is_relevant(candidate, statement))
            continue;
        for (const RelationUse& use : statement.relations) {
            if (use.relation != candidate.relation)
                continue;
            collect_terms(use, rules.kinds, terms);
            std::vector<ColumnNumber> rest = worth_including(use, use.needed, candidate.key);
            if (rest.empty() || candidate.predicate != 0)
                continue;
            rest.insert(rest.end(), candidate.included.begin(), candidate.included.end());
            Candidate covering = candidate;
            covering.included = without_key(std::move(rest), candidate.key);
            if (covering.included != candidate.included)
                offer(std::move(covering));
        }
    }
    if (candidate.key.size() < static_cast<std::size_t>(rules.max_key_columns))
        for (const KeyColumn& term : terms) {
            if (contains(candidate.key, term))
                continue;
            Candidate longer = candidate;
            longer.key.push_back(term);
            longer.included = without_key(std::move(longer.included), longer.key);
            offer(std::move(longer));
        }
    return {found.begin(), found.end()};
}

std::vector<Candidate> merges_of(const Candidate& a, const Candidate& b, const CandidateRules& rules) {
    std::vector<Candidate> found;
    if (a.relation != b.relation || a.method != AccessMethod::btree || b.method != AccessMethod::btree ||
        a.predicate != b.predicate)
        return found;
    const auto merge = [&](const Candidate& head, const Candidate& tail) {
        Candidate merged = head;
        merged.key = joined(head.key, tail.key);
        if (merged.key.size() > static_cast<std::size_t>(rules.max_key_columns))
            return;
        merged.included.insert(merged.included.end(), tail.included.begin(), tail.included.end());
        merged.included = without_key(std::move(merged.included), merged.key);
        if (merged != a && merged != b && std::find(found.begin(), found.end(), merged) == found.end() &&
            allows(rules.kinds, merged))
            found.push_back(std::move(merged));
    };
    merge(a, b);
    merge(b, a);
    return found;
}

} // namespace citadel::advisor
