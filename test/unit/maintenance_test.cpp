#include "jobs/hours.hpp"
#include "maintenance/inspect.hpp"

#include <gtest/gtest.h>

#include <limits>

using namespace citadel::maintenance;

namespace {

TableFacts table() {
    TableFacts facts;
    facts.name = "public.t";
    facts.rows = 100000;
    facts.analyzed = true;
    facts.analyzed_us = 1000;
    facts.bytes = 1e9;
    return facts;
}

} // namespace

TEST(MaintenanceInspect, AWellKeptTableNeedsNothing) {
    EXPECT_TRUE(inspect(table()).empty());
    EXPECT_TRUE(inspect(TableFacts()).empty());
}

TEST(MaintenanceInspect, ManyChangedRows) {
    TableFacts facts = table();
    facts.modified = 19999;
    EXPECT_TRUE(inspect(facts).empty());
    facts.modified = 20000;
    const auto found = inspect(facts);
    ASSERT_EQ(found.size(), 1U);
    EXPECT_EQ(found[0].kind, Kind::analyze);
    EXPECT_EQ(found[0].statement, "ANALYZE public.t");
    EXPECT_EQ(found[0].reason, "20,000 rows changed since the last ANALYZE, of 100,000");
    facts.rows = 999; // small tables are quick whatever the planner thinks
    EXPECT_TRUE(inspect(facts).empty());
}

TEST(MaintenanceInspect, NeverAnalyzed) {
    TableFacts facts = table();
    facts.analyzed = false;
    facts.analyzed_us.reset();
    ASSERT_EQ(inspect(facts).size(), 1U);
    EXPECT_EQ(inspect(facts)[0].reason, "about 100,000 rows and never analyzed");
}

TEST(MaintenanceInspect, APartitionedTableDriftsByItsRows) {
    TableFacts facts = table();
    facts.partitioned = true;
    facts.rows_at_analyze = 90000;
    EXPECT_TRUE(inspect(facts).empty());
    facts.rows_at_analyze = 50000;
    ASSERT_EQ(inspect(facts).size(), 1U);
    EXPECT_EQ(inspect(facts)[0].reason, "50,000 rows changed since the last ANALYZE, of 50,000 in all partitions then");
}

TEST(MaintenanceInspect, WrongEstimatesNeedAPlanThatIsNewerAndATableThatChanged) {
    TableFacts facts = table();
    facts.modified = 2000;
    facts.worst_error = EstimateError{42, 10, 5000, 2000};
    ASSERT_EQ(inspect(facts).size(), 1U);
    EXPECT_EQ(inspect(facts)[0].reason,
              "a scan brought 5,000 rows where the planner expected 10, and 2,000 rows changed since the last ANALYZE");
    EXPECT_GT(inspect(facts)[0].urgency, 500);
    facts.worst_error->captured_us = 999; // analyzed since
    EXPECT_TRUE(inspect(facts).empty());
    facts.worst_error->captured_us = 2000;
    facts.modified = 10; // ANALYZE would find the same again
    EXPECT_TRUE(inspect(facts).empty());
    facts.modified = 2000;
    facts.worst_error->actual_rows = 99; // ten times, and nothing
    EXPECT_TRUE(inspect(facts).empty());
}

TEST(MaintenanceInspect, WhatIsAdviceAlone) {
    TableFacts facts = table();
    facts.dead_rows = 80000;
    facts.xid_age = 301e6;
    facts.bloat_bytes = 6e8;
    const auto found = inspect(facts);
    ASSERT_EQ(found.size(), 3U);
    EXPECT_EQ(found[0].kind, Kind::vacuum);
    EXPECT_EQ(found[1].kind, Kind::freeze);
    EXPECT_EQ(found[2].kind, Kind::rewrite);
    EXPECT_NE(found[0].reason.find("44 % of the rows are dead (80,000)"), std::string::npos);
    facts.dead_rows = 60000;
    facts.xid_age = 299e6;
    facts.bloat_bytes = 4e8;
    EXPECT_TRUE(inspect(facts).empty());
}

TEST(MaintenanceInspect, FiguresAreJson) {
    EXPECT_EQ(figures_json({}), "{}");
    EXPECT_EQ(figures_json({{"a", 1}, {"b", std::numeric_limits<double>::infinity()}}), "{\"a\": 1, \"b\": 0}");
}

TEST(Hours, OverMidnightAndOdd) {
    using namespace citadel::jobs;
    constexpr std::int64_t minute = 60LL * 1000 * 1000;
    const auto night = parse_hours("22:00-05:30");
    ASSERT_TRUE(night.has_value());
    EXPECT_TRUE(within_hours(*night, 22 * 60 * minute));
    EXPECT_TRUE(within_hours(*night, 5 * 60 * minute));
    EXPECT_FALSE(within_hours(*night, (5 * 60 + 30) * minute));
    EXPECT_TRUE(within_hours(*night, -minute)); // a minute before midnight of the day before
    for (const char* odd : {"", "22-5", "24:00-01:00", "10:00-10:00", "10:60-11:00", "10:00-11:00 ", "1:00-25:00"})
        EXPECT_FALSE(parse_hours(odd).has_value()) << odd;
}
