// What the cache knows without asking: plans between what was used and what was on offer, and plans told from others.
#include "advisor/cost_cache.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>

using namespace citadel::advisor;

namespace {

Candidate index_on(ColumnNumber column) {
    Candidate candidate;
    candidate.relation = 1;
    candidate.key = {KeyColumn{column}};
    return candidate;
}

// One statement that costs 1000 today; the cheapest of its indexes that is there is used, and says of the others at its
// place what they are believed to cost.
class OnePlace : public CostSource {
  public:
    struct Known {
        Candidate index;
        double cost;
        double believed;
    };
    std::vector<Known> known;

    Priced price(std::size_t, const Configuration& configuration) override {
        Priced priced{1000.0, true, {}, {}};
        const Known* best = nullptr;
        for (const Known& one : known)
            if (position(one.index, configuration) && (best == nullptr || one.cost < best->cost))
                best = &one;
        if (best == nullptr)
            return priced;
        priced.cost = best->cost;
        priced.added = {best->index};
        Substitution place{*position(best->index, configuration), {{std::nullopt, 0, 1000.0 - best->cost}}};
        for (const Known& one : known)
            if (const auto other = position(one.index, configuration); other && one.index != best->index)
                place.others.push_back({other, 0, one.believed - best->cost});
        priced.substitutions = {place};
        return priced;
    }
    std::map<Candidate, std::uint64_t> sizes; // others: a page
    std::uint64_t size(const Candidate& candidate) override {
        const auto found = sizes.find(candidate);
        return found == sizes.end() ? 8192 : found->second;
    }

  private:
    static std::optional<std::size_t> position(const Candidate& index, const Configuration& configuration) {
        const auto found = std::find(configuration.added.begin(), configuration.added.end(), index);
        if (found == configuration.added.end())
            return std::nullopt;
        return static_cast<std::size_t>(found - configuration.added.begin());
    }
};

std::vector<StatementUse> statement_on(std::initializer_list<ColumnNumber> columns) {
    RelationUse use;
    use.relation = 1;
    for (const ColumnNumber column : columns)
        use.clauses.push_back({column, ClauseKind::equality, 0.1});
    return {StatementUse{1.0, {use}}};
}

TEST(AdvisorCostCache, KnowsWhatLiesBetweenUsedAndOffered) {
    OnePlace source;
    source.known = {{index_on(1), 10.0, 10.0}};
    const std::vector<StatementUse> statements = statement_on({1, 2, 3});
    CostCache cache(statements, source);
    const Item a = cache.add(index_on(1));
    const Item b = cache.add(index_on(2));
    cache.add(index_on(3));
    EXPECT_EQ(cache.cost(0, cache.today()), 1000.0);
    EXPECT_EQ(cache.cost(0, CostCache::Set{1, 1, 1}), 10.0);
    EXPECT_EQ(cache.computed(), 2u);
    CostCache::Set some(3);
    some[a] = 1;
    EXPECT_EQ(cache.cost(0, some), 10.0);
    some[b] = 1;
    EXPECT_EQ(cache.cost(0, some), 10.0);
    EXPECT_EQ(cache.computed(), 2u);
}

TEST(AdvisorCostCache, TellsOthersFromOnePlan) {
    OnePlace source;
    source.known = {{index_on(1), 10.0, 10.0}, {index_on(2), 40.0, 40.0}, {index_on(3), 2000.0, 2000.0}};
    const std::vector<StatementUse> statements = statement_on({1, 2, 3});
    CostCache cache(statements, source);
    const Item a = cache.add(index_on(1));
    const Item b = cache.add(index_on(2));
    cache.add(index_on(3));
    cache.cost(0, cache.today());
    cache.cost(0, CostCache::Set{1, 1, 1});
    // Nothing that costs more than today's plan.
    const std::map<std::vector<Item>, double> expected = {{{a}, 10.0}, {{b}, 40.0}};
    EXPECT_EQ(cache.estimates(0), expected);
    EXPECT_EQ(CostCache::at_place_of(cache.plans(0).back(), a), (std::vector<Item>{a, b, 2}));
    EXPECT_EQ(CostCache::at_place_of(cache.plans(0).front(), a), (std::vector<Item>{a}));
}

TEST(AdvisorCostCache, ThePlannerOverrulesWhatWasTold) {
    OnePlace source;
    source.known = {{index_on(1), 10.0, 10.0}, {index_on(2), 300.0, 40.0}};
    const std::vector<StatementUse> statements = statement_on({1, 2});
    CostCache cache(statements, source);
    cache.add(index_on(1));
    const Item b = cache.add(index_on(2));
    cache.cost(0, cache.today());
    cache.cost(0, CostCache::Set{1, 1});
    EXPECT_EQ(cache.estimates(0).at({b}), 40.0);
    EXPECT_EQ(cache.cost(0, CostCache::Set{0, 1}), 300.0); // asked for: an estimate is no plan
    EXPECT_EQ(cache.estimates(0).at({b}), 300.0);
}

// Many that cost about the same must not hide the small one, the only one that a tight budget has room for.
TEST(AdvisorCostCache, TellsOfTheSmallAmongMany) {
    OnePlace source;
    const std::vector<StatementUse> statements =
        statement_on({1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20});
    CostCache cache(statements, source);
    for (ColumnNumber column = 1; column <= 20; ++column) {
        source.known.push_back({index_on(column), 10.0 + column, 10.0 + column});
        source.sizes[index_on(column)] = column == 20 ? 8192 : 819200;
        cache.add(index_on(column));
    }
    cache.cost(0, cache.today());
    cache.cost(0, CostCache::Set(20, 1));
    EXPECT_EQ(cache.estimates(0).count({19}), 1u);
    EXPECT_EQ(cache.estimates(0).count({0}), 1u);
    EXPECT_LT(cache.estimates(0).size(), 20u);
}

} // namespace
