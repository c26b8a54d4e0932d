// The selection over table-driven costs: small workloads whose best answer is known.
#include "advisor_words.hpp"

#include "advisor/selection.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>

using namespace citadel::advisor;
using namespace citadel::advisor::test;

namespace {

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

    bool tells_used = true;

    double cost(std::size_t statement, const std::vector<Candidate>& configuration) {
        return cheapest(statement, {configuration, {}}).cost;
    }
    Priced price(std::size_t statement, const Configuration& configuration) override {
        ++calls;
        asked_statements.push_back(statement);
        return cheapest(statement, configuration);
    }
    std::uint64_t size(const Candidate& candidate) override {
        const auto found = sizes.find(candidate);
        return found != sizes.end() ? found->second : 1'000'000 * candidate.key.size();
    }
    double write_cost(RelationId relation, const Configuration& configuration) override {
        double cost = 0.0;
        for (const Candidate& candidate : configuration.added)
            if (const auto found = writes.find(candidate); found != writes.end())
                cost += found->second;
        for (const IndexId id : configuration.hidden)
            cost -= relation == table ? existing_writes[id] : 0.0;
        return cost;
    }
    std::map<IndexId, Candidate> existing; // also there unless hidden
    std::map<IndexId, double> existing_writes;

  private:
    Priced cheapest(std::size_t statement, const Configuration& configuration) {
        Priced best;
        best.cost = 1e300;
        best.knows_used = tells_used;
        for (const Row& row : rows) {
            if (row.statement != statement || row.cost >= best.cost)
                continue;
            Priced possible{row.cost, tells_used, {}, {}};
            bool all = true;
            for (const Candidate& wanted : row.indexes)
                all = all && find(wanted, configuration, possible);
            if (all)
                best = possible;
        }
        return best;
    }
    // A longer index does what its prefix does; existing ones come first.
    bool find(const Candidate& wanted, const Configuration& configuration, Priced& into) {
        for (const auto& [id, index] : existing)
            if (!std::binary_search(configuration.hidden.begin(), configuration.hidden.end(), id) &&
                subsumes(index, wanted)) {
                into.existing.push_back(id);
                return true;
            }
        for (const Candidate& there : configuration.added)
            if (subsumes(there, wanted)) {
                into.added.push_back(there);
                return true;
            }
        return false;
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
    EXPECT_EQ(select_indexes(statements, no_indexes, costs, {}).steps.size(), 1u); // 2 of 1000 that are left: under 1 %
    costs.writes = {{index_on({1}), 5000}};
    EXPECT_TRUE(select_indexes(statements, no_indexes, costs, {}).steps.empty());
}

// What costs the same with a smaller index gets the smaller one, whichever the planner happened to name first, with a
// budget or without.
TEST(AdvisorSelection, OfEqualsTheSmallest) {
    const std::vector<StatementUse> statements = {equality_on({5}), equality_on({1, 2})};
    CostTable costs;
    costs.rows = {{0, {}, 993},
                  {0, {index_on({5})}, 85},
                  {1, {}, 43},
                  {1, {index_on({2, 1})}, 8},
                  {1, {index_on({1, 2})}, 8},
                  {1, {index_on({1})}, 8},
                  {1, {index_on({2})}, 26}};
    costs.sizes = {{index_on({5}), 409'600},
                   {index_on({1}), 81'920},
                   {index_on({2}), 32'768},
                   {index_on({1, 2}), 98'304},
                   {index_on({2, 1}), 98'304}};
    for (const std::optional<std::uint64_t> budget :
         {std::optional<std::uint64_t>{}, std::optional<std::uint64_t>{510'000},
          std::optional<std::uint64_t>{100'000'000}}) {
        SelectionRules rules;
        rules.budget_bytes = budget;
        const Selection chosen = select_indexes(statements, no_indexes, costs, rules);
        ASSERT_EQ(chosen.steps.size(), 2u);
        EXPECT_EQ(chosen.steps[1].index, index_on({1}));
        EXPECT_EQ(chosen.cost_after, 93.0);
    }
    // A hair dearer is as good: a thousandth for all of the bytes. More than that is not, however small the index.
    costs.rows[5].cost = 8.001;
    EXPECT_EQ(select_indexes(statements, no_indexes, costs, {}).steps[1].index, index_on({1}));
    costs.rows[5].cost = 8.1;
    SelectionRules rules;
    rules.budget_bytes = 100'000'000;
    EXPECT_EQ(select_indexes(statements, no_indexes, costs, rules).steps[1].bytes, 98'304u);
}

// The smaller index must do for every statement that the larger one serves, and cost writers no more.
TEST(AdvisorSelection, TheSmallerServesAllOrNone) {
    const std::vector<StatementUse> statements = {equality_on({1, 2}), equality_on({1, 2, 3})};
    CostTable costs;
    costs.rows = {{0, {}, 1000}, {0, {index_on({1, 2})}, 10}, {0, {index_on({1})}, 10},
                  {1, {}, 1000}, {1, {index_on({1, 2})}, 10}, {1, {index_on({1})}, 20}};
    EXPECT_EQ(select_indexes(statements, no_indexes, costs, {}).steps[0].index, index_on({1, 2}));
    costs.rows[5].cost = 10;
    EXPECT_EQ(select_indexes(statements, no_indexes, costs, {}).steps[0].index, index_on({1}));
    costs.writes[index_on({1})] = 5.0;
    EXPECT_EQ(select_indexes(statements, no_indexes, costs, {}).steps[0].index, index_on({1, 2}));
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

TEST(AdvisorSelection, BothArmsOfAnOrAreChosenTogether) {
    StatementUse statement;
    RelationUse use;
    use.relation = table;
    use.arms = {{{1, ClauseKind::equality, 0.1}}, {{2, ClauseKind::equality, 0.1}}};
    statement.relations = {use};
    CostTable costs;
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
    // One call without and one with the index, a statement: nobody else's index is of interest to it.
    EXPECT_EQ(chosen.computed, 100u);
    EXPECT_EQ(costs.calls, chosen.computed);
}

// A workload of overlapping uses whose best set under a budget is found by trying all sets.
struct RandomWorkload {
    std::vector<StatementUse> statements;
    CostTable costs;
    std::vector<Candidate> all;
    double initial = 0.0;

    explicit RandomWorkload(std::uint64_t seed) : state_(seed) {
        for (int c = 1; c <= 8; ++c) {
            all.push_back(index_on({c}));
            costs.sizes[all.back()] = 500'000 * (1 + random(10));
        }
        for (std::size_t s = 0; s < 10; ++s) {
            StatementUse statement;
            statement.weight = 1.0 + static_cast<double>(random(5));
            RelationUse use;
            use.relation = table;
            costs.rows.push_back({s, {}, 1000});
            std::vector<Candidate> mine;
            for (int c = 1; c <= 8; ++c)
                if (random(2) == 0) {
                    // Join columns of different partners: no multi-column candidates.
                    use.clauses.push_back({static_cast<ColumnNumber>(c), ClauseKind::join_equality,
                                           std::pow(0.5, static_cast<double>(s)), // no two are of one shape
                                           static_cast<std::uint64_t>(c)});
                    mine.push_back(index_on({c}));
                    costs.rows.push_back({s, {mine.back()}, 1000.0 - static_cast<double>(random(600))});
                }
            for (std::size_t i = 0; i + 1 < mine.size(); i += 2)
                costs.rows.push_back({s, {mine[i], mine[i + 1]}, 400.0 - static_cast<double>(random(390))});
            statement.relations = {use};
            statements.push_back(statement);
            initial += statement.weight * 1000;
        }
    }

    double total(const std::vector<Candidate>& set) {
        double sum = 0;
        for (std::size_t s = 0; s < statements.size(); ++s)
            sum += statements[s].weight * costs.cost(s, set);
        return sum;
    }

    double best(std::uint64_t budget, double charge) {
        double least = 1e300;
        for (std::uint32_t bits = 0; bits < 256; ++bits) {
            std::vector<Candidate> set;
            std::uint64_t bytes = 0;
            for (std::size_t c = 0; c < 8; ++c)
                if ((bits >> c) % 2 == 1) {
                    set.push_back(all[c]);
                    bytes += costs.size(all[c]);
                }
            if (bytes <= budget)
                least = std::min(least, total(set) + charge * static_cast<double>(set.size()));
        }
        return least;
    }

    std::uint64_t random(std::uint64_t n) {
        state_ = state_ * 6364136223846793005ULL + 1442695040888963407ULL;
        return (state_ >> 33) % n;
    }

  private:
    std::uint64_t state_;
};

TEST(AdvisorSelection, ReachesTheOptimumAtEveryBudget) {
    int exact = 0;
    int tries = 0;
    for (std::uint64_t seed = 1; seed <= 20; ++seed)
        for (const std::uint64_t budget : {2'000'000U, 5'000'000U, 10'000'000U, 40'000'000U}) {
            RandomWorkload workload(seed);
            SelectionRules rules;
            rules.candidates.max_key_columns = 1;
            rules.min_gain = 1e-6;
            rules.budget_bytes = budget;
            const Selection chosen = select_indexes(workload.statements, no_indexes, workload.costs, rules);
            const double best = workload.best(budget, 0.0);
            std::uint64_t bytes = 0;
            for (const Step& step : chosen.steps)
                bytes += step.bytes;
            EXPECT_LE(bytes, budget);
            EXPECT_LE(chosen.cost_after, best * 1.01 + 1.0) << "seed " << seed << ", budget " << budget;
            EXPECT_GE(chosen.cost_after, chosen.lower_bound);
            EXPECT_LE(chosen.lower_bound, best + 1e-6);
            exact += chosen.cost_after <= best + 1e-3 * best ? 1 : 0;
            ++tries;
        }
    EXPECT_GE(exact, tries * 95 / 100);
}

TEST(AdvisorSelection, WorksWithASourceThatCannotTellWhatIsUsed) {
    RandomWorkload workload(3);
    workload.costs.tells_used = false;
    SelectionRules rules;
    rules.candidates.max_key_columns = 1;
    const Selection chosen = select_indexes(workload.statements, no_indexes, workload.costs, rules);
    EXPECT_LE(chosen.cost_after, workload.best(1'000'000'000, 0.0) * 1.05);
}

// ---- dropping

ExistingIndex existing_on(IndexId id, std::initializer_list<int> columns) {
    ExistingIndex index;
    index.id = id;
    index.key = key(columns);
    index.bytes = 1'000'000;
    index.scans = 10;
    return index;
}

std::vector<IndexId> dropped(const Selection& selection) {
    std::vector<IndexId> ids;
    for (const Drop& drop : selection.drops)
        ids.push_back(drop.index);
    return ids;
}

TEST(AdvisorSelection, DropsWhatNobodyNeeds) {
    std::vector<ExistingIndex> there = {existing_on(1, {1}), existing_on(2, {1, 2}), existing_on(3, {3}),
                                        existing_on(4, {4}), existing_on(5, {5}),    existing_on(6, {5}),
                                        existing_on(7, {6})};
    there[3].unused = true;
    there[6].unused = true;
    there[6].constraint = true;
    const ExistingIndexes existing = [&](RelationId) -> const std::vector<ExistingIndex>& { return there; };
    CostTable costs;
    for (const ExistingIndex& index : there)
        costs.existing[index.id] = Candidate{table, AccessMethod::btree, index.key, {}, 0};
    costs.rows = {{0, {}, 1000}, {0, {index_on({1})}, 10}, {1, {}, 1000}, {1, {index_on({5})}, 10}};
    const std::vector<StatementUse> statements = {equality_on({1}), equality_on({5})};
    SelectionRules rules;
    EXPECT_TRUE(select_indexes(statements, existing, costs, rules).drops.empty());
    rules.consider_drops = true;
    const Selection chosen = select_indexes(statements, existing, costs, rules);
    const std::vector<IndexId> ids = dropped(chosen);
    // (1) is a prefix of (1, 2); (4) is unused; one of the two (5) is enough. (3) is scanned by somebody, 7 is needed.
    ASSERT_EQ(ids.size(), 3u);
    EXPECT_EQ(ids[0], 1u);
    EXPECT_EQ(ids[1], 4u);
    EXPECT_TRUE(ids[2] == 5 || ids[2] == 6);
    EXPECT_EQ(chosen.drops[0].reason, DropReason::redundant);
    EXPECT_EQ(chosen.drops[0].covered_by, 2u);
    EXPECT_EQ(chosen.drops[1].reason, DropReason::unused);
    EXPECT_EQ(chosen.drops[2].reason, DropReason::duplicate);
    EXPECT_FALSE(chosen.worst_hit.has_value());
}

TEST(AdvisorSelection, ReplacesAShorterIndexInOneDecision) {
    std::vector<ExistingIndex> there = {existing_on(1, {1})};
    const ExistingIndexes existing = [&](RelationId) -> const std::vector<ExistingIndex>& { return there; };
    CostTable costs;
    costs.existing[1] = index_on({1});
    costs.rows = {{0, {}, 1000},
                  {0, {index_on({1})}, 500},
                  {0, {index_on({1, 2})}, 10},
                  {1, {}, 1000},
                  {1, {index_on({1})}, 400}};
    costs.writes[index_on({1, 2})] = 600;
    costs.existing_writes[1] = 590;
    const std::vector<StatementUse> statements = {equality_on({1, 2}), equality_on({1})};
    SelectionRules rules;
    // Not worth its writes beside (1) ...
    EXPECT_TRUE(select_indexes(statements, existing, costs, rules).steps.empty());
    // ... but in its place.
    rules.consider_drops = true;
    const Selection chosen = select_indexes(statements, existing, costs, rules);
    ASSERT_EQ(chosen.steps.size(), 1u);
    EXPECT_EQ(chosen.steps[0].index, index_on({1, 2}));
    EXPECT_EQ(chosen.steps[0].replaces, std::vector<IndexId>{1});
    ASSERT_EQ(chosen.drops.size(), 1u);
    EXPECT_EQ(chosen.drops[0].covered_by_step, index_on({1, 2}));
    EXPECT_DOUBLE_EQ(chosen.write_cost, 10);
}

TEST(AdvisorSelection, RefusesASetUnderWhichAStatementGetsMuchWorse) {
    std::vector<ExistingIndex> there = {existing_on(1, {1})};
    there[0].unused = true; // lately: this statement came back only now
    const ExistingIndexes existing = [&](RelationId) -> const std::vector<ExistingIndex>& { return there; };
    CostTable costs;
    costs.existing[1] = index_on({1});
    costs.existing_writes[1] = 1'000'000;
    costs.rows = {{0, {}, 120}, {0, {index_on({1})}, 100}};
    SelectionRules rules;
    rules.consider_drops = true;
    EXPECT_TRUE(select_indexes({equality_on({1})}, existing, costs, rules).drops.empty());
    rules.max_regression = 0.25;
    const Selection chosen = select_indexes({equality_on({1})}, existing, costs, rules);
    ASSERT_EQ(chosen.drops.size(), 1u);
    ASSERT_TRUE(chosen.worst_hit.has_value());
    EXPECT_EQ(chosen.worst_hit->statement, 0u);
    EXPECT_DOUBLE_EQ(chosen.worst_hit->cost_after, 120);
}

// ---- stopping, and growth

TEST(AdvisorSelection, StoppedAtAnyMomentItAnswersWithTheBestSoFar) {
    for (int after = 0; after < 120; after += 7) {
        RandomWorkload workload(5);
        int asked = 0;
        SelectionRules rules;
        rules.candidates.max_key_columns = 1;
        rules.budget_bytes = 5'000'000;
        rules.stop = [&] { return ++asked > after; };
        const Selection chosen = select_indexes(workload.statements, no_indexes, workload.costs, rules);
        EXPECT_LE(chosen.cost_after, workload.initial + 1e-6);
        EXPECT_NEAR(chosen.cost_before, workload.initial, 1e-6);
        std::vector<Candidate> set;
        for (const Step& step : chosen.steps)
            set.push_back(step.index);
        EXPECT_LE(workload.total(set), chosen.cost_after + 1e-6); // it promises no more than it found out
    }
}

TEST(AdvisorSelection, CostsAskedGrowLinearlyWithTheStatements) {
    const auto asked_for = [](std::size_t count) {
        std::vector<StatementUse> statements;
        CostTable costs;
        for (std::size_t s = 0; s < count; ++s) {
            const auto relation = static_cast<RelationId>(100 + s / 10); // ten statements a table
            const int first = 1 + static_cast<int>(s % 3);
            statements.push_back(equality_on({first, 4}, 1.0, relation));
            costs.rows.push_back({s, {}, 1000});
            costs.rows.push_back({s, {index_on({first}, relation)}, 100});
            costs.rows.push_back({s, {index_on({first, 4}, relation)}, 10});
        }
        const Selection chosen = select_indexes(statements, no_indexes, costs, {});
        EXPECT_EQ(chosen.steps.size(), count / 10 * 3);
        return static_cast<double>(costs.calls);
    };
    const double small = asked_for(100);
    EXPECT_LE(asked_for(400), 4.4 * small);
    EXPECT_LE(asked_for(800), 8.8 * small);
}

// ---- statements of one shape

// Twenty of each of four shapes, a little different each.
struct Variants {
    std::vector<StatementUse> statements;
    CostTable costs;

    explicit Variants(bool alike) {
        for (int shape = 0; shape < 4; ++shape)
            for (int i = 0; i < 20; ++i) {
                const std::size_t s = statements.size();
                statements.push_back(equality_on({1 + shape, 5}, 1.0 + i % 3));
                RelationUse& use = statements.back().relations[0];
                // Unlike: another table of its own size says that they are not one.
                use.clauses[0].selectivity = alike ? 0.1 : std::pow(0.7, i);
                const double base = 1000.0 + i % 7;
                costs.rows.push_back({s, {}, base});
                costs.rows.push_back({s, {index_on({1 + shape})}, 100.0 + i % 5});
                costs.rows.push_back({s, {index_on({1 + shape, 5})}, 20.0});
            }
    }
    Selection answer(std::uint64_t budget) {
        SelectionRules rules;
        rules.budget_bytes = budget;
        return select_indexes(statements, no_indexes, costs, rules);
    }
};

TEST(AdvisorSelection, VariantsOfAStatementAreExaminedAsOneAndReportedEach) {
    for (const std::uint64_t budget : {1'000'000U, 3'000'000U, 5'000'000U, 100'000'000U}) {
        Variants folded(true);
        Variants apart(false);
        const Selection one = folded.answer(budget);
        const Selection other = apart.answer(budget);
        EXPECT_DOUBLE_EQ(one.cost_before, other.cost_before);
        EXPECT_LE(one.cost_after, other.cost_after * 1.01) << budget;
        // Today, with everything, and with the answer; the leaders a little more.
        EXPECT_LE(folded.costs.calls, 3 * folded.statements.size() + 40);
        EXPECT_LT(folded.costs.calls * 5, apart.costs.calls * 4);
        std::vector<char> helped(folded.statements.size());
        for (const Step& step : one.steps)
            for (const Helped& h : step.helped)
                helped[h.statement] = 1;
        EXPECT_EQ(std::count(helped.begin(), helped.end(), 1), 20 * static_cast<long>(one.steps.size())) << budget;
    }
}

} // namespace
