#include "advisor_words.hpp"

#include "advisor/candidates.hpp"
#include "advisor/index_size.hpp"
#include "advisor/selection.hpp"

#include <gtest/gtest.h>

#include <algorithm>

using namespace citadel::advisor;
using namespace citadel::advisor::test;

namespace {

bool has(const std::vector<Candidate>& candidates, std::initializer_list<int> columns, RelationId relation = table) {
    return std::find(candidates.begin(), candidates.end(), index_on(columns, relation)) != candidates.end();
}

ExistingIndex existing_on(std::initializer_list<int> columns) {
    ExistingIndex index;
    index.key = key(columns);
    return index;
}

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

} // namespace
