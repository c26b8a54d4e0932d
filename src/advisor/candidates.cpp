#include "advisor/candidates.hpp"

#include <algorithm>
#include <map>
#include <set>

namespace citadel::advisor {

namespace {

bool contains(const Key& key, ColumnNumber column) {
    return std::any_of(key.begin(), key.end(), [&](const KeyColumn& k) { return k.column == column; });
}

void append(Key& key, const KeyColumn& column) {
    if (!contains(key, column.column))
        key.push_back(column);
}

KeyColumn ascending(ColumnNumber column) {
    return KeyColumn{column, false, false};
}

// Collects keys in order of promise; remembers what it has.
class Collector {
  public:
    Collector(RelationId relation, const CandidateRules& rules) : relation_(relation), rules_(rules) {}

    // Adds the key, cut to the allowed width, and then its shorter prefixes down to `shortest` columns.
    void add(Key key, std::size_t shortest) {
        key.resize(std::min(key.size(), static_cast<std::size_t>(rules_.max_key_columns)));
        for (std::size_t width = key.size(); width >= std::max<std::size_t>(shortest, 1); --width) {
            Key prefix(key.begin(), key.begin() + static_cast<std::ptrdiff_t>(width));
            if (found_.size() < rules_.max_per_use && seen_.insert(prefix).second)
                found_.push_back(Candidate{relation_, AccessMethod::btree, std::move(prefix), {}, 0});
        }
    }

    std::vector<Candidate> take() { return std::move(found_); }

