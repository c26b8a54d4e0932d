#include "capture/local_deltas.hpp"
#include "capture/statement_table.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <cmath>
#include <map>
#include <memory>
#include <random>
#include <thread>
#include <vector>

using namespace citadel::capture;

namespace {

constexpr std::uint32_t all_minutes = 0xffffffffU;

DeltaKey key_of(std::uint64_t query, std::uint32_t database = 5, std::uint32_t minute = 100) {
    return {query, query * 3, database, 10, minute, 0};
}

Run run_of(double ms, std::uint32_t error_class = 0) {
    Run run;
    run.figures = {1, error_class != 0 ? 1U : 0U, ms, ms, 2, 3, 1, 0};
    run.error_class = error_class;
    run.bucket = latency_bucket(ms);
    return run;
}

LocalDelta delta_of(const DeltaKey& key, std::initializer_list<double> latencies) {
    LocalDelta delta;
    delta.key = key;
    for (const double ms : latencies)
        delta.add(run_of(ms));
    return delta;
}

struct Sum {
    Figures figures;
    ErrorClasses errors;
    LatencyHistogram latencies;
    int entries = 0;
};

class StatementTableTest : public ::testing::Test {
  protected:
    void make(std::size_t bytes) {
        free(memory_);
        memory_ = aligned_alloc(cache_line, StatementTable::size_for(bytes));
        table_ = StatementTable::create(memory_, bytes);
    }
    void SetUp() override { make(1024 * 1024); }
    void TearDown() override { free(memory_); }

    std::map<std::uint64_t, Sum> drain(std::uint32_t database = 5, std::uint32_t running = all_minutes) {
        std::map<std::uint64_t, Sum> sums;
        table_->drain(database, running, [&](const SharedDelta& entry) {
            Sum& sum = sums[entry.key.query_id];
            sum.figures.add(entry.figures);
            sum.errors.add(entry.errors);
            for (std::uint32_t i = 0; i < entry.bucket_count; ++i)
                sum.latencies.add(entry.buckets[i], entry.counts[i]);
            ++sum.entries;
        });
        return sums;
    }
    Sum rest(std::uint32_t database = 5, int place = 1) {
        Sum sum;
        sum.entries = table_->take_rest(place, database, sum.figures, sum.errors, sum.latencies) ? 1 : 0;
        return sum;
    }

    void* memory_ = nullptr;
    StatementTable* table_ = nullptr;
};

} // namespace

TEST_F(StatementTableTest, DefaultSizeHoldsTenThousandStatements) {
    const std::size_t wanted = 4 * 1024 * 1024;
    EXPECT_LT(StatementTable::size_for(wanted), wanted + 512 * 1024);
    make(wanted);
    for (std::uint64_t query = 1; query <= 10000; ++query) {
        LocalDelta delta = delta_of(key_of(query), {1});
        ASSERT_TRUE(table_->add(delta, 1, 1));
    }
    const auto sums = drain();
    EXPECT_GE(sums.size(), 9700U); // sets are not filled evenly
    EXPECT_EQ(sums.size() + rest().figures.calls, 10000U);
    EXPECT_EQ(table_->evicted(), 10000U - sums.size());
    EXPECT_EQ(table_->used(), 0U);
}

TEST_F(StatementTableTest, AddsUpAndIsEmptyAfterwards) {
    LocalDelta first = delta_of(key_of(1), {1, 2, 300}), second = delta_of(key_of(1), {1, 5});
    first.add(run_of(9, 23));
    ASSERT_TRUE(table_->add(first, 1, 1));
    EXPECT_FALSE(first.pending());
    ASSERT_TRUE(table_->add(second, 1, 1));
    auto sums = drain();
    ASSERT_EQ(sums.size(), 1U);
    const Sum& sum = sums[1];
    EXPECT_EQ(sum.figures.calls, 6U);
    EXPECT_EQ(sum.figures.errors, 1U);
    EXPECT_DOUBLE_EQ(sum.figures.total_ms, 318);
    EXPECT_DOUBLE_EQ(sum.figures.max_ms, 300);
    EXPECT_EQ(sum.figures.rows, 12U);
    EXPECT_EQ(sum.figures.shared_hit, 18U);
    EXPECT_EQ(sum.latencies.count(), 6U);
    EXPECT_EQ(sum.latencies.in_bucket(latency_bucket(1)), 2U);
    ASSERT_EQ(sum.errors.size(), 1);
    EXPECT_EQ(sum.errors[0].error_class, 23U);
    EXPECT_TRUE(drain().empty());
}

