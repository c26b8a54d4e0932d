// The search over sets against brute force: small random workloads whose best set is found by trying them all.
#include "advisor/search.hpp"
#include "advisor/search_space.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <random>

using namespace citadel::advisor;

namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();

// The least objective of all sets, from the problem's own figures: sets and plans are bits, so that trying them all
// stays quick without an optimiser and under sanitizers.
double best_by_trying_all(const SearchProblem& problem) {
    struct Plan {
        double cost;
        std::uint32_t used;
    };
    std::vector<std::vector<Plan>> statements;
    for (const SearchStatement& statement : problem.statements) {
        std::vector<Plan>& plans = statements.emplace_back();
        for (const KnownPlan& plan : statement.plans) {
            std::uint32_t used = 0;
            for (const Item item : plan.used)
                used |= 1U << item;
            plans.push_back({statement.weight * plan.cost, used});
        }
    }
    double best = infinity;
    for (std::uint32_t set = 0; set < (1U << problem.items.size()); ++set) {
        std::vector<Item> groups[2];
        double bytes = 0.0;
        for (Item i = 0; i < problem.items.size(); ++i)
            if ((set >> i & 1U) != 0) {
                groups[problem.items[i].group].push_back(i);
                bytes += problem.items[i].bytes;
            }
        const std::size_t created = groups[0].size() + groups[1].size();
        if (bytes > problem.budget_bytes || created > problem.max_created)
            continue;
        double objective = problem.charge * static_cast<double>(created);
        for (const std::vector<Plan>& plans : statements) {
            double cheapest = infinity;
            for (const Plan& plan : plans)
                if ((plan.used & ~set) == 0)
                    cheapest = std::min(cheapest, plan.cost);
            objective += cheapest;
        }
        for (std::uint32_t group = 0; group < 2 && problem.write_cost; ++group)
            objective += problem.write_cost(group, groups[group]);
        best = std::min(best, objective);
    }
    return best;
}

// Statements with plans over one to three indexes each, of two tables; the larger plans are cheaper.
SearchProblem random_problem(unsigned seed, bool writes) {
    std::mt19937 random(seed);
    const auto any = [&](double low, double high) { return std::uniform_real_distribution<>(low, high)(random); };
    const auto below = [&](std::size_t n) { return std::uniform_int_distribution<std::size_t>(0, n - 1)(random); };
    SearchProblem problem;
    constexpr std::size_t count = 11;
    double all = 0.0;
    for (std::size_t i = 0; i < count; ++i) {
        SearchItem item;
        item.bytes = 8192.0 * (1.0 + static_cast<double>(below(100)));
        item.group = static_cast<std::uint32_t>(i % 2);
        all += item.bytes;
        problem.items.push_back(item);
    }
    for (std::size_t s = 0; s < 8; ++s) {
        SearchStatement statement;
        statement.weight = any(0.5, 3.0);
        const double base = any(100.0, 1000.0);
        statement.plans.push_back({base, {}});
        for (std::size_t p = 0; p < 7; ++p) {
            KnownPlan plan;
            const std::size_t width = 1 + below(3);
            for (std::size_t k = 0; k < width; ++k)
                plan.used.push_back(static_cast<Item>(below(count)));
            std::sort(plan.used.begin(), plan.used.end());
            plan.used.erase(std::unique(plan.used.begin(), plan.used.end()), plan.used.end());
            plan.cost = base * any(0.05, 1.0) / static_cast<double>(plan.used.size());
            statement.plans.push_back(plan);
        }
        problem.statements.push_back(statement);
    }
    problem.charge = 5.0;
    problem.budget_bytes = all * any(0.1, 0.8);
    if (writes)
        problem.write_cost = [](std::uint32_t group, const std::vector<Item>& present) {
            // The first index of the second table is dearer than the others together: HOT is lost.
            return present.empty() ? 0.0 : group * 120.0 + 20.0 * static_cast<double>(present.size());
        };
    return problem;
}

TEST(AdvisorSearch, FindsTheBestSetOfSmallWorkloads) {
    int exact = 0;
    constexpr int tries = 100;
    for (unsigned seed = 1; seed <= tries; ++seed) {
        const SearchProblem problem = random_problem(seed, seed % 2 == 0);
        const SearchAnswer answer = search_indexes(problem);
        const double best = best_by_trying_all(problem);
        EXPECT_NEAR(answer.objective, objective_of(problem, answer.present), 1e-6 * best) << "seed " << seed;
        EXPECT_LE(answer.objective, best * 1.15) << "seed " << seed;
        exact += answer.objective <= best * 1.000001 ? 1 : 0;
    }
    EXPECT_GE(exact, tries * 97 / 100);
}

