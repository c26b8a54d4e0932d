#include "advisor/candidates.hpp"
#include "advisor/index_size.hpp"
#include "advisor/selection.hpp"

#include <gtest/gtest.h>

#include <algorithm>

using namespace citadel::advisor;

namespace {

constexpr RelationId table = 100;

Key key(std::initializer_list<int> columns) {
    Key result;
    for (const int column : columns)
        result.push_back(KeyColumn{static_cast<ColumnNumber>(std::abs(column)), column < 0, column < 0});
    return result;
}

Candidate index_on(std::initializer_list<int> columns, RelationId relation = table) {
    return Candidate{relation, AccessMethod::btree, key(columns)};
}

bool has(const std::vector<Candidate>& candidates, std::initializer_list<int> columns, RelationId relation = table) {
    return std::find(candidates.begin(), candidates.end(), index_on(columns, relation)) != candidates.end();
}

ExistingIndex existing_on(std::initializer_list<int> columns) {
    ExistingIndex index;
    index.key = key(columns);
    return index;
}

RelationUse use_of(std::vector<Clause> clauses, std::vector<Key> orders = {}, RelationId relation = table) {
    RelationUse use;
    use.relation = relation;
    use.clauses = std::move(clauses);
    use.orders = std::move(orders);
    return use;
}

const std::vector<ExistingIndex> none;
const ExistingIndexes no_indexes = [](RelationId) -> const std::vector<ExistingIndex>& { return none; };

TEST(AdvisorCandidates, EqualityBeforeRange) {
    const auto found = candidates_for(
        use_of({{3, ClauseKind::range, 0.3}, {1, ClauseKind::equality, 0.1}, {2, ClauseKind::equality, 0.01}}), {});
    EXPECT_TRUE(has(found, {2, 1, 3}));
    EXPECT_TRUE(has(found, {1, 2, 3}));
    EXPECT_TRUE(has(found, {2, 1}));
    EXPECT_TRUE(has(found, {3}));
    EXPECT_FALSE(has(found, {3, 1}));
}

TEST(AdvisorCandidates, OrderFollowsEqualityAndIsUpright) {
    const auto found = candidates_for(use_of({{1, ClauseKind::equality, 0.1}}, {key({-4, -5})}), {});
    ASSERT_FALSE(found.empty());
    EXPECT_EQ(found.front(), index_on({1, 4, 5}));
    EXPECT_TRUE(has(found, {4, 5}));
    const auto mixed = candidates_for(use_of({{1, ClauseKind::equality, 0.1}}, {key({4, -5})}), {});
    EXPECT_TRUE(has(mixed, {1, 4, -5}));
}

TEST(AdvisorCandidates, AnyOfComesAfterTheOrder) {
    const auto found =
        candidates_for(use_of({{1, ClauseKind::equality, 0.1}, {2, ClauseKind::any_of, 0.2}}, {key({3})}), {});
    EXPECT_TRUE(has(found, {1, 3, 2}));
    EXPECT_TRUE(has(found, {1, 2}));
}

TEST(AdvisorCandidates, JoinColumnsAloneAndWithFilters) {
    const auto found = candidates_for(use_of({{1, ClauseKind::equality, 0.1},
                                              {7, ClauseKind::join_equality, 1.0, 5},
                                              {8, ClauseKind::join_equality, 1.0, 6}}),
                                      {});
    EXPECT_TRUE(has(found, {7}));
    EXPECT_TRUE(has(found, {8}));
    EXPECT_TRUE(has(found, {7, 1}));
    EXPECT_TRUE(has(found, {1, 7}));
    EXPECT_TRUE(has(found, {7, 8})); // a fact table between two dimensions
}

TEST(AdvisorCandidates, OrArmsAreCandidatesOfTheirOwn) {
    RelationUse use;
    use.relation = table;
    use.arms = {{{1, ClauseKind::equality, 0.1}}, {{2, ClauseKind::equality, 0.1}}};
    const auto found = candidates_for(use, {});
    EXPECT_TRUE(has(found, {1}));
    EXPECT_TRUE(has(found, {2}));
    EXPECT_FALSE(has(found, {1, 2}));
}

TEST(AdvisorCandidates, RespectsWidthAndNumber) {
    std::vector<Clause> clauses;
    for (ColumnNumber column = 1; column <= 20; ++column)
        clauses.push_back({column, ClauseKind::equality, 0.5});
    CandidateRules rules;
    rules.max_key_columns = 2;
    const auto found = candidates_for(use_of(clauses), rules);
    EXPECT_LE(found.size(), rules.max_per_use);
    for (const Candidate& candidate : found)
        EXPECT_LE(candidate.key.size(), 2u);
}

TEST(AdvisorCandidates, ExistingPrefixServes) {
    const std::vector<ExistingIndex> existing = {existing_on({1, 2}), existing_on({5, -6})};
    EXPECT_TRUE(is_served(index_on({1}), existing));
    EXPECT_TRUE(is_served(index_on({1, 2}), existing));
    EXPECT_TRUE(is_served(index_on({-1, -2}), existing));
    EXPECT_TRUE(is_served(index_on({-5, 6}), existing));
    EXPECT_FALSE(is_served(index_on({2}), existing));
    EXPECT_FALSE(is_served(index_on({5, 6}), existing));
    EXPECT_FALSE(is_served(index_on({1, 2, 3}), existing));
    const ExistingIndexes lookup = [&](RelationId) -> const std::vector<ExistingIndex>& { return existing; };
    const auto found = candidates_for({StatementUse{1.0, {use_of({{1, ClauseKind::equality, 0.1}})}}}, {}, lookup);
    EXPECT_TRUE(found.empty());
}

TEST(AdvisorCandidates, ServedOnlyByItsOwnKind) {
    ExistingIndex covering = existing_on({1, 2});
    covering.included = {5, 6};
    Candidate wanted = index_on({1});
    wanted.included = {2, 5};
    EXPECT_TRUE(is_served(wanted, {covering}));
    wanted.included = {7};
    EXPECT_FALSE(is_served(wanted, {covering}));

    Candidate partial = index_on({1});
    partial.predicate = 3;
    EXPECT_FALSE(is_served(partial, {covering})); // smaller than a whole index: the cost decides
    ExistingIndex whole = existing_on({1});
    whole.predicate = 3;
    EXPECT_TRUE(is_served(partial, {whole}));
    EXPECT_FALSE(is_served(index_on({1}), {whole}));

    ExistingIndex other = existing_on({1});
    other.method = AccessMethod::hash;
    EXPECT_FALSE(is_served(index_on({1}), {other}));
    other = existing_on({1});
    other.key[0].operator_class = 4217;
    EXPECT_FALSE(is_served(index_on({1}), {other}));
    other = existing_on({1});
    other.valid = false;
    EXPECT_FALSE(is_served(index_on({1}), {other}));
    other = existing_on({1});
    other.comparable = false;
    EXPECT_FALSE(is_served(index_on({1}), {other}));
}

TEST(AdvisorCandidates, SubsumesWhatItsPrefixAndIncludedColumnsDo) {
    Candidate longer = index_on({1, 2});
    longer.included = {5};
    Candidate shorter = index_on({1});
    EXPECT_TRUE(subsumes(longer, shorter));
    shorter.included = {2, 5};
    EXPECT_TRUE(subsumes(longer, shorter));
    shorter.included = {6};
    EXPECT_FALSE(subsumes(longer, shorter));
    EXPECT_FALSE(subsumes(longer, index_on({2})));
    shorter = index_on({1});
    shorter.predicate = 1;
    EXPECT_FALSE(subsumes(longer, shorter));
    shorter.predicate = 0;
    shorter.relation = 101;
    EXPECT_FALSE(subsumes(longer, shorter));
}

// ---- size. Real sizes come from CREATE INDEX on PostgreSQL 15.

SizedColumn bigint_column() {
    return {false, 8, 8, 0.0};
}
SizedColumn int_column() {
    return {false, 4, 4, 0.0};
}

TEST(AdvisorIndexSize, UniqueIntegersMatchTheServer) {
    SizedIndex index;
    index.rows = 1'000'000;
    index.columns = {bigint_column()};
    const IndexSize size = btree_size(index);
    EXPECT_EQ(size.pages, 2745u); // 22487040 bytes, built
    EXPECT_EQ(size.leaf_pages, 2733u);
    EXPECT_EQ(size.tree_height, 2);
    index.columns = {int_column()};
    EXPECT_EQ(btree_size(index).pages, 2745u); // same alignment
}

TEST(AdvisorIndexSize, DeduplicationShrinks) {
    SizedIndex index;
    index.rows = 1'000'000;
    index.columns = {int_column()};
    index.distinct_keys = 100;
    const IndexSize size = btree_size(index);
    EXPECT_NEAR(static_cast<double>(size.pages), 847.0, 847.0 * 0.03);
    index.deduplicates = false;
    EXPECT_EQ(btree_size(index).pages, 2745u);
}

TEST(AdvisorIndexSize, SmallAndEmpty) {
    SizedIndex index;
    index.columns = {int_column()};
    EXPECT_EQ(btree_size(index).pages, 1u);
    EXPECT_EQ(btree_size(index).tree_height, 0);
    index.rows = 100;
    EXPECT_EQ(btree_size(index).pages, 2u);
    EXPECT_EQ(btree_size(index).tree_height, 0);
    index.rows = 5000;
    EXPECT_EQ(btree_size(index).tree_height, 1);
}

TEST(AdvisorIndexSize, NullsAndAlignment) {
    EXPECT_EQ(btree_tuple_size({int_column()}), 16.0);
    EXPECT_EQ(btree_tuple_size({int_column(), int_column()}), 16.0);
    EXPECT_EQ(btree_tuple_size({int_column(), bigint_column()}), 24.0);
    SizedColumn nullable = bigint_column();
    nullable.null_fraction = 1.0;
    EXPECT_EQ(btree_tuple_size({nullable}), 16.0);
}

// ---- selection over table-driven costs

// Costs: for each statement its base cost and what it costs with each useful set of indexes; the cheapest set that is
// contained in the configuration counts.
class CostTable : public CostSource {
  public:
    struct Row {
        std::size_t statement;
        std::vector<Candidate> indexes;
        double cost;
    };
    std::vector<Row> rows;
    std::map<Candidate, std::uint64_t> sizes;
    std::map<Candidate, double> writes;
    std::uint64_t calls = 0;
    std::vector<std::size_t> asked_statements;

