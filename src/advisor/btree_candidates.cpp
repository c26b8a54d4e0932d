// Candidate rules of B-trees: plain, covering, partial.
#include "advisor/candidate_collector.hpp"

#include <map>

namespace citadel::advisor {

namespace {

// The terms of one conjunction by role, each once, most selective first.
struct Roles {
    Key equalities;
    Key leaders; // of these, what is worth leading an index: not what most rows have
    Key any_of;
    Key ranges;             // prefix searches with their operator class
    std::vector<Key> joins; // one entry a partner, in the order of the partners
    Key all_joins;          // most selective first
};

constexpr double most_rows = 0.4;

KeyColumn prefix_term(const Clause& clause) {
    KeyColumn term = term_of(clause);
    for (const AccessChoice& choice : clause.serves)
        if (choice.method == AccessMethod::btree) {
            term.operator_class = choice.operator_class;
            break;
        }
    return term;
}

Roles roles_of(const RelationUse& use, const std::vector<Clause>& clauses, const IndexKinds& kinds) {
    std::vector<Clause> sorted;
    for (const Clause& clause : clauses)
        if (clause.kind != ClauseKind::search && !is_wide(use, clause.column) &&
            (clause.column != 0 || kinds.expression) && (clause.kind != ClauseKind::prefix || kinds.opclass))
            sorted.push_back(clause);
    std::stable_sort(sorted.begin(), sorted.end(),
                     [](const Clause& a, const Clause& b) { return a.selectivity < b.selectivity; });
    Roles roles;
    Key taken;
    const auto take = [&](ClauseKind kind, Key& into) {
        for (const Clause& clause : sorted) {
            if (clause.kind != kind || contains(taken, term_of(clause)))
                continue;
            taken.push_back(term_of(clause));
            into.push_back(kind == ClauseKind::prefix ? prefix_term(clause) : term_of(clause));
        }
    };
    take(ClauseKind::equality, roles.equalities);
    for (const Clause& clause : sorted)
        if (clause.kind == ClauseKind::equality && clause.selectivity < most_rows)
            append(roles.leaders, term_of(clause));
    take(ClauseKind::any_of, roles.any_of);
    take(ClauseKind::prefix, roles.ranges);
    take(ClauseKind::range, roles.ranges);
    // A join column may be restricted by a constant as well; the join is still a way in.
    std::map<std::uint64_t, Key> by_partner;
    for (const Clause& clause : sorted)
        if (clause.kind == ClauseKind::join_equality) {
            append(by_partner[clause.partner], term_of(clause));
            append(roles.all_joins, term_of(clause));
        }
    for (auto& [partner, terms] : by_partner)
        roles.joins.push_back(std::move(terms));
    return roles;
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

// The part of an order that may be indexed.
Key allowed_part(const RelationUse& use, const Key& order, const IndexKinds& kinds) {
    Key part;
    for (const KeyColumn& column : order) {
        if ((column.column == 0 && !kinds.expression) || is_wide(use, column.column))
            break;
        part.push_back(column);
    }
    return part;
}

class Keys {
  public:
    explicit Keys(const CandidateRules& rules) : width_(static_cast<std::size_t>(rules.max_key_columns)) {}
    void add(Key key) {
        key.resize(std::min(key.size(), width_));
        if (!key.empty() && std::find(keys_.begin(), keys_.end(), key) == keys_.end())
            keys_.push_back(std::move(key));
    }
    std::vector<Key> take() { return std::move(keys_); }

  private:
    std::size_t width_;
    std::vector<Key> keys_;
};

bool is_among(const std::vector<ExpressionId>& sorted, ExpressionId id) {
    return id != 0 && std::binary_search(sorted.begin(), sorted.end(), id);
}

bool is_sortable(const RelationUse& use, ColumnNumber column) {
    return !is_wide(use, column) && !std::binary_search(use.unsortable.begin(), use.unsortable.end(), column);
}

// Keys and, after each, its prefixes: they are smaller, and serve more statements.
void add_with_prefixes(Collector& into, const std::vector<Key>& keys) {
    for (const Key& key : keys)
        for (std::size_t width = key.size(); width >= 1; --width)
            into.add(Candidate{
                0, AccessMethod::btree, Key(key.begin(), key.begin() + static_cast<std::ptrdiff_t>(width)), {}, 0});
}

// How many columns may be added, and which share of the row's width the index may then hold: an index that is a copy of
// the table is no advice.
constexpr std::size_t few_columns = 3;
constexpr std::size_t most_columns = 12;
constexpr double widest_included = 48.0; // bytes: keys and figures, not bodies
constexpr double share_with_few = 0.8;
constexpr double share_with_many = 0.5;

} // namespace

std::vector<Key> btree_keys(const RelationUse& use, const std::vector<Clause>& clauses,
                            const std::vector<Key>& wanted_orders, const CandidateRules& rules) {
    std::vector<Key> orders;
    for (const Key& order : wanted_orders)
        if (Key part = upright(allowed_part(use, order, rules.kinds)); !part.empty())
            orders.push_back(std::move(part));
    const Roles roles = roles_of(use, clauses, rules.kinds);
    const Key& equal = roles.equalities;
    const Key equal_or_any = joined(equal, roles.any_of);
    const Key range = roles.ranges.empty() ? Key{} : Key{roles.ranges.front()};
    Keys keys(rules);

    // What finds the rows, then what narrows or orders them. any_of columns spoil an order, so they follow it.
    for (const Key& order : orders)
        keys.add(joined(joined(equal, order), joined(roles.any_of, range)));
    for (const KeyColumn& column : roles.ranges)
        keys.add(joined(equal_or_any, Key{column}));
    keys.add(equal_or_any);

    for (const Key& join : roles.joins) {
        keys.add(joined(joined(join, equal_or_any), range));
        keys.add(joined(joined(equal, join), range));
        for (const Key& order : orders)
            keys.add(joined(joined(join, equal), order));
        for (const KeyColumn& column : join)
            keys.add(Key{column});
    }

    // Once with each equality column leading: that is how two statements come to share one index.
    for (const KeyColumn& leader : roles.leaders)
        keys.add(joined(joined(Key{leader}, equal_or_any), range));
    for (const KeyColumn& leader : roles.any_of)
        keys.add(joined(Key{leader}, joined(equal, range)));

    for (const Key& order : orders)
        keys.add(order);
    for (const KeyColumn& column : roles.ranges)
        keys.add(Key{column});
    // Rows found through two joins at once: a fact table between small dimensions.
    if (roles.joins.size() > 1) {
        keys.add(joined(equal, roles.all_joins));
        for (const KeyColumn& leader : roles.all_joins)
            keys.add(joined(Key{leader}, roles.all_joins));
    }
    return keys.take();
}

std::vector<ColumnNumber> worth_including(const RelationUse& use, const std::vector<ColumnNumber>& needed,
                                          const Key& key) {
    std::vector<ColumnNumber> rest;
    double width = 0.0;
    for (const KeyColumn& column : key) {
        if (column.column == 0)
            return {}; // the columns behind an expression would have to be included too
        width += width_of(use, column.column);
    }
    for (const ColumnNumber column : needed)
        if (!contains(key, column)) {
            if (width_of(use, column) > widest_included)
                return {};
            rest.push_back(column);
            width += width_of(use, column);
        }
    const double share = use.row_width > 0.0 ? width / use.row_width : 1.0;
    const bool worth =
        rest.size() <= few_columns ? share <= share_with_few : rest.size() <= most_columns && share <= share_with_many;
    return worth ? rest : std::vector<ColumnNumber>{};
}

void add_btrees(Collector& into, const RelationUse& use) {
    into.limit(into.rules().max_per_use);
    add_with_prefixes(into, btree_keys(use, use.clauses, use.orders, into.rules()));
    for (const std::vector<Clause>& arm : use.arms) {
        add_with_prefixes(into, btree_keys(use, arm, {}, into.rules()));
        if (use.clauses.empty())
            continue;
        // An arm is searched together with what holds for all arms.
        std::vector<Clause> both = arm;
        both.insert(both.end(), use.clauses.begin(), use.clauses.end());
        add_with_prefixes(into, btree_keys(use, both, {}, into.rules()));
    }
}

void add_covering(Collector& into, const RelationUse& use) {
    if (use.needed.empty())
        return;
    into.limit(into.rules().max_covering);
    std::vector<Key> keys = btree_keys(use, use.clauses, use.orders, into.rules());
    // Without a clause or order that a B-tree knows an index may still be the smaller thing to read.
    if (keys.empty()) {
        const auto first = std::find_if(use.needed.begin(), use.needed.end(),
                                        [&](ColumnNumber column) { return is_sortable(use, column); });
        if (first == use.needed.end())
            return;
        keys.push_back(Key{KeyColumn{*first}});
        if (use.needed.size() == 1 && width_of(use, *first) <= share_with_few * use.row_width)
            into.add(Candidate{0, AccessMethod::btree, keys.front(), {}, 0});
    }
    // Also each leading column alone with all the others behind it: those that search keep their order.
    const std::size_t whole = keys.size();
    for (std::size_t i = 0; i < whole; ++i)
        if (keys[i].size() > 1)
            keys.push_back(Key{keys[i].front()});
    for (const Key& key : keys)
        if (std::vector<ColumnNumber> rest = worth_including(use, use.needed, key); !rest.empty())
            into.add(Candidate{0, AccessMethod::btree, key, std::move(rest), 0});
    // As further key columns where there is room: unlike included ones they are deduplicated, and serve other keys too.
    into.limit(into.rules().max_covering);
    for (const Key& key : keys) {
        const std::vector<ColumnNumber> rest = worth_including(use, use.needed, key);
        if (rest.empty() || key.size() + rest.size() > static_cast<std::size_t>(into.rules().max_key_columns) ||
            !std::all_of(rest.begin(), rest.end(), [&](ColumnNumber column) { return is_sortable(use, column); }))
            continue;
        Key longer = key;
        for (const ColumnNumber column : rest)
            longer.push_back(KeyColumn{column});
        into.add(Candidate{0, AccessMethod::btree, std::move(longer), {}, 0});
    }
}

void add_partial(Collector& into, const RelationUse& use) {
    into.limit(into.rules().max_partial);
    for (const PartialPredicate& partial : use.predicates) {
        if (partial.selectivity > into.rules().widest_predicate)
            continue;
        std::vector<Clause> rest;
        Key own;
        for (const Clause& clause : use.clauses) {
            if (!is_among(partial.clauses, clause.predicate))
                rest.push_back(clause);
            else if (clause.kind != ClauseKind::search && clause.column != 0 && is_sortable(use, clause.column))
                append(own, term_of(clause));
        }
        std::vector<Key> keys = btree_keys(use, rest, use.orders, into.rules());
        // Nothing else is asked: any key does, and that of the fewest different values is the smallest.
        if (keys.empty() && partial.selectivity <= into.rules().widest_sole_predicate) {
            if (!own.empty())
                keys.push_back(Key{own.front()});
            else if (!partial.needed.empty() && is_sortable(use, partial.needed.front()))
                keys.push_back(Key{KeyColumn{partial.needed.front()}});
        }
        const std::size_t few = std::min<std::size_t>(keys.size(), 3);
        for (std::size_t i = 0; i < few; ++i) {
            into.add(Candidate{0, AccessMethod::btree, keys[i], {}, partial.predicate});
            if (keys[i].size() > 1)
                into.add(Candidate{0, AccessMethod::btree, Key{keys[i].front()}, {}, partial.predicate});
        }
        if (few > 0)
            if (std::vector<ColumnNumber> covered = worth_including(use, partial.needed, keys.front());
                !covered.empty())
                into.add(Candidate{0, AccessMethod::btree, keys.front(), std::move(covered), partial.predicate});
    }
}

} // namespace citadel::advisor
