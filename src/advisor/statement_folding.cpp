#include "advisor/statement_folding.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <utility>

namespace citadel::advisor {

namespace {

// Numbers that are alike share a step of a scale.
std::uint64_t step_of(double number) {
    constexpr double least = 1e-12;
    return static_cast<std::uint64_t>(
        static_cast<std::int64_t>(std::floor(std::log(std::max(number, least)) / std::log(alike_within))));
}

class Shape {
  public:
    void add(std::uint64_t number) { numbers_.push_back(number); }
    template <class List, class Each>
    void add_all(const List& list, Each&& each) {
        add(list.size());
        for (const auto& one : list)
            each(one);
    }
    void add_columns(const std::vector<ColumnNumber>& columns) {
        add_all(columns, [&](ColumnNumber column) { add(static_cast<std::uint64_t>(column)); });
    }
    void add_key(const Key& key) {
        add_all(key, [&](const KeyColumn& column) {
            add(static_cast<std::uint64_t>(column.column));
            add((column.descending ? 1U : 0U) + (column.nulls_first ? 2U : 0U));
            add(column.expression);
            add(column.operator_class);
        });
    }
    // Fewer than a row are none.
    void add_clause(const Clause& clause, double rows) {
        add(static_cast<std::uint64_t>(clause.column));
        add(static_cast<std::uint64_t>(clause.kind));
        add(step_of(rows > 0.0 ? std::max(clause.selectivity, 1.0 / rows) : clause.selectivity));
        add(clause.partner);
        add(clause.expression);
        add_all(clause.serves, [&](const AccessChoice& choice) {
            add(static_cast<std::uint64_t>(choice.method));
            add(choice.operator_class);
        });
    }
    void add_use(const RelationUse& use) {
        add(use.relation);
        const auto clause = [&](const Clause& one) { add_clause(one, use.rows); };
        add_all(use.clauses, clause);
        add_all(use.arms, [&](const std::vector<Clause>& arm) { add_all(arm, clause); });
        add_all(use.orders, [&](const Key& order) { add_key(order); });
        add_all(use.distance_orders, [&](const DistanceOrder& order) {
            add(static_cast<std::uint64_t>(order.column));
            add(order.expression);
            add(order.operator_class);
        });
        add_all(use.predicates, [&](const PartialPredicate& partial) {
            add(partial.predicate);
            add_all(partial.clauses, [&](ExpressionId id) { add(id); });
            add_columns(partial.needed);
        });
        add_columns(use.needed);
    }
    void add_write(const WriteUse& write) {
        add(write.relation);
        add(static_cast<std::uint64_t>(write.kind));
        add(step_of(write.rows));
        add_columns(write.columns);
    }
    std::vector<std::uint64_t> take() { return std::move(numbers_); }

  private:
    std::vector<std::uint64_t> numbers_;
};

} // namespace

std::vector<std::uint64_t> shape_of(const StatementUse& statement) {
    Shape shape;
    shape.add_all(statement.relations, [&](const RelationUse& use) { shape.add_use(use); });
    shape.add_all(statement.writes, [&](const WriteUse& write) { shape.add_write(write); });
    return shape.take();
}

Folding unfolded(const std::vector<StatementUse>& statements) {
    Folding folding;
    for (std::size_t s = 0; s < statements.size(); ++s) {
        folding.leader.push_back(s);
        folding.weight.push_back(statements[s].weight);
    }
    folding.leaders = statements.size();
    return folding;
}

Folding fold(const std::vector<StatementUse>& statements, const std::vector<double>& today,
             const std::vector<BestPlan>& best) {
    std::map<std::vector<std::uint64_t>, std::vector<std::size_t>> alike;
    for (std::size_t s = 0; s < statements.size(); ++s) {
        std::vector<std::uint64_t> shape = shape_of(statements[s]);
        shape.push_back(step_of(today[s]));
        shape.push_back(step_of(best[s].cost));
        shape.insert(shape.end(), best[s].used.begin(), best[s].used.end());
        alike[std::move(shape)].push_back(s);
    }
    Folding folding = unfolded(statements);
    folding.leaders = alike.size();
    for (const auto& [shape, members] : alike) {
        double load = 0.0;
        double weight = 0.0;
        for (const std::size_t s : members) {
            load += statements[s].weight * today[s];
            weight += statements[s].weight;
        }
        const double mean = weight > 0.0 ? load / weight : 0.0;
        const std::size_t leader = *std::min_element(members.begin(), members.end(), [&](std::size_t a, std::size_t b) {
            return std::abs(today[a] - mean) < std::abs(today[b] - mean);
        });
        for (const std::size_t s : members) {
            folding.leader[s] = leader;
            folding.weight[s] = 0.0;
        }
        folding.weight[leader] = today[leader] > 0.0 ? load / today[leader] : weight;
    }
    return folding;
}

} // namespace citadel::advisor
