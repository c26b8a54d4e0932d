#include "history/buckets.hpp"

#include <gtest/gtest.h>

using namespace citadel;
using namespace citadel::history;

namespace {

capture::SharedDelta delta_of(std::uint64_t query, std::uint32_t minute, std::uint64_t calls, double ms) {
    capture::SharedDelta delta;
    delta.key = {query, query + 1, 5, 10, minute, 0};
    delta.figures.calls = calls;
    delta.figures.total_ms = ms * static_cast<double>(calls);
    delta.figures.max_ms = ms;
    delta.add(capture::latency_bucket(ms), static_cast<std::uint32_t>(calls));
    return delta;
}

std::uint64_t calls_in(const std::string& serial) {
    capture::LatencyHistogram histogram;
    EXPECT_TRUE(histogram.merge_serial(serial));
    return histogram.count();
}

} // namespace

TEST(Buckets, EntriesOfOneStatementAreOneRow) {
    const auto rows = bucket_rows({delta_of(1, 9, 3, 10), delta_of(2, 9, 1, 1), delta_of(1, 9, 4, 20)}, nullptr, 10);
    ASSERT_EQ(rows.size(), 2U);
    EXPECT_EQ(rows[0].key.query_id, 1U);
    EXPECT_EQ(rows[0].figures.calls, 7U);
    EXPECT_DOUBLE_EQ(rows[0].figures.total_ms, 110);
    EXPECT_DOUBLE_EQ(rows[0].figures.max_ms, 20);
    EXPECT_EQ(calls_in(rows[0].latency), 7U);
}

TEST(Buckets, MinutesUsersPlansAndNestedOnesAreApart) {
    capture::SharedDelta nested = delta_of(1, 9, 1, 1), user = nested, plan = nested;
    nested.key.nested = 1;
    user.key.user = 11;
    plan.key.plan_id = 77;
    EXPECT_EQ(bucket_rows({delta_of(1, 9, 1, 1), delta_of(1, 10, 1, 1), nested, user, plan}, nullptr, 10).size(), 5U);
}

TEST(Buckets, OnlyTheHeaviestHaveRowsOfTheirOwnAndNothingIsLost) {
    std::vector<capture::SharedDelta> taken;
    std::uint64_t calls = 0;
    for (std::uint64_t query = 1; query <= 10000; ++query) { // all-unique statements over three minutes
        taken.push_back(delta_of(query, 100 + static_cast<std::uint32_t>(query % 3), 1 + query % 5, 1));
        calls += 1 + query % 5;
    }
    taken.push_back(delta_of(20000, 100, 1, 5000));
    BucketRow rest;
    rest.key = {0, 0, 5, 0, 101, 0};
    rest.figures.calls = 1000;
    rest.figures.total_ms = 1e9; // more than anybody: still no statement
    capture::LatencyHistogram latencies;
    latencies.add(3, 1000);
    rest.latency = latencies.serial();
    const auto rows = bucket_rows(taken, &rest, 200);
    ASSERT_EQ(rows.size(), 203U);
    EXPECT_EQ(rows[0].key.query_id, 20000U);
    std::uint64_t told = 0, counted = 0;
    int others = 0;
    for (const BucketRow& row : rows) {
        told += row.figures.calls;
        counted += calls_in(row.latency);
        if (row.key.query_id == 0) {
            ++others;
            EXPECT_EQ(row.key.plan_id, 0U);
            EXPECT_EQ(row.key.user, 0U);
        } else {
            EXPECT_GE(row.figures.calls * 1.0, row.key.query_id == 20000 ? 1 : 5);
        }
    }
    EXPECT_EQ(others, 3);
    EXPECT_EQ(told, calls + 1 + 1000);
    EXPECT_EQ(counted, told);
}

TEST(Buckets, TheRestAlone) {
    BucketRow rest;
    rest.key = {0, 0, 5, 0, 7, 0};
    rest.figures.calls = 2;
    rest.latency = capture::LatencyHistogram().serial();
    const auto rows = bucket_rows({}, &rest, 5);
    ASSERT_EQ(rows.size(), 1U);
    EXPECT_EQ(rows[0].key.minute, 7U);
    EXPECT_TRUE(bucket_rows({}, nullptr, 5).empty());
}

TEST(Buckets, ErrorClassesAsJson) {
    const auto packed = [](char a, char b) { // as MAKE_SQLSTATE does
        return static_cast<std::uint32_t>((a - '0') & 0x3f) | static_cast<std::uint32_t>((b - '0') & 0x3f) << 6;
    };
    capture::ErrorClasses errors;
    EXPECT_EQ(capture::error_classes_json(errors), "");
    errors.add(packed('2', '3'), 4);
    errors.add(packed('X', 'X'), 1);
    errors.add(0, 2);
    EXPECT_EQ(capture::error_classes_json(errors), R"({"23": 4, "XX": 1, "other": 2})");
}
