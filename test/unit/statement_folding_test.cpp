// Which statements are taken together, and that their load is kept.
#include "advisor/statement_folding.hpp"
#include "advisor_words.hpp"

#include <gtest/gtest.h>

#include <numeric>

using namespace citadel::advisor;
using namespace citadel::advisor::test;

namespace {

StatementUse statement(double weight, double selectivity) {
    RelationUse use = use_of({{1, ClauseKind::equality, selectivity}, {2, ClauseKind::range, 0.3}}, {key({3})});
    use.needed = {1, 2, 3};
    use.rows = 1000.0;
    return StatementUse{weight, {use}};
}

// As they are with the same plan at best.
Folding folded(const std::vector<StatementUse>& statements, const std::vector<double>& today) {
    std::vector<BestPlan> best;
    for (const double cost : today)
        best.push_back({cost / 10.0, {1}});
    return fold(statements, today, best);
}

TEST(AdvisorFolding, TheLoadOfAllIsTheLeaders) {
    const std::vector<StatementUse> statements = {statement(1.0, 0.1), statement(5.0, 0.1), statement(2.0, 0.5),
                                                  statement(3.0, 0.1)};
    const std::vector<double> today = {100.0, 101.0, 100.0, 102.0};
    const Folding folding = folded(statements, today);
    EXPECT_EQ(folding.leader, (std::vector<std::size_t>{1, 1, 2, 1})); // 101 is the mean of the three
    EXPECT_EQ(folding.leaders, 2U);
    EXPECT_EQ(folding.weight[0], 0.0);
    EXPECT_DOUBLE_EQ(folding.weight[1] * 101.0, 1.0 * 100.0 + 5.0 * 101.0 + 3.0 * 102.0);
    EXPECT_DOUBLE_EQ(folding.weight[2], 2.0);
    double load = 0.0;
    double kept = 0.0;
    for (std::size_t s = 0; s < statements.size(); ++s) {
        load += statements[s].weight * today[s];
        kept += folding.weight[s] * today[s];
    }
    EXPECT_DOUBLE_EQ(load, kept);
}

TEST(AdvisorFolding, WhatAnIndexCouldTellApartStaysApart) {
    const StatementUse one = statement(1.0, 0.1);
    const auto is_apart = [&](auto&& changed) {
        StatementUse other = one;
        changed(other.relations[0], other);
        return shape_of(one) != shape_of(other);
    };
    EXPECT_FALSE(is_apart([](RelationUse&, StatementUse& other) { other.weight = 9.0; }));
    EXPECT_FALSE(is_apart([](RelationUse& use, StatementUse&) { use.clauses[0].predicate = 7; })); // its constant
    EXPECT_TRUE(is_apart([](RelationUse& use, StatementUse&) { use.relation = 7; }));
    EXPECT_TRUE(is_apart([](RelationUse& use, StatementUse&) { use.clauses[0].column = 7; }));
    EXPECT_TRUE(is_apart([](RelationUse& use, StatementUse&) { use.clauses[0].kind = ClauseKind::any_of; }));
    EXPECT_TRUE(is_apart([](RelationUse& use, StatementUse&) { use.clauses[0].selectivity = 0.2; }));
    EXPECT_TRUE(is_apart([](RelationUse& use, StatementUse&) { use.clauses[0].expression = 7; }));
    EXPECT_TRUE(is_apart([](RelationUse& use, StatementUse&) { use.clauses[0].partner = 7; }));
    EXPECT_TRUE(is_apart([](RelationUse& use, StatementUse&) { use.clauses[0].serves = {{AccessMethod::gin, 7}}; }));
    EXPECT_TRUE(is_apart([](RelationUse& use, StatementUse&) { use.arms = {use.clauses}; }));
    EXPECT_TRUE(is_apart([](RelationUse& use, StatementUse&) { use.orders[0] = key({-3}); }));
    EXPECT_TRUE(is_apart([](RelationUse& use, StatementUse&) { use.distance_orders = {{1, 0, 7}}; }));
    EXPECT_TRUE(is_apart([](RelationUse& use, StatementUse&) { use.predicates = {{7, 0.5, {}, {}}}; }));
    EXPECT_TRUE(is_apart([](RelationUse& use, StatementUse&) { use.needed = {1, 2}; }));
    EXPECT_TRUE(is_apart([](RelationUse& use, StatementUse& other) { other.relations.push_back(use); }));
    EXPECT_TRUE(is_apart([](RelationUse&, StatementUse& other) {
        other.writes = {{table, WriteKind::update, 1.0, {2}}};
    }));
    // Less than a row of the table is as good as none.
    EXPECT_EQ(shape_of(statement(1.0, 0.0009)), shape_of(statement(1.0, 0.00001)));
}

TEST(AdvisorFolding, CostsAndPlansTellStatementsApart) {
    const std::vector<StatementUse> two = {statement(1.0, 0.1), statement(1.0, 0.1)};
    EXPECT_EQ(fold(two, {100.0, 101.0}, {{10.0, {1}}, {10.1, {1}}}).leaders, 1U);
    EXPECT_EQ(fold(two, {100.0, 150.0}, {{10.0, {1}}, {10.1, {1}}}).leaders, 2U); // another cost today,
    EXPECT_EQ(fold(two, {100.0, 101.0}, {{10.0, {1}}, {60.0, {1}}}).leaders, 2U); // at best (LIMIT 10, LIMIT 1000),
    EXPECT_EQ(fold(two, {100.0, 101.0}, {{10.0, {1}}, {10.1, {2}}}).leaders, 2U); // by another index
    const Folding none = unfolded(two);
    EXPECT_EQ(none.leaders, 2U);
    EXPECT_TRUE(none.leads(0) && none.leads(1));
}

} // namespace