  private:
    RelationId relation_;
    const CandidateRules& rules_;
    std::vector<Candidate> found_;
    std::set<Key> seen_;
};

// The columns of one conjunction by role, each column once, most selective first.
struct Roles {
    std::vector<ColumnNumber> equalities;
    std::vector<ColumnNumber> any_of;
    std::vector<ColumnNumber> ranges;
    std::vector<std::vector<ColumnNumber>> joins; // one entry a partner
};

Roles roles_of(const std::vector<Clause>& clauses) {
    std::vector<Clause> sorted = clauses;
    std::stable_sort(sorted.begin(), sorted.end(),
                     [](const Clause& a, const Clause& b) { return a.selectivity < b.selectivity; });
    Roles roles;
    std::set<ColumnNumber> taken;
    const auto take = [&](ClauseKind kind, std::vector<ColumnNumber>& into) {
        for (const Clause& clause : sorted)
            if (clause.kind == kind && taken.insert(clause.column).second)
                into.push_back(clause.column);
    };
    take(ClauseKind::equality, roles.equalities);
    take(ClauseKind::any_of, roles.any_of);
    take(ClauseKind::range, roles.ranges);
    // A join column may be restricted by a constant as well; the join is still a way in.
    std::map<std::uint64_t, std::vector<ColumnNumber>> by_partner;
    for (const Clause& clause : sorted) {
        if (clause.kind != ClauseKind::join_equality)
            continue;
        std::vector<ColumnNumber>& columns = by_partner[clause.partner];
        if (std::find(columns.begin(), columns.end(), clause.column) == columns.end())
            columns.push_back(clause.column);
    }
    for (auto& [partner, columns] : by_partner)
        roles.joins.push_back(std::move(columns));
    return roles;
}

Key key_of(const std::vector<ColumnNumber>& columns) {
    Key key;
    for (const ColumnNumber column : columns)
        append(key, ascending(column));
    return key;
}

Key joined(Key head, const Key& tail) {
    for (const KeyColumn& column : tail)
        append(head, column);
    return head;
}

// A B-tree reads both ways, and what stands before the order is fixed by equality: the mirror image serves as well, and
// one spelling of it lets statements share the index.
Key upright(Key order) {
    if (!order.empty() && order.front().descending)
        for (KeyColumn& column : order) {
            column.descending = !column.descending;
            column.nulls_first = !column.nulls_first;
        }
    return order;
}

void add_conjunction(Collector& into, const std::vector<Clause>& clauses, const std::vector<Key>& wanted_orders) {
    std::vector<Key> orders;
    orders.reserve(wanted_orders.size());
    for (const Key& order : wanted_orders)
        orders.push_back(upright(order));
    const Roles roles = roles_of(clauses);
    const Key equal = key_of(roles.equalities);
    const Key equal_or_any = joined(equal, key_of(roles.any_of));
    const Key range = roles.ranges.empty() ? Key{} : Key{ascending(roles.ranges.front())};

    // What finds the rows, then what narrows or orders them. any_of columns spoil an order, so they follow it.
    for (const Key& order : orders)
        into.add(joined(joined(equal, order), joined(key_of(roles.any_of), range)), 1);
    for (const ColumnNumber column : roles.ranges)
        into.add(joined(equal_or_any, Key{ascending(column)}), 1);
    into.add(equal_or_any, 1);

    // Once with each equality column leading: that is how two statements come to share one index.
    for (const ColumnNumber leader : roles.equalities)
        into.add(joined(joined(Key{ascending(leader)}, equal_or_any), range), 1);
    for (const ColumnNumber leader : roles.any_of)
        into.add(joined(Key{ascending(leader)}, joined(equal, range)), 1);

    for (const std::vector<ColumnNumber>& columns : roles.joins) {
        const Key join = key_of(columns);
        into.add(joined(joined(join, equal_or_any), range), 1);
        into.add(joined(joined(equal, join), range), 1);
        for (const Key& order : orders)
            into.add(joined(joined(join, equal), order), 1);
        for (const ColumnNumber column : columns)
            into.add(Key{ascending(column)}, 1);
    }
    for (const Key& order : orders)
        into.add(order, 1);
    for (const ColumnNumber column : roles.ranges)
        into.add(Key{ascending(column)}, 1);
}

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

} // namespace

bool is_prefix(const Key& key, const Key& of) {
    if (key.size() > of.size())
        return false;
    return std::equal(key.begin(), key.end(), of.begin()) ||
           std::equal(key.begin(), key.end(), of.begin(), reversed_equal);
}

bool subsumes(const Candidate& longer, const Candidate& shorter) {
    return longer.relation == shorter.relation && longer.method == shorter.method &&
           longer.predicate == shorter.predicate && is_prefix(shorter.key, longer.key) &&
           holds_included(shorter.included, longer.key, longer.included);
}

bool is_relevant(const Candidate& candidate, const StatementUse& statement) {
    const ColumnNumber first = candidate.key.front().column;
    const auto in_clauses = [&](const std::vector<Clause>& clauses) {
        return std::any_of(clauses.begin(), clauses.end(), [&](const Clause& c) { return c.column == first; });
    };
    for (const RelationUse& use : statement.relations) {
        if (use.relation != candidate.relation)
            continue;
        if (in_clauses(use.clauses) || std::any_of(use.arms.begin(), use.arms.end(), in_clauses))
            return true;
        // Any order may follow equality columns, so each of its columns can come to lead.
        for (const Key& order : use.orders)
            if (contains(order, first))
                return true;
        if (!use.needed.empty() && std::all_of(use.needed.begin(), use.needed.end(),
                                               [&](ColumnNumber column) { return contains(candidate.key, column); }))
            return true;
    }
    return false;
}

std::vector<Candidate> candidates_for(const RelationUse& use, const CandidateRules& rules) {
    Collector collector(use.relation, rules);
    add_conjunction(collector, use.clauses, use.orders);
    for (const std::vector<Clause>& arm : use.arms) {
        // An arm is searched together with what holds for all arms.
        std::vector<Clause> both = arm;
        both.insert(both.end(), use.clauses.begin(), use.clauses.end());
        add_conjunction(collector, arm, {});
        if (!use.clauses.empty())
            add_conjunction(collector, both, {});
    }
    return collector.take();
}

bool is_served(const Candidate& candidate, const std::vector<ExistingIndex>& existing) {
    return std::any_of(existing.begin(), existing.end(), [&](const ExistingIndex& index) {
        return index.comparable && index.valid && index.method == candidate.method &&
               index.predicate == candidate.predicate && is_prefix(candidate.key, index.key) &&
               holds_included(candidate.included, index.key, index.included);
    });
}

std::vector<Candidate> candidates_for(const std::vector<StatementUse>& statements, const CandidateRules& rules,
                                      const ExistingIndexes& existing) {
    std::vector<Candidate> all;
    std::set<Candidate> seen;
    for (const StatementUse& statement : statements)
        for (const RelationUse& use : statement.relations)
            for (Candidate& candidate : candidates_for(use, rules))
                if (allows(rules.kinds, candidate) && !is_served(candidate, existing(candidate.relation)) &&
                    seen.insert(candidate).second)
                    all.push_back(std::move(candidate));
    return all;
}

std::vector<Candidate> extensions_of(const Candidate& candidate, const std::vector<StatementUse>& statements,
                                     const CandidateRules& rules, const ExistingIndexes& existing) {
    std::vector<Candidate> found;
    if (candidate.key.size() >= static_cast<std::size_t>(rules.max_key_columns))
        return found;
    std::set<KeyColumn> columns;
    for (const StatementUse& statement : statements) {
        if (!is_relevant(candidate, statement))
            continue;
        for (const RelationUse& use : statement.relations) {
            if (use.relation != candidate.relation)
                continue;
            for (const Clause& clause : use.clauses)
                columns.insert(ascending(clause.column));
            for (const std::vector<Clause>& arm : use.arms)
                for (const Clause& clause : arm)
                    columns.insert(ascending(clause.column));
            for (const Key& order : use.orders)
                columns.insert(order.begin(), order.end());
        }
    }
    for (const KeyColumn& column : columns) {
        if (contains(candidate.key, column.column))
            continue;
        Candidate longer = candidate;
        longer.key.push_back(column);
        if (!is_served(longer, existing(longer.relation)))
            found.push_back(std::move(longer));
    }
    return found;
}

} // namespace citadel::advisor