TEST_F(StatementTableTest, WideHistogramsTakeSeveralEntriesAndStayExact) {
    LatencyHistogram expected;
    std::mt19937_64 random(4);
    std::uniform_real_distribution<double> exponent(-3, 7);
    for (int round = 0; round < 20; ++round) {
        LocalDelta delta;
        delta.key = key_of(7);
        for (int i = 0; i < 200; ++i) {
            const auto run = run_of(std::pow(10, exponent(random)));
            delta.add(run);
            expected.add(run.bucket, 1);
        }
        ASSERT_TRUE(table_->add(delta, 1, 1));
    }
    auto sums = drain();
    EXPECT_GT(sums[7].entries, 3);
    EXPECT_EQ(sums[7].figures.calls, 4000U);
    EXPECT_EQ(sums[7].latencies.serial(), expected.serial());
}

TEST_F(StatementTableTest, FullSetsGiveTheLeastUsedToTheRest) {
    make(0); // the smallest: 128 entries
    for (int use = 0; use < 5; ++use)
        for (std::uint64_t query = 1; query <= 20; ++query) {
            LocalDelta delta = delta_of(key_of(query), {10, 20});
            ASSERT_TRUE(table_->add(delta, 1, 1));
        }
    for (std::uint64_t query = 1000; query < 3000; ++query) {
        LocalDelta delta = delta_of(key_of(query), {3});
        ASSERT_TRUE(table_->add(delta, 1, 1));
    }
    auto sums = drain();
    std::uint64_t calls = 0;
    for (const auto& [query, sum] : sums)
        calls += sum.figures.calls;
    for (std::uint64_t query = 1; query <= 20; ++query)
        EXPECT_EQ(sums[query].figures.calls, 10U) << query; // used more than the passers-by, so still there
    const Sum others = rest();
    EXPECT_EQ(others.figures.calls, table_->evicted());
    EXPECT_EQ(calls + others.figures.calls, 2200U);
    EXPECT_EQ(others.latencies.count(), others.figures.calls);
    EXPECT_EQ(rest().entries, 0);
}

TEST_F(StatementTableTest, WideHistogramsStayWholeWhenRoomIsShort) {
    make(0);
    LocalDelta wide;
    wide.key = key_of(7);
    for (int i = 0; i < 1000; ++i)
        wide.add(run_of(0.001 * std::pow(1.3, i % 60)));
    ASSERT_TRUE(table_->add(wide, 1, 1));
    for (std::uint64_t query = 1000; query < 3000; ++query) {
        LocalDelta delta = delta_of(key_of(query), {3});
        ASSERT_TRUE(table_->add(delta, 1, 1));
    }
    auto sums = drain();
    EXPECT_GT(sums[7].entries, 2);
    EXPECT_EQ(sums[7].figures.calls, 1000U);
    EXPECT_EQ(sums[7].latencies.count(), 1000U);
}

TEST_F(StatementTableTest, DatabasesAndMinutesAreApart) {
    for (const std::uint32_t database : {5U, 6U})
        for (const std::uint32_t minute : {100U, 101U, 102U}) {
            LocalDelta delta = delta_of(key_of(1, database, minute), {1});
            ASSERT_TRUE(table_->add(delta, 1, 1));
        }
    EXPECT_EQ(drain(5, 101)[1].figures.calls, 2U); // not the running minute; a later one, after the clock was put back
    EXPECT_TRUE(drain(5, 101).empty());
    EXPECT_EQ(drain(5)[1].figures.calls, 1U);
    EXPECT_EQ(drain(6)[1].figures.calls, 3U);
}

TEST_F(StatementTableTest, WhatNobodyTakesMakesRoom) {
    make(0);
    for (std::uint64_t query = 1; query < 1000; ++query) {
        LocalDelta delta = delta_of(key_of(query, 6), {1});
        (void)table_->add(delta, 2, 1);
    }
    // Another database in the same minutes has to wait ...
    int stored = 0;
    for (std::uint64_t query = 1; query < 100; ++query) {
        LocalDelta delta = delta_of(key_of(query, 5), {1});
        stored += table_->add(delta, 1, 1) ? 1 : 0;
        EXPECT_EQ(delta.pending(), delta.figures.calls == 1);
    }
    EXPECT_LT(stored, 99);
    // ... and not for ever.
    for (std::uint64_t query = 1; query < 100; ++query) {
        LocalDelta delta = delta_of(key_of(query, 5, 111), {1});
        EXPECT_TRUE(table_->add(delta, 1, 1));
    }
    EXPECT_GT(table_->discarded(), 0U);
}

TEST_F(StatementTableTest, TheRestOfADatabaseThatLostItsPlaceIsForgotten) {
    LocalDelta delta = delta_of(LocalDeltas::rest_key(key_of(0, 5)), {1});
    ASSERT_TRUE(table_->add(delta, 1, 1));
    LocalDelta other = delta_of(LocalDeltas::rest_key(key_of(0, 6)), {1});
    ASSERT_TRUE(table_->add(other, 1, 1));
    EXPECT_EQ(rest(5).entries, 0);
    EXPECT_EQ(rest(6).figures.calls, 1U);
}

