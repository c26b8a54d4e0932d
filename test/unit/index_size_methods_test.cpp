#include "advisor/gin_size.hpp"
#include "advisor/index_size_methods.hpp"
#include "advisor/key_frequency.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

using namespace citadel::advisor;

namespace {

// Numbers that look random, the same in every run.
class Numbers {
  public:
    double next() {
        state_ = state_ * 6364136223846793005ULL + 1442695040888963407ULL;
        return static_cast<double>(state_ >> 11) * 0x1.0p-53;
    }

  private:
    std::uint64_t state_ = 42;
};

// The keys of `rows` rows, of which each is looked at with a likelihood of `share`.
template <class KeysOfRow>
std::vector<SeenKey> sample(int rows, double share, KeysOfRow keys_of_row) {
    Numbers numbers;
    std::vector<SeenKey> seen;
    for (int row = 0; row < rows; ++row) {
        if (numbers.next() >= share)
            continue;
        for (const std::uint64_t key : keys_of_row(row))
            seen.push_back({key, static_cast<float>(row) / static_cast<float>(rows), 8.0F});
    }
    return seen;
}

SampledKeys counted(std::vector<SeenKey> seen, double rows, bool whole) {
    return count_keys(seen, rows, whole);
}

double total_of(const std::vector<KeyClass>& classes) {
    return std::accumulate(classes.begin(), classes.end(), 0.0,
                           [](double sum, const KeyClass& one) { return sum + one.rows * one.keys; });
}

TEST(KeyFrequency, CountsAWholeTableExactly) {
    std::vector<SeenKey> seen;
    for (std::uint64_t i = 0; i < 100; ++i)
        seen.push_back({i, 0.5F, 4.0F});
    for (int i = 0; i < 70; ++i)
        seen.push_back({7, static_cast<float>(i) / 70.0F, 4.0F});
    const SampledKeys keys = count_keys(seen, 100.0, true);
    EXPECT_DOUBLE_EQ(keys.occurrences, 170.0);
    EXPECT_DOUBLE_EQ(keys.seen(), 100.0);
    ASSERT_EQ(keys.often.size(), 1u);
    EXPECT_DOUBLE_EQ(keys.often[0].rows, 71.0);
    EXPECT_DOUBLE_EQ(keys.distinct_of(170.0), 100.0);
    EXPECT_NEAR(total_of(keys.classes(170.0)), 170.0, 1e-6);
}

TEST(KeyFrequency, KnowsUniqueKeysInASample) {
    const SampledKeys keys = counted(
        sample(100'000, 0.05, [](int row) { return std::vector<std::uint64_t>{std::uint64_t(row)}; }), 5000, false);
    EXPECT_NEAR(keys.distinct_of(100'000), 100'000, 5'000);
}

TEST(KeyFrequency, KnowsKeysOfAFewRows) {
    const SampledKeys keys =
        counted(sample(100'000, 0.1, [](int row) { return std::vector<std::uint64_t>{std::uint64_t(row % 20'000)}; }),
                10'000, false);
    EXPECT_NEAR(keys.distinct_of(keys.occurrences * 10), 20'000, 3'000);
    const SampledKeys frequent =
        counted(sample(100'000, 0.1, [](int row) { return std::vector<std::uint64_t>{std::uint64_t(row % 50)}; }),
                10'000, false);
    EXPECT_DOUBLE_EQ(frequent.distinct_of(100'000), 50.0);
}

// What Duj1 takes for ten thousand: a unique number beside words that many rows share.
TEST(KeyFrequency, TellsUniqueKeysFromFrequentOnes) {
    const SampledKeys keys =
        counted(sample(100'000, 0.05,
                       [](int row) {
                           return std::vector<std::uint64_t>{1'000'000 + std::uint64_t(row), std::uint64_t(row % 2'000),
                                                             10'000 + std::uint64_t(row % 37)};
                       }),
                5'000, false);
    const std::vector<KeyClass> classes = keys.classes(300'000);
    EXPECT_NEAR(keys.distinct_of(300'000), 102'037, 8'000);
    EXPECT_NEAR(total_of(classes), 300'000, 6'000);
}

TEST(KeyFrequency, SeesWhereKeysAreTogether) {
    const SampledKeys keys =
        counted(sample(100'000, 0.5, [](int row) { return std::vector<std::uint64_t>{std::uint64_t(row / 1'000)}; }),
                50'000, false);
    ASSERT_EQ(keys.often.size(), 100u);
    for (const KeyClass& one : keys.often)
        EXPECT_NEAR(one.spread, 0.01, 0.002);
}

TEST(KeyFrequency, NothingSeenNothingKnown) {
    const SampledKeys keys = counted({}, 0.0, false);
    EXPECT_TRUE(keys.classes(1'000.0).empty());
    EXPECT_DOUBLE_EQ(keys.distinct_of(1'000.0), 0.0);
}

// ---- Sizes. What is near comes from CREATE INDEX on PostgreSQL 15.

TEST(GinSize, LongListsBecomeTrees) {
    // 97 keys in 100,000 rows on 5,000 pages, two to a row: 99 pages.
    SizedGin index;
    index.occurrences = 200'000;
    index.table_pages = 5'000;
    index.classes = {{200'000.0 / 97, 97.0, 1.0, 5.0}};
    EXPECT_NEAR(static_cast<double>(gin_size(index).pages), 99.0, 10.0);
}

TEST(GinSize, UniqueKeysFillHalfOfTheirPages) {
    // 85,000 of 85,036 keys in one row, the others in many: 625 pages built, 609 of them of entries.
    SizedGin index;
    index.occurrences = 100'000;
    index.table_pages = 4'000;
    index.classes = {{1.0, 85'000.0, 1.0, 7.0}};
    const double once = static_cast<double>(gin_size(index).pages);
    EXPECT_NEAR(once, 85'000.0 * 28 / (8160 * 0.5), 20.0);
    // Less memory: pages are filled again, and split again.
    index.work_memory = 1024.0 * 1024;
    const double rounds = static_cast<double>(gin_size(index).pages);
    EXPECT_LT(rounds, once * 0.9);
    EXPECT_GT(rounds, 85'000.0 * 28 / 8160);
}

TEST(GinSize, RowsThatAreTogetherTakeLess) {
    SizedGin index;
    index.occurrences = 1'000'000;
    index.table_pages = 20'000;
    index.classes = {{1'000.0, 1'000.0, 1.0, 8.0}};
    const std::uint64_t apart = gin_size(index).pages;
    index.classes[0].spread = 0.001;
    EXPECT_LT(gin_size(index).pages, apart * 6 / 10);
}

TEST(GinSize, EmptyAndMonotonous) {
    SizedGin index;
    EXPECT_EQ(gin_size(index).pages, 2u);
    std::uint64_t before = 0;
    for (double rows = 1'000; rows < 2e6; rows *= 2) {
        index.occurrences = rows;
        index.table_pages = rows / 50;
        index.classes = {{rows / 1'000, 1'000.0, 1.0, 8.0}};
        EXPECT_GE(gin_size(index).pages, before);
        before = gin_size(index).pages;
    }
}

TEST(HashSize, BucketsGrowInSteps) {
    const std::vector<KeyClass> unique = {{1.0, 300'000.0, 1.0, 0.0}};
    // 300,000 rows at 307 to a bucket: 1,024 buckets, and two pages.
    EXPECT_NEAR(static_cast<double>(hash_size(300'000, unique, 75).pages), 1'027.0, 3.0);
    EXPECT_EQ(hash_size(300'000, {}, 75).pages, hash_size(300'000, unique, 75).pages);
    EXPECT_GT(hash_size(300'000, unique, 30).pages, hash_size(300'000, unique, 75).pages);
    EXPECT_EQ(hash_size(0, {}, 75).pages, 4u); // as built on an empty table
}

TEST(HashSize, FrequentKeysOverflow) {
    // Four values, 75,000 rows each: every page of a bucket holds 407.
    const std::vector<KeyClass> few = {{75'000.0, 4.0, 1.0, 0.0}};
    const double pages = static_cast<double>(hash_size(300'000, few, 75).pages);
    EXPECT_NEAR(pages, 1'024.0 + 2.0 + 4 * 184, 8.0);
}

TEST(BrinSize, OneSummaryForEachRange) {
    EXPECT_EQ(brin_size(128, 128, 24).pages, 3u);
    EXPECT_EQ(brin_size(128, 128, 24).tuples, 1.0);
    EXPECT_GT(brin_size(1'000'000, 1, 24).pages, brin_size(1'000'000, 128, 24).pages * 100);
    EXPECT_EQ(brin_size(0, 128, 24).pages, 3u);
}

TEST(GistSize, PagesByFill) {
    // 1,000,000 points: 8,162 pages built.
    const IndexSize points = gist_size(1'000'000, 40, 40, 0.664);
    EXPECT_NEAR(static_cast<double>(points.pages), 8'162.0, 8'162.0 * 0.03);
    EXPECT_EQ(points.tree_height, 2);
    EXPECT_EQ(gist_size(0, 40, 40, 0.6).pages, 1u);
    EXPECT_LT(gist_size(1'000, 40, 40, 0.9).pages, gist_size(1'000, 40, 40, 0.5).pages);
}

} // namespace
