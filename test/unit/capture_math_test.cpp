#include "capture/random.hpp"
#include "capture/repeat_table.hpp"
#include "capture/shape_hash.hpp"

#include <gtest/gtest.h>
#include <vector>

using namespace citadel::capture;

TEST(Reservoir, KeepsEveryItemWithTheSameProbability) {
    constexpr int items = 20, slots = 5, rounds = 40000;
    std::vector<int> kept(items);
    Random random(1);
    for (int round = 0; round < rounds; ++round) {
        int reservoir[slots] = {};
        for (int item = 0; item < items; ++item)
            if (const int slot = reservoir_slot(static_cast<std::uint64_t>(item) + 1, slots, random); slot >= 0)
                reservoir[slot] = item;
        for (int item : reservoir)
            ++kept[item];
    }
    const double expected = static_cast<double>(rounds) * slots / items;
    for (int item = 0; item < items; ++item)
        EXPECT_NEAR(kept[item], expected, expected * 0.05) << item;
}

TEST(Random, FractionsAreUniformInTheUnitInterval) {
    Random random(3);
    double sum = 0;
    for (int i = 0; i < 100000; ++i) {
        const double x = random.fraction();
        ASSERT_GE(x, 0);
        ASSERT_LT(x, 1);
        sum += x;
    }
    EXPECT_NEAR(sum / 100000, 0.5, 0.01);
}

TEST(ShapeHash, OrderMattersForANodeNotForASet) {
    ShapeHash a, b;
    a.add(1);
    a.add(2);
    b.add(2);
    b.add(1);
    EXPECT_NE(a.value(), b.value());

    ShapeSet twelve_partitions, eleven_other_order, pruned_to_one, other;
    for (int i = 0; i < 12; ++i)
        twelve_partitions.add(i % 2 == 0 ? 10 : 20);
    for (int i = 0; i < 11; ++i)
        eleven_other_order.add(i % 2 == 0 ? 20 : 10);
    pruned_to_one.add(10);
    other.add(30);
    EXPECT_EQ(twelve_partitions.value(), eleven_other_order.value());
    EXPECT_EQ(pruned_to_one.value(), 10u);
    EXPECT_NE(twelve_partitions.value(), other.value());
}

TEST(RepeatTable, CountsAndForgetsTheRarest) {
    RepeatTable table;
    Repeated evicted;
    for (int call = 1; call <= 60; ++call)
        EXPECT_EQ(table.count(7, 1, 2.0, 1, 100 + call, evicted).calls, static_cast<std::uint32_t>(call));
    for (std::uint64_t other = 100; other < 100 + RepeatTable::capacity - 1; ++other)
        table.count(other, 1, 1, 0, 0, evicted);
    EXPECT_EQ(table.size(), RepeatTable::capacity);
    EXPECT_EQ(evicted.calls, 0u);
    table.count(999, 1, 1, 0, 0, evicted);
    EXPECT_EQ(evicted.calls, 1u); // not the one with 60 calls
    EXPECT_EQ(table[0].calls, 60u);
    EXPECT_DOUBLE_EQ(table[0].total_ms, 120);
    EXPECT_EQ(table[0].started_at, 101);
    EXPECT_EQ(table.count(7, 2, 1, 0, 0, evicted).calls, 1u); // another user's is another statement
}
