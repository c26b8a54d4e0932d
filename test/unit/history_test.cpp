#include "history/partition.hpp"
#include "history/snapshot_sql.hpp"

#include <gtest/gtest.h>

using namespace citadel::history;

namespace {

constexpr std::int64_t second = 1000000;
constexpr std::int64_t day = 24 * 60 * 60 * second;

const std::set<std::string> common = {"userid",
                                      "dbid",
                                      "queryid",
                                      "calls",
                                      "total_exec_time",
                                      "total_plan_time",
                                      "rows",
                                      "shared_blks_hit",
                                      "shared_blks_read",
                                      "temp_blks_read",
                                      "temp_blks_written",
                                      "wal_bytes"};

StatementSource version(std::set<std::string> more) {
    more.insert(common.begin(), common.end());
    return {"\"Odd Schema\"", more};
}

bool contains(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
}

TEST(Partition, DaysAreUtcAndRightBeforeTheEpoch) {
    EXPECT_EQ(day_of(0), 0);
    EXPECT_EQ(day_of(day - 1), 0);
    EXPECT_EQ(day_of(day), 1);
    EXPECT_EQ(day_of(-1), -1);
    EXPECT_EQ(day_of(-day), -1);
    EXPECT_EQ(day_of(-day - 1), -2);
}

TEST(Partition, NamesAndBounds) {
    EXPECT_EQ(partition_name("sample", 0), "sample_p20000101");
    EXPECT_EQ(day_start(0), "2000-01-01 00:00:00+00");
    EXPECT_EQ(day_start(-1), "1999-12-31 00:00:00+00");
    EXPECT_EQ(day_start(59), "2000-02-29 00:00:00+00"); // a leap day
    EXPECT_EQ(day_start(60), "2000-03-01 00:00:00+00");
    EXPECT_EQ(day_start(9821), "2026-11-21 00:00:00+00");
    EXPECT_EQ(partition_name("statement_delta", 9821), "statement_delta_p20261121");
    EXPECT_EQ(day_start(36525), "2100-01-01 00:00:00+00");
    EXPECT_EQ(day_start(36525 + 59), "2100-03-01 00:00:00+00"); // no leap day
}

TEST(SnapshotSql, OldVersionsHaveNoTopLevelAndNoJit) { // 1.8
    const std::string sql = statement_snapshot_sql(version({"blk_read_time", "blk_write_time"}));
    EXPECT_TRUE(contains(sql, "true AS toplevel"));
    EXPECT_TRUE(contains(sql, "(coalesce(s.blk_read_time, 0) + coalesce(s.blk_write_time, 0)) AS io_ms"));
    EXPECT_TRUE(contains(sql, "0::double precision AS jit_ms"));
    EXPECT_TRUE(contains(sql, "FROM \"Odd Schema\".pg_stat_statements(false)"));
    EXPECT_TRUE(contains(sql, "NULL::timestamptz AS stats_since"));
}

TEST(SnapshotSql, NewVersionsHaveRenamedTimes) { // 1.11
    const std::string sql = statement_snapshot_sql(
        version({"toplevel", "shared_blk_read_time", "shared_blk_write_time", "jit_generation_time", "stats_since"}));
    EXPECT_TRUE(contains(sql, "s.toplevel"));
    EXPECT_TRUE(contains(sql, "(coalesce(s.shared_blk_read_time, 0) + coalesce(s.shared_blk_write_time, 0)) AS io_ms"));
    EXPECT_TRUE(contains(sql, "(coalesce(s.jit_generation_time, 0)) AS jit_ms"));
    EXPECT_FALSE(contains(sql, "NULL::timestamptz AS stats_since"));
}

TEST(SnapshotSql, TooOldIsNotUsable) {
    EXPECT_TRUE(version({}).usable());
    EXPECT_FALSE((StatementSource{"public", {"queryid", "total_time"}}).usable());
    EXPECT_FALSE(StatementSource{}.usable());
}

TEST(SnapshotSql, TextsAreReadFromTheFileOnlyWhenThereAreNewOnes) {
    EXPECT_TRUE(contains(new_texts_sql(version({})), "pg_stat_statements(EXISTS (SELECT"));
}

} // namespace