TEST(AdvisorSearch, KeepsBudgetAndNumber) {
    SearchProblem problem = random_problem(7, false);
    problem.max_created = 2;
    const SearchAnswer answer = search_indexes(problem);
    EXPECT_LE(answer.created.size(), 2U);
    EXPECT_NEAR(answer.objective, best_by_trying_all(problem), 1e-6 * answer.objective);
    problem.budget_bytes = 0.0;
    EXPECT_TRUE(search_indexes(problem).created.empty());
}

// An existing (a) makes way for (a, b), because both together cost too much to write; it is not dropped by itself.
TEST(AdvisorSearch, ReplacesAnExistingIndex) {
    SearchProblem problem;
    problem.items = {SearchItem{8192.0, 0, true, false, {}}, SearchItem{16384.0, 0, false, false, {0}}};
    problem.statements = {{1.0, 110.0, {{1000.0, {}}, {100.0, {0}}, {105.0, {1}}}},
                          {1.0, infinity, {{500.0, {}}, {10.0, {1}}}}};
    problem.write_cost = [](std::uint32_t, const std::vector<Item>& present) {
        return 50.0 * static_cast<double>(present.size());
    };
    EXPECT_EQ(search_indexes(problem).present, (std::vector<char>{0, 1}));
    problem.statements[0].limit = 104.0; // 5 % worse is too much: both stay
    EXPECT_EQ(search_indexes(problem).present, (std::vector<char>{1, 1}));
    problem.statements.pop_back(); // nothing needs (a, b): (a) is used, and stays
    EXPECT_EQ(search_indexes(problem).present, (std::vector<char>{1, 0}));
}

TEST(AdvisorSearch, DropsTheUnusedOnly) {
    SearchProblem problem;
    problem.items = {SearchItem{8192.0, 0, true, true, {}}, SearchItem{8192.0, 0, true, false, {}}};
    problem.statements = {{1.0, infinity, {{100.0, {}}}}};
    problem.charge = 1.0;
    EXPECT_EQ(search_indexes(problem).present, (std::vector<char>{0, 1}));
}

TEST(AdvisorSearch, StopsWithTheBestSoFar) {
    SearchProblem problem = random_problem(3, false);
    int asked = 0;
    problem.stop = [&] { return ++asked > 3; };
    const SearchAnswer stopped = search_indexes(problem);
    EXPECT_LE(stopped.objective, objective_of(problem, std::vector<char>(problem.items.size())));
    EXPECT_LE(asked, 10);
}

// Of two indexes that do the same, the smaller one, even where the larger is a little better.
TEST(AdvisorSearch, SpaceHasItsPrice) {
    SearchProblem problem;
    problem.items = {SearchItem{1e6, 0, false, false, {}}, SearchItem{1e5, 0, false, false, {}}};
    problem.statements = {{1.0, infinity, {{1000.0, {}}, {100.0, {0}}, {100.5, {1}}}}};
    problem.charge = 0.1;
    EXPECT_EQ(search_indexes(problem).present, (std::vector<char>{1, 0}));
    problem.byte_price = 1e-6;
    const SearchAnswer answer = search_indexes(problem);
    EXPECT_EQ(answer.present, (std::vector<char>{0, 1}));
    EXPECT_NEAR(answer.objective, objective_of(problem, answer.present), 1e-9);
    problem.byte_price = 1e-2; // not worth it at all
    EXPECT_TRUE(search_indexes(problem).created.empty());
}

// Many tables with a few statements each, and statements that join two of them: one problem that hangs together.
SearchProblem wide_problem(std::size_t tables, bool bounded) {
    std::mt19937 random(5);
    const auto below = [&](std::size_t n) { return static_cast<std::uint32_t>(random() % n); };
    constexpr std::uint32_t per_table = 6;
    SearchProblem problem;
    double all = 0.0;
    for (std::size_t t = 0; t < tables; ++t)
        for (std::uint32_t i = 0; i < per_table; ++i) {
            problem.items.push_back(
                SearchItem{8192.0 * (1.0 + below(40)), static_cast<std::uint32_t>(t), false, false, {}});
            all += problem.items.back().bytes;
        }
    for (std::size_t s = 0; s < 5 * tables; ++s) {
        const std::size_t t = s % tables;
        const std::size_t other = (t + 1 + below(3)) % tables;
        SearchStatement statement{1.0 + below(4), infinity, {{1000.0, {}}}};
        for (std::uint32_t i = 0; i < per_table; ++i) {
            const auto mine = static_cast<Item>(t * per_table + i);
            const auto joined = static_cast<Item>(other * per_table + below(per_table));
            statement.plans.push_back({200.0 + below(700), {mine}});
            statement.plans.push_back({20.0 + below(300), {std::min(mine, joined), std::max(mine, joined)}});
        }
        problem.statements.push_back(statement);
    }
    problem.charge = 5.0;
    if (bounded)
        problem.budget_bytes = 0.2 * all;
    return problem;
}

