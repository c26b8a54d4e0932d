#include "lifecycle/content_hash.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <random>
#include <set>
#include <string>
#include <vector>

using citadel::lifecycle::ContentHash;
using citadel::lifecycle::hash_bytes_128;

namespace {

ContentHash hash_of(const std::vector<std::string>& rows) {
    ContentHash hash;
    for (const std::string& row : rows)
        hash.add(row.data(), row.size());
    return hash;
}

} // namespace

TEST(ContentHash, DoesNotDependOnTheOrderOfRows) {
    std::vector<std::string> rows;
    rows.reserve(1000);
    for (int i = 0; i < 1000; ++i)
        rows.push_back("row " + std::to_string(i));
    const ContentHash forwards = hash_of(rows);
    std::shuffle(rows.begin(), rows.end(), std::mt19937(1)); // NOLINT(cert-msc32-c,cert-msc51-cpp)
    EXPECT_EQ(forwards, hash_of(rows));
    EXPECT_EQ(forwards.rows, 1000);
}

TEST(ContentHash, SeesWhatWasLostDoubledOrChanged) {
    const ContentHash all = hash_of({"a", "b", "c"});
    EXPECT_NE(all, hash_of({"a", "b"}));
    EXPECT_NE(all, hash_of({"a", "b", "c", "c"}));
    EXPECT_NE(all, hash_of({"a", "b", "b"}));
    EXPECT_NE(all, hash_of({"a", "b", "d"}));
    // Pairs of equal rows do not cancel out, as they would in an exclusive or.
    EXPECT_NE(hash_of({"a", "a"}), hash_of({"b", "b"}));
    // Same bytes, cut differently.
    EXPECT_NE(hash_of({"ab", "c"}), hash_of({"a", "bc"}));
}

TEST(ContentHash, AddsAndSubtracts) {
    ContentHash sum = hash_of({"a", "b"});
    sum += hash_of({"c"});
    EXPECT_EQ(sum, hash_of({"c", "b", "a"}));
    sum -= hash_of({"b"});
    EXPECT_EQ(sum, hash_of({"a", "c"}));
    // The carry into the upper half.
    ContentHash carry{0, ~0ULL, 1};
    carry += ContentHash{0, 1, 0};
    EXPECT_EQ(carry, (ContentHash{0, 0, 2}));
    carry -= ContentHash{0, 1, 0};
    EXPECT_EQ(carry, (ContentHash{0, ~0ULL, 1}));
}

TEST(ContentHash, LengthAndTrailingZeroesCount) {
    std::set<std::array<std::uint64_t, 2>> seen;
    const std::string zeroes(64, '\0');
    for (std::size_t length = 0; length <= zeroes.size(); ++length)
        EXPECT_TRUE(seen.insert(hash_bytes_128(zeroes.data(), length)).second) << length;
}

// Rows that differ in one bit, as a damaged page would make them: about half of the 128 bits change, wherever it is.
TEST(ContentHash, OneBitChangesHalfOfTheHash) {
    std::string row(40, 'x');
    const auto before = hash_bytes_128(row.data(), row.size());
    for (std::size_t bit = 0; bit < row.size() * 8; ++bit) {
        row[bit / 8] = static_cast<char>(row[bit / 8] ^ (1 << bit % 8));
        const auto after = hash_bytes_128(row.data(), row.size());
        row[bit / 8] = static_cast<char>(row[bit / 8] ^ (1 << bit % 8));
        const int changed = std::popcount(before[0] ^ after[0]) + std::popcount(before[1] ^ after[1]);
        EXPECT_GT(changed, 32) << "bit " << bit;
        EXPECT_LT(changed, 96) << "bit " << bit;
    }
}

// Rows as tables have them: a counter in the first column and little else.
TEST(ContentHash, CountersDoNotCollide) {
    std::set<std::uint64_t> low;
    std::set<std::uint64_t> high;
    constexpr int count = 200000;
    for (std::uint64_t i = 0; i < count; ++i) {
        unsigned char row[18] = {};
        std::memcpy(row + 6, &i, sizeof i);
        const auto hash = hash_bytes_128(row, sizeof row);
        low.insert(hash[0]);
        high.insert(hash[1]);
    }
    // 64 bits each: not one collision is expected among 200,000.
    EXPECT_EQ(low.size(), count);
    EXPECT_EQ(high.size(), count);
}

TEST(ContentHash, TextForm) {
    const ContentHash hash{7, 0x0123456789abcdefULL, 0xfedcba9876543210ULL};
    EXPECT_EQ(hash.hex(), "fedcba98765432100123456789abcdef");
    EXPECT_EQ(ContentHash::from_hex(7, hash.hex()), hash);
    EXPECT_FALSE(ContentHash::from_hex(7, "fedcba98765432100123456789abcde"));
    EXPECT_FALSE(ContentHash::from_hex(7, "fedcba98765432100123456789abcdeg"));
    EXPECT_FALSE(ContentHash::from_hex(7, "FEDCBA98765432100123456789abcdef"));
}

// Archives are read by later versions: the function itself is part of the format.
TEST(ContentHash, StaysWhatItIs) {
    EXPECT_EQ(hash_of({"citadel"}).hex(), "adc8d58f608ba53b7f57111d6e76768c");
}
