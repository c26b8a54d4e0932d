// The search over sets against brute force: small random workloads whose best set is found by trying them all.
#include "advisor/search.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <random>

using namespace citadel::advisor;

namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();

double best_by_trying_all(const SearchProblem& problem) {
    const std::size_t count = problem.items.size();
    double best = infinity;
    for (std::uint32_t set = 0; set < (1U << count); ++set) {
        std::vector<char> present(count);
        for (std::size_t i = 0; i < count; ++i)
            present[i] = static_cast<char>((set >> i) & 1U);
        best = std::min(best, objective_of(problem, present));
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

} // namespace
