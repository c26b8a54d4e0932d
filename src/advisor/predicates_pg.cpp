#include "advisor/predicates_pg.hpp"

#include <algorithm>
#include <map>
#include <set>

namespace citadel::advisor {

namespace {

// As many predicates a table are tried on each of its uses.
constexpr std::size_t most_predicates = 32;

using Predicates = std::map<ExpressionId, PartialPredicate>;

std::vector<ExpressionId> holding_in(const RelationUse& use) {
    std::vector<ExpressionId> holding;
    for (const Clause& clause : use.clauses)
        if (clause.predicate != 0 && std::find(holding.begin(), holding.end(), clause.predicate) == holding.end())
            holding.push_back(clause.predicate);
    return holding;
}

bool knows(const RelationUse& use, ExpressionId predicate) {
    return std::any_of(use.predicates.begin(), use.predicates.end(),
                       [&](const PartialPredicate& partial) { return partial.predicate == predicate; });
}

// Only conditions on the same columns can prove it.
bool touches(const Expressions& expressions, ExpressionId predicate, const std::vector<ExpressionId>& holding) {
    std::set<ColumnNumber> columns;
    for (const ExpressionId id : holding)
        columns.insert(expressions.columns(id).begin(), expressions.columns(id).end());
    const std::vector<ColumnNumber>& wanted = expressions.columns(predicate);
    return std::all_of(wanted.begin(), wanted.end(), [&](ColumnNumber column) { return columns.count(column) != 0; });
}

} // namespace

void share_predicates(std::vector<StatementUse>& statements, const Expressions& expressions) {
    std::map<RelationId, Predicates> known;
    for (const StatementUse& statement : statements)
        for (const RelationUse& use : statement.relations)
            for (const PartialPredicate& partial : use.predicates)
                if (Predicates& those = known[use.relation]; those.size() < most_predicates)
                    those.emplace(partial.predicate, partial);
    for (StatementUse& statement : statements)
        for (RelationUse& use : statement.relations) {
            const auto those = known.find(use.relation);
            if (those == known.end())
                continue;
            const std::vector<ExpressionId> holding = holding_in(use);
            for (const auto& [id, partial] : those->second) {
                if (knows(use, id) || !touches(expressions, id, holding) || !expressions.implied(id, holding))
                    continue;
                // What this use's own conditions prove stays to be asked; it needs all its columns still.
                use.predicates.push_back({id, partial.selectivity, {}, use.needed});
            }
        }
}

} // namespace citadel::advisor