TEST(AdvisorSearch, WorkGrowsWithTheStatements) {
    for (const bool bounded : {false, true}) {
        const SearchAnswer small = search_indexes(wide_problem(100, bounded));
        const SearchAnswer large = search_indexes(wide_problem(400, bounded));
        EXPECT_LT(static_cast<double>(large.operations), 2.1 * 2.1 * static_cast<double>(small.operations)) << bounded;
        EXPECT_LT(large.objective, 4.2 * small.objective) << bounded;
        const SearchAnswer again = search_indexes(wide_problem(400, bounded), &large.present);
        EXPECT_LE(again.objective, large.objective * (1.0 + 1e-9)) << bounded;
    }
}

// Nothing that is worked out once is worked out again.
TEST(AdvisorSearch, RemembersWhatTakingOutCosts) {
    const SearchProblem problem = wide_problem(20, false);
    SearchSpace space(problem);
    SearchState state = space.initial();
    space.bound_all(state);
    std::vector<Item> flips;
    for (std::uint32_t b = 0; b < space.bundles(); ++b)
        if (space.adding(state, b, flips); space.bundle(b).size() == 1)
            space.apply(state, flips);
    const std::vector<Item> created = state.created;
    std::vector<double> losses;
    for (const Item item : created)
        losses.push_back(space.loss(state, item));
    const std::uint64_t before = space.operations();
    for (std::size_t i = 0; i < created.size(); ++i)
        EXPECT_EQ(space.loss(state, created[i]), losses[i]);
    EXPECT_EQ(space.operations(), before);
    // One goes: what it has nothing to do with is still known, what it has is worked out anew.
    space.apply(state, space.removing(state, created.front()));
    const std::vector<Item> near = space.neighbours(state, created.front());
    const std::uint64_t between = space.operations();
    std::size_t others = 0;
    for (std::size_t i = 1; i < created.size(); ++i)
        if (std::find(near.begin(), near.end(), created[i]) == near.end()) {
            EXPECT_EQ(space.loss(state, created[i]), losses[i]);
            ++others;
        }
    EXPECT_GT(others, created.size() / 2);
    EXPECT_EQ(space.operations(), between);
    for (const Item item : near)
        EXPECT_NEAR(space.loss(state, item), space.change(state, space.removing(state, item)), 1e-6);
}

// When an index comes, what the bundles with it gain now follows from what they gained: none of them is priced.
TEST(AdvisorSearch, DoesNotPriceTheFollowersOfAStep) {
    const SearchProblem problem = wide_problem(20, false);
    SearchSpace space(problem);
    SearchState state = space.initial();
    space.bound_all(state);
    std::vector<Item> flips;
    for (std::uint32_t b = 0; b < space.bundles(); ++b)
        space.set_value(state, b, space.gain(state, b, flips));
    std::size_t followers = 0;
    for (std::uint32_t b = 0; b < space.bundles(); b += 7) {
        SearchState after = state;
        space.adding(after, b, flips);
        space.apply(after, flips);
        const std::uint64_t before = space.operations();
        const std::vector<std::uint32_t> touched = space.refresh_after_adding(after, flips);
        if (flips.size() > 1) // those with one of two that come together need fewer now: that is new
            continue;
        EXPECT_EQ(space.operations(), before);
        for (const std::uint32_t other : touched)
            if (other != b) {
                EXPECT_NEAR(space.gain(after, other, flips), after.value[other], 1e-6);
                ++followers;
            }
    }
    EXPECT_GT(followers, 0U);
}

// Thousands of promises are kept as bounds, and only looked at again when they come up.
TEST(AdvisorSearch, PricesFewPromisesForAStep) {
    SearchProblem problem;
    constexpr std::size_t count = 2000;
    for (Item i = 0; i < count; ++i) { // each has a statement of its own: no step changes what another gains
        problem.items.push_back(SearchItem{8192.0, i, false, false, {}});
        problem.statements.push_back({1.0, infinity, {{1000.0, {}}, {500.0 - 0.1 * i, {i}}}});
    }
    problem.thorough = false;
    const SearchAnswer answer = search_indexes(problem);
    EXPECT_EQ(answer.created.size(), count);
    EXPECT_LT(answer.operations, 100 * count);
}