TEST_F(StatementTableTest, NothingIsLostOrCountedTwiceUnderThreads) {
    make(64 * 1024); // small, so that they evict each other
    constexpr int writers = 4;
    constexpr int runs = 20000;
    std::atomic<int> left{writers};
    std::vector<std::thread> threads;
    for (int writer = 0; writer < writers; ++writer)
        threads.emplace_back([&, writer] {
            std::mt19937_64 random(static_cast<unsigned>(writer));
            auto local = std::make_unique<LocalDeltas>();
            for (int i = 0; i < runs; ++i) {
                const DeltaKey key = key_of(1 + random() % 900);
                const auto run = run_of(0.01 * static_cast<double>(1 + random() % 100000));
                const auto flush = [&](int tries) {
                    local->flush([&](LocalDelta& delta) { (void)table_->add(delta, 1, tries); });
                };
                if (!local->count(key, run)) {
                    flush(1);
                    local->count_anyway(key, run);
                }
            }
            while (local->pending())
                local->flush([&](LocalDelta& delta) { (void)table_->add(delta, 1, 1); });
            --left;
        });
    Figures all;
    LatencyHistogram latencies;
    const auto collect = [&] {
        for (const auto& [query, sum] : drain()) {
            all.add(sum.figures);
            latencies.merge(sum.latencies);
        }
        const Sum others = rest();
        all.add(others.figures);
        latencies.merge(others.latencies);
    };
    while (left > 0)
        collect();
    for (std::thread& thread : threads)
        thread.join();
    collect();
    EXPECT_EQ(all.calls, static_cast<std::uint64_t>(writers * runs));
    EXPECT_EQ(all.rows, 2U * writers * runs);
    EXPECT_EQ(latencies.count(), all.calls);
}

TEST(LocalDeltas, KeepsHotStatementsAndCountsExactly) {
    auto local = std::make_unique<LocalDeltas>();
    std::map<std::uint64_t, std::uint64_t> moved;
    const auto flush = [&] {
        local->flush([&](LocalDelta& delta) {
            moved[delta.key.query_id] += delta.figures.calls;
            LocalDelta out;
            out.take(delta);
        });
    };
    for (int i = 0; i < 10000; ++i) {
        const DeltaKey key = key_of(1 + static_cast<std::uint64_t>(i) % 16);
        ASSERT_TRUE(local->count(key, run_of(1)));
        if (i % 777 == 0)
            flush();
    }
    EXPECT_EQ(local->size(), 16);
    flush();
    EXPECT_FALSE(local->pending());
    EXPECT_EQ(local->size(), 16);
    for (std::uint64_t query = 1; query <= 16; ++query)
        EXPECT_EQ(moved[query], 625U);
}

TEST(LocalDeltas, WhenNothingCanBeFlushedTheLeastUsedGoToTheRest) {
    auto local = std::make_unique<LocalDeltas>();
    for (int i = 0; i < 5; ++i)
        ASSERT_TRUE(local->count(key_of(1), run_of(1)));
    for (std::uint64_t query = 2; query <= 200; ++query)
        if (!local->count(key_of(query), run_of(2))) {
            local->flush([](LocalDelta&) {}); // all locks are busy
            local->count_anyway(key_of(query), run_of(2));
        }
    EXPECT_EQ(local->size(), LocalDeltas::capacity);
    EXPECT_EQ(local->moved_to_rest(), 200U - LocalDeltas::capacity);
    std::map<std::uint64_t, std::uint64_t> calls;
    local->flush([&](LocalDelta& delta) {
        calls[delta.key.query_id] += delta.figures.calls;
        LocalDelta out;
        out.take(delta);
    });
    EXPECT_EQ(calls[1], 5U);
    EXPECT_EQ(calls[0], 200U - LocalDeltas::capacity);
    EXPECT_FALSE(local->pending());
    EXPECT_EQ(local->size(), 0);
}

TEST(ErrorClasses, TheRestIsCountedTogether) {
    ErrorClasses errors;
    for (std::uint32_t error_class = 1; error_class <= 9; ++error_class)
        errors.add(error_class, error_class);
    errors.add(2, 10);
    ASSERT_EQ(errors.size(), ErrorClasses::capacity);
    EXPECT_EQ(errors[1].count, 12U);
    EXPECT_EQ(errors[4].error_class, 0U);
    EXPECT_EQ(errors[4].count, 5U + 6 + 7 + 8 + 9);
    ErrorClasses more;
    more.add(errors);
    more.add(0, 1);
    EXPECT_EQ(more[4].count, 36U);
}