    double cost(std::size_t statement, const std::vector<Candidate>& configuration) override {
        ++calls;
        asked_statements.push_back(statement);
        double best = 1e300;
        for (const Row& row : rows) {
            if (row.statement != statement)
                continue;
            const bool all = std::all_of(row.indexes.begin(), row.indexes.end(), [&](const Candidate& wanted) {
                // A longer index does what its prefix does.
                return std::any_of(configuration.begin(), configuration.end(), [&](const Candidate& there) {
                    return there.relation == wanted.relation && is_prefix(wanted.key, there.key);
                });
            });
            if (all)
                best = std::min(best, row.cost);
        }
        return best;
    }
    std::uint64_t size(const Candidate& candidate) override {
        const auto found = sizes.find(candidate);
        return found != sizes.end() ? found->second : 1'000'000 * candidate.key.size();
    }
    double write_cost(const Candidate& candidate) override {
        const auto found = writes.find(candidate);
        return found != writes.end() ? found->second : 0.0;
    }
};

StatementUse equality_on(std::initializer_list<int> columns, double weight = 1.0, RelationId relation = table) {
    std::vector<Clause> clauses;
    for (const int column : columns)
        clauses.push_back({static_cast<ColumnNumber>(column), ClauseKind::equality, 0.1});
    return StatementUse{weight, {use_of(clauses, {}, relation)}};
}

TEST(AdvisorSelection, FindsTheObviousAndNothingElse) {
    const std::vector<StatementUse> statements = {equality_on({1}), equality_on({2})};
    CostTable costs;
    costs.rows = {{0, {}, 1000}, {0, {index_on({1})}, 10}, {1, {}, 1000}};
    const Selection chosen = select_indexes(statements, no_indexes, costs, {});
    ASSERT_EQ(chosen.steps.size(), 1u);
    EXPECT_EQ(chosen.steps[0].index, index_on({1}));
    EXPECT_DOUBLE_EQ(chosen.steps[0].cost_before, 2000);
    EXPECT_DOUBLE_EQ(chosen.steps[0].cost_after, 1010);
    ASSERT_EQ(chosen.steps[0].helped.size(), 1u);
    EXPECT_EQ(chosen.steps[0].helped[0].statement, 0u);
}

TEST(AdvisorSelection, OneSharedIndexInsteadOfTwo) {
    // {1} serves both; {1,2} serves the second better, and the first as well.
    const std::vector<StatementUse> statements = {equality_on({1}), equality_on({1, 2})};
    CostTable costs;
    costs.rows = {
        {0, {}, 1000}, {0, {index_on({1})}, 10}, {1, {}, 1000}, {1, {index_on({1})}, 100}, {1, {index_on({1, 2})}, 10}};
    const Selection chosen = select_indexes(statements, no_indexes, costs, {});
    ASSERT_EQ(chosen.steps.size(), 1u);
    EXPECT_EQ(chosen.steps[0].index, index_on({1, 2}));
    EXPECT_DOUBLE_EQ(chosen.cost_after, 20);
}

TEST(AdvisorSelection, ExtensionReachesWhatNoRuleProposed) {
    // No single statement asks for (1,9): the first uses 1, the second 9 beside 1 as an OR arm.
    std::vector<StatementUse> statements = {equality_on({1}, 10.0)};
    StatementUse second;
    RelationUse use;
    use.relation = table;
    use.clauses = {{1, ClauseKind::range, 0.5}};
    use.orders = {key({9})};
    second.relations = {use};
    statements.push_back(second);
    CostTable costs;
    costs.rows = {{0, {}, 1000},
                  {0, {index_on({1})}, 10},
                  {1, {}, 1000},
                  {1, {index_on({1})}, 900},
                  {1, {index_on({1, 9})}, 100}};
    const Selection chosen = select_indexes(statements, no_indexes, costs, {});
    ASSERT_EQ(chosen.steps.size(), 1u);
    EXPECT_EQ(chosen.steps[0].index, index_on({1, 9}));
}

TEST(AdvisorSelection, BudgetIsKeptAndPlainGainGuardsTheKnapsack) {
    // Small index: gain 100 for 1 MB; large one: gain 900 for 10 MB. Both do not fit 10 MB: the large one is the
    // optimum.
    const std::vector<StatementUse> statements = {equality_on({1}), equality_on({2})};
    CostTable costs;
    costs.rows = {{0, {}, 1000}, {0, {index_on({1})}, 880}, {1, {}, 1000}, {1, {index_on({2})}, 100}};
    costs.sizes = {{index_on({1}), 1'000'000}, {index_on({2}), 10'000'000}};
    SelectionRules rules;
    rules.budget_bytes = 10'000'000;
    const Selection chosen = select_indexes(statements, no_indexes, costs, rules);
    ASSERT_EQ(chosen.steps.size(), 1u);
    EXPECT_EQ(chosen.steps[0].index, index_on({2}));
    EXPECT_TRUE(chosen.budget_was_binding);
    rules.budget_bytes = 11'000'000;
    EXPECT_EQ(select_indexes(statements, no_indexes, costs, rules).steps.size(), 2u);
    rules.budget_bytes = 0;
    EXPECT_TRUE(select_indexes(statements, no_indexes, costs, rules).steps.empty());
}

TEST(AdvisorSelection, WriteCostAndMinimumGainKeepIndexesOut) {
    const std::vector<StatementUse> statements = {equality_on({1}), equality_on({2})};
    CostTable costs;
    costs.rows = {{0, {}, 1000}, {0, {index_on({1})}, 10}, {1, {}, 1000}, {1, {index_on({2})}, 998}};
    EXPECT_EQ(select_indexes(statements, no_indexes, costs, {}).steps.size(), 1u); // 2 of 2000: under 0.3 %
    costs.writes = {{index_on({1}), 5000}};
    EXPECT_TRUE(select_indexes(statements, no_indexes, costs, {}).steps.empty());
}

TEST(AdvisorSelection, TwoIndexesThatOnlyPayTogetherAreNotLost) {
    // Each alone gains a little, both together a lot (a merge join): greedy gets there in two steps.
    StatementUse join;
    join.relations = {use_of({{1, ClauseKind::join_equality, 1.0, 2}}),
                      use_of({{1, ClauseKind::join_equality, 1.0, 1}}, {}, 200)};
    CostTable costs;
    costs.rows = {{0, {}, 1000},
                  {0, {index_on({1})}, 990},
                  {0, {index_on({1}, 200)}, 980},
                  {0, {index_on({1}), index_on({1}, 200)}, 100}};
    const Selection chosen = select_indexes({join}, no_indexes, costs, {});
    EXPECT_EQ(chosen.steps.size(), 2u);
    EXPECT_DOUBLE_EQ(chosen.cost_after, 100);
}

// Knows which indexes the cheapest row uses, as a planner does.
class PlanTable : public CostTable {
  public:
    std::vector<Candidate> used(std::size_t statement, const std::vector<Candidate>& configuration) override {
        const Row* best = nullptr;
        for (const Row& row : rows) {
            const bool all = std::all_of(row.indexes.begin(), row.indexes.end(), [&](const Candidate& wanted) {
                return std::find(configuration.begin(), configuration.end(), wanted) != configuration.end();
            });
            if (row.statement == statement && all && (best == nullptr || row.cost < best->cost))
                best = &row;
        }
        return best != nullptr ? best->indexes : std::vector<Candidate>{};
    }
};

TEST(AdvisorSelection, BothArmsOfAnOrAreChosenTogether) {
    StatementUse statement;
    RelationUse use;
    use.relation = table;
    use.arms = {{{1, ClauseKind::equality, 0.1}}, {{2, ClauseKind::equality, 0.1}}};
    statement.relations = {use};
    PlanTable costs;
    costs.rows = {{0, {}, 1000}, {0, {index_on({1}), index_on({2})}, 20}};
    const Selection chosen = select_indexes({statement}, no_indexes, costs, {});
    ASSERT_EQ(chosen.steps.size(), 2u);
    EXPECT_EQ(chosen.steps[0].together, std::vector<Candidate>{chosen.steps[1].index});
    EXPECT_DOUBLE_EQ(chosen.steps[0].cost_after, 20);
    EXPECT_DOUBLE_EQ(chosen.cost_after, 20);
    SelectionRules rules;
    rules.budget_bytes = 1'500'000; // one of them fits: useless
    EXPECT_TRUE(select_indexes({statement}, no_indexes, costs, rules).steps.empty());
}

TEST(AdvisorSelection, UntouchedStatementsAreNotAsked) {
    std::vector<StatementUse> statements;
    CostTable costs;
    for (std::size_t s = 0; s < 50; ++s) {
        statements.push_back(equality_on({1}, 1.0, static_cast<RelationId>(100 + s)));
        costs.rows.push_back({s, {}, 1000});
        costs.rows.push_back({s, {index_on({1}, static_cast<RelationId>(100 + s))}, 10});
    }
    const Selection chosen = select_indexes(statements, no_indexes, costs, {});
    EXPECT_EQ(chosen.steps.size(), 50u);
    // One call without and one with the index, a statement.
    EXPECT_EQ(chosen.computed, 100u);
    EXPECT_EQ(costs.calls, chosen.computed);
}

TEST(AdvisorSelection, LazyChoiceEqualsPlainGreedy) {
    // Random additive-with-overlap costs; plain greedy computed by brute force over the same candidates.
    std::uint64_t state = 12345;
    const auto random = [&](std::uint64_t n) {
        state = state * 6364136223846793005ULL + 1442695040888963407ULL;
        return (state >> 33) % n;
    };
    for (int round = 0; round < 30; ++round) {
        std::vector<StatementUse> statements;
        CostTable costs;
        std::vector<Candidate> all;
        for (int c = 1; c <= 6; ++c)
            all.push_back(index_on({c}));
        for (std::size_t s = 0; s < 8; ++s) {
            StatementUse statement;
            statement.weight = 1.0 + static_cast<double>(random(5));
            RelationUse use;
            use.relation = table;
            costs.rows.push_back({s, {}, 1000});
            for (int c = 1; c <= 6; ++c)
                if (random(2) == 0) {
                    // Join columns of different partners: no multi-column candidates.
                    use.clauses.push_back(
                        {static_cast<ColumnNumber>(c), ClauseKind::join_equality, 1.0, static_cast<std::uint64_t>(c)});
                    costs.rows.push_back({s, {index_on({c})}, 1000.0 - static_cast<double>(random(900))});
                }
            statement.relations = {use};
            statements.push_back(statement);
        }
        SelectionRules rules;
        rules.candidates.max_key_columns = 1;
        const Selection lazy = select_indexes(statements, no_indexes, costs, rules);

        std::vector<Candidate> chosen;
        const auto total = [&](const std::vector<Candidate>& set) {
            double sum = 0;
            for (std::size_t s = 0; s < statements.size(); ++s)
                sum += statements[s].weight * costs.cost(s, set);
            return sum;
        };
        const double initial = total({});
        for (;;) {
            double best_gain = 0.003 * initial;
            const Candidate* best = nullptr;
            for (const Candidate& candidate : all) {
                std::vector<Candidate> then = chosen;
                then.push_back(candidate);
                const double gain = total(chosen) - total(then);
                if (gain > best_gain) {
                    best_gain = gain;
                    best = &candidate;
                }
            }
            if (best == nullptr)
                break;
            chosen.push_back(*best);
        }
        // Pruning may only drop what is nearly useless.
        EXPECT_NEAR(lazy.cost_after, total(chosen), 0.01 * initial);
        EXPECT_LE(lazy.steps.size(), chosen.size());
    }
}

} // namespace
