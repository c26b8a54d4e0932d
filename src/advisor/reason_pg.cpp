#include "advisor/reason_pg.hpp"

#include "pg/guard.hpp"
#include "pg/text.hpp"

#include <algorithm>

extern "C" {
#include "utils/lsyscache.h"
}

namespace citadel::advisor {

namespace {

// What an index column is for, the strongest first.
enum Role : std::size_t { equality, join, range, search, order, distance, also, roles };

const char* const role_names[roles] = {"equality on", "join on",          "range on", "search in",
                                       "order of",    "nearest first by", "also"};

std::string column_name(RelationId relation, ColumnNumber column) {
    return pg::guard([=] { return get_attname(relation, column, false); });
}

std::string term_text(RelationId relation, const KeyColumn& term, const Expressions& expressions) {
    return term.column != 0 ? column_name(relation, term.column) : expressions.sql(term.expression);
}

Role role_of(const Clause& clause) {
    switch (clause.kind) {
    case ClauseKind::equality:
    case ClauseKind::any_of:
        return equality;
    case ClauseKind::join_equality:
        return join;
    case ClauseKind::range:
    case ClauseKind::prefix:
        return range;
    case ClauseKind::search:
        break;
    }
    return search;
}

Role role_in(const KeyColumn& term, const RelationUse& use) {
    Role found = also;
    const auto look = [&](const std::vector<Clause>& clauses) {
        for (const Clause& clause : clauses)
            if (clause.column == term.column && clause.expression == term.expression)
                found = std::min(found, role_of(clause));
    };
    look(use.clauses);
    for (const std::vector<Clause>& arm : use.arms)
        look(arm);
    for (const Key& wanted : use.orders)
        for (const KeyColumn& column : wanted)
            if (same_term(column, term))
                found = std::min(found, order);
    for (const DistanceOrder& wanted : use.distance_orders)
        if (wanted.column == term.column && wanted.expression == term.expression)
            found = std::min(found, distance);
    return found;
}

std::string listed(const std::vector<std::string>& names) {
    std::string text;
    for (std::size_t i = 0; i < names.size(); ++i)
        text += (i == 0 ? " " : " and ") + names[i];
    return text;
}

} // namespace

std::string key_text(const Candidate& index, const Expressions& expressions) {
    std::string text = pg::qualified_name(index.relation) + " (";
    for (std::size_t i = 0; i < index.key.size(); ++i)
        text += (i == 0 ? "" : ", ") + term_text(index.relation, index.key[i], expressions);
    return text + ")";
}

std::string purpose(const Candidate& index, const std::vector<const StatementUse*>& uses,
                    const Expressions& expressions) {
    std::vector<std::string> parts[roles];
    for (const KeyColumn& term : index.key) {
        Role role = also;
        for (const StatementUse* use : uses)
            for (const RelationUse& relation : use->relations)
                if (relation.relation == index.relation)
                    role = std::min(role, role_in(term, relation));
        parts[role].push_back(term_text(index.relation, term, expressions));
    }
    std::string text;
    for (std::size_t role = 0; role < roles; ++role)
        if (!parts[role].empty())
            text += (text.empty() ? "" : ", ") + std::string(role_names[role]) + listed(parts[role]);
    if (index.predicate != 0)
        text += ", of the rows where " + expressions.sql(index.predicate);
    if (!index.included.empty()) {
        std::vector<std::string> names;
        for (const ColumnNumber column : index.included)
            names.push_back(column_name(index.relation, column));
        text += ", without the table for" + listed(names);
    }
    return text;
}

} // namespace citadel::advisor