// A set of a few indexes has few sets around it: the search at random does not look at one of them twice.
TEST(AdvisorSearch, TriesNothingTwice) {
    SearchProblem problem = wide_problem(4, false);
    for (SearchItem& item : problem.items)
        item.bytes = 1e6;
    problem.budget_bytes = 3e6;
    const SearchAnswer answer = search_indexes(problem);
    EXPECT_EQ(answer.created.size(), 3u);
    EXPECT_LT(answer.operations, 300'000u); // 598,000 when each step is tried again
}

// A limit that nothing runs into is none.
TEST(AdvisorSearch, AWideLimitCostsNoMoreThanNone) {
    SearchProblem problem = wide_problem(50, false);
    const SearchAnswer without = search_indexes(problem);
    problem.max_created = problem.items.size() - 1;
    problem.budget_bytes = 1e15;
    const SearchAnswer with = search_indexes(problem);
    EXPECT_EQ(with.operations, without.operations);
    EXPECT_EQ(with.present, without.present);
}

// A search that starts from an answer looks at what has been learned since.
TEST(AdvisorSearch, SearchesAgainOnlyWhereMoreIsKnown) {
    SearchProblem problem = wide_problem(100, false);
    problem.thorough = false;
    const SearchAnswer first = search_indexes(problem);
    const SearchAnswer again = search_indexes(problem, &first.present);
    for (std::size_t s = 0; s < problem.statements.size(); ++s)
        problem.statements[s].no_more_known = s % 100 != 0;
    problem.statements[0].plans.push_back({1.0, {0}});
    const SearchAnswer little = search_indexes(problem, &first.present);
    EXPECT_LT(little.operations, again.operations / 3);
    EXPECT_EQ(little.present[0], 1);
    EXPECT_LT(little.objective, again.objective);
}

// The bound on work is a share for each statement; what is found until then is the answer.
TEST(AdvisorSearch, TheBoundOnWorkGrowsWithTheStatements) {
    const auto work = [](std::size_t tables) {
        SearchProblem problem = wide_problem(tables, true);
        problem.least_operations = 0;
        problem.operations_per_statement = 200;
        const SearchAnswer answer = search_indexes(problem);
        EXPECT_LT(answer.objective, 0.9 * objective_of(problem, std::vector<char>(problem.items.size())));
        return static_cast<double>(answer.operations) / static_cast<double>(problem.statements.size());
    };
    EXPECT_LT(work(50), 2000.0);
    EXPECT_LT(work(400), 2000.0);
}

// What was tried in vain leaves no trace: a state that went there and back is as it was.
TEST(AdvisorSearch, TakesBackWhatWasTried) {
    SearchProblem problem = random_problem(4, true);
    problem.budget_bytes = infinity;
    SearchSpace space(problem);
    SearchState state = space.initial();
    space.bound_all(state);
    std::vector<Item> flips;
    space.adding(state, 3, flips);
    space.apply(state, flips);
    space.refresh_after_adding(state, flips);
    const SearchState before = state;
    space.begin(state);
    for (std::uint32_t b = 0; b < space.bundles(); b += 2) {
        space.adding(state, b, flips);
        if (flips.empty())
            continue;
        space.apply(state, flips);
        space.refresh_after_adding(state, flips);
    }
    for (const Item item : std::vector<Item>(state.created.begin(), state.created.begin() + 3)) {
        flips = space.removing(state, item);
        space.apply(state, flips);
        space.refresh_after_removing(state, flips);
    }
    EXPECT_NE(state.created, before.created);
    EXPECT_NEAR(space.objective(state), objective_of(problem, state.present), 1e-6);
    space.roll_back(state);
    EXPECT_EQ(state.present, before.present);
    EXPECT_EQ(state.plan, before.plan);
    EXPECT_EQ(state.missing, before.missing);
    EXPECT_EQ(state.written, before.written);
    EXPECT_EQ(state.created, before.created);
    EXPECT_EQ(state.value, before.value);
    EXPECT_EQ(state.open, before.open);
    EXPECT_EQ(state.is_open, before.is_open);
    EXPECT_EQ(space.objective(state), space.objective(before));
}

// No bundle gains more than it is said to when the search begins, unless a smaller one promises it as well.
TEST(AdvisorSearch, BoundsAreBounds) {
    for (unsigned seed = 1; seed <= 20; ++seed) {
        const SearchProblem problem = random_problem(seed, false);
        SearchSpace space(problem);
        SearchState state = space.initial();
        space.bound_all(state);
        std::vector<Item> flips;
        for (std::uint32_t b = 0; b < space.bundles(); ++b)
            if (space.bundle(b).size() < 3) {
                EXPECT_LE(space.gain(state, b, flips), state.value[b] + 1e-9) << "seed " << seed;
            }
    }
}

} // namespace
