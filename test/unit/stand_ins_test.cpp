// Which index stands in for which: the same as asking subsumes() of every pair.
#include "advisor/stand_ins.hpp"
#include "advisor_words.hpp"

#include <gtest/gtest.h>

#include <algorithm>

using namespace citadel::advisor;
using namespace citadel::advisor::test;

namespace {

TEST(AdvisorStandIns, FindsEveryPair) {
    std::vector<Candidate> indexes = {index_on({1}),      index_on({1, 2}),  index_on({-1, -2, 3}), index_on({2, 1}),
                                      index_on({1}, 200), index_on({1, -2}), index_on({2})};
    for (const AccessMethod method : {AccessMethod::hash, AccessMethod::gin, AccessMethod::brin}) {
        indexes.push_back(index_on({1}));
        indexes.back().method = method;
        indexes.push_back(index_on({2, 1}));
        indexes.back().method = method;
    }
    indexes.push_back(index_on({1}));
    indexes.back().predicate = 5;
    indexes.push_back(index_on({1, 2}));
    indexes.back().predicate = 5;
    indexes.push_back(index_on({1}));
    indexes.back().included = {2};
    StandIns stand_ins;
    for (const Candidate& index : indexes)
        stand_ins.add(index);
    std::size_t pairs = 0;
    for (Item a = 0; a < indexes.size(); ++a)
        for (Item b = 0; b < indexes.size(); ++b) {
            const std::vector<Item>& covered = stand_ins.covered(a);
            const std::vector<Item>& covering = stand_ins.covering(b);
            const bool expected = a != b && subsumes(indexes[a], indexes[b]);
            EXPECT_EQ(std::count(covered.begin(), covered.end(), b), expected ? 1 : 0) << a << " for " << b;
            EXPECT_EQ(std::count(covering.begin(), covering.end(), a), expected ? 1 : 0) << a << " for " << b;
            pairs += expected ? 1 : 0;
        }
    EXPECT_GE(pairs, 8U);
}

} // namespace
