// Each rule fires when it should, and is silent on either side of its thresholds.
#include "advisor/findings.hpp"

#include <gtest/gtest.h>

#include <cmath>

using namespace citadel::advisor;

namespace {

std::string kind_of(const std::optional<Finding>& finding) {
    return finding ? finding->kind : "";
}

bool says(const Finding& finding, const char* words) {
    return finding.text.find(words) != std::string::npos;
}

StatisticsFacts analyzed_table() {
    StatisticsFacts facts;
    facts.relation = 7;
    facts.name = "app.item";
    facts.has_statistics = true;
    facts.rows = 10000.0;
    facts.rows_at_analyze = 10000.0;
    facts.of = {3, 1};
    facts.load_share = 0.5;
    return facts;
}

TEST(FindingsTest, StatisticsStale) {
    StatisticsFacts facts = analyzed_table();
    EXPECT_EQ(kind_of(judge(facts)), "");
    facts.modified = 1999.0;
    EXPECT_EQ(kind_of(judge(facts)), "");
    facts.modified = 2000.0;
    const std::optional<Finding> found = judge(facts);
    ASSERT_EQ(kind_of(found), "stale_statistics");
    EXPECT_EQ(found->remedy, "ANALYZE app.item");
    EXPECT_EQ(found->subject, "app.item");
    EXPECT_EQ(found->relation, 7U);
    EXPECT_EQ(found->of, (std::vector<std::size_t>{3, 1}));
    EXPECT_TRUE(says(*found, "2,000 rows changed"));
    facts.rows = 900.0;
    facts.rows_at_analyze = 900.0;
    EXPECT_EQ(kind_of(judge(facts)), "") << "small tables";
}

TEST(FindingsTest, StatisticsMissing) {
    StatisticsFacts facts = analyzed_table();
    facts.has_statistics = false;
    EXPECT_EQ(kind_of(judge(facts)), "missing_statistics");
    facts.partitioned = true;
    EXPECT_TRUE(says(*judge(facts), "autovacuum analyzes only its partitions"));
    facts.rows = 10.0;
    EXPECT_EQ(kind_of(judge(facts)), "");
}

TEST(FindingsTest, PartitionedTablesDrift) {
    StatisticsFacts facts = analyzed_table();
    facts.rows = 14000.0;
    EXPECT_EQ(kind_of(judge(facts)), "") << "a plain table's estimate drifts without changes";
    facts.partitioned = true;
    EXPECT_EQ(kind_of(judge(facts)), "stale_statistics");
}

CorrelationFacts dependent_columns() {
    CorrelationFacts facts;
    facts.name = "app.address";
    facts.first_column = "city";
    facts.second_column = "zip";
    facts.sampled_rows = 10000.0;
    facts.table_rows = 1e6;
    facts.pairs_alike = 10000.0 * 50.0;
    facts.pairs_if_independent = 10000.0 * 5.0;
    facts.statistics_name = "app.address_city_zip_stat";
    return facts;
}

TEST(FindingsTest, CorrelatedColumns) {
    const std::optional<Finding> found = judge(dependent_columns());
    ASSERT_EQ(kind_of(found), "correlated_columns");
    EXPECT_EQ(found->subject, "app.address (city, zip)");
    EXPECT_EQ(found->remedy,
              "CREATE STATISTICS app.address_city_zip_stat ON city, zip FROM app.address; ANALYZE app.address");
    EXPECT_TRUE(says(*found, "about 5,000 rows, 10 times"));
}

TEST(FindingsTest, IndependentOrCoveredColumns) {
    CorrelationFacts facts = dependent_columns();
    facts.pairs_if_independent = facts.pairs_alike / 2.0;
    EXPECT_EQ(kind_of(judge(facts)), "") << "twice is no reason";
    facts = dependent_columns();
    facts.has_statistics = true;
    EXPECT_EQ(kind_of(judge(facts)), "");
    facts = dependent_columns();
    facts.pairs_alike = 199.0;
    facts.pairs_if_independent = 1.0;
    EXPECT_EQ(kind_of(judge(facts)), "") << "a few coincidences";
    facts = dependent_columns();
    facts.pairs_alike = 9000.0; // less than one other row a row, in a table that is its own sample
    facts.pairs_if_independent = 100.0;
    facts.table_rows = 10000.0;
    EXPECT_EQ(kind_of(judge(facts)), "") << "rare values";
}

WrappedColumnFacts wrapped(Wrapping wrapping) {
    WrappedColumnFacts facts;
    facts.name = "app.item";
    facts.column = "id";
    facts.wrapping = wrapping;
    facts.expression = "(id)::numeric";
    facts.comparison = "=";
    facts.column_type = "integer";
    facts.other_type = "numeric";
    facts.index = "item_pkey";
    facts.rows = 10000.0;
    facts.selectivity = 0.005;
    return facts;
}

TEST(FindingsTest, WrappedColumns) {
    EXPECT_EQ(kind_of(judge(wrapped(Wrapping::implicit_cast))), "type_mismatch");
    EXPECT_EQ(judge(wrapped(Wrapping::implicit_cast))->remedy, "id = $1::integer");
    EXPECT_EQ(kind_of(judge(wrapped(Wrapping::cast))), "type_mismatch");
    for (const Wrapping wrapping : {Wrapping::to_day, Wrapping::truncated, Wrapping::formatted, Wrapping::arithmetic,
                                    Wrapping::coalesce, Wrapping::text_prefix}) {
        const std::optional<Finding> found = judge(wrapped(wrapping));
        EXPECT_EQ(kind_of(found), "rewritable_expression");
        EXPECT_TRUE(says(*found, "item_pkey"));
        EXPECT_FALSE(found->remedy.empty());
    }
}

TEST(FindingsTest, WrappedColumnsThatDoNotMatter) {
    WrappedColumnFacts facts = wrapped(Wrapping::cast);
    facts.index = "";
    EXPECT_EQ(kind_of(judge(facts)), "") << "there is no index that it keeps from being used";
    facts = wrapped(Wrapping::cast);
    facts.rows = 500.0;
    EXPECT_EQ(kind_of(judge(facts)), "");
    facts = wrapped(Wrapping::cast);
    facts.selectivity = 0.9;
    EXPECT_EQ(kind_of(judge(facts)), "") << "an index would not help either";
    facts.join = true;
    EXPECT_EQ(kind_of(judge(facts)), "type_mismatch");
    EXPECT_EQ(judge(facts)->remedy, "give both columns the type integer");
}

TEST(FindingsTest, InfixSearchWithoutTrigrams) {
    WrappedColumnFacts facts = wrapped(Wrapping::infix_pattern);
    facts.index = "";
    EXPECT_EQ(kind_of(judge(facts)), "") << "not to be had here, or installed already";
    facts.trigram_available = true;
    const std::optional<Finding> found = judge(facts);
    ASSERT_EQ(kind_of(found), "missing_extension");
    EXPECT_EQ(found->remedy, "CREATE EXTENSION pg_trgm");
}

StatementFacts plain_statement() {
    StatementFacts facts;
    facts.position = 4;
    facts.query_id = -12;
    facts.role = "app";
    facts.calls = 100.0;
    facts.total_ms = 10000.0;
    facts.work_mem_bytes = 4.0 * 1024 * 1024;
    facts.load_share = 0.3;
    return facts;
}

TEST(FindingsTest, OffsetPaging) {
    StatementFacts facts = plain_statement();
    EXPECT_TRUE(judge(facts).empty());
    facts.most_offset = 999.0;
    EXPECT_TRUE(judge(facts).empty());
    facts.most_offset = 12345.0;
    const std::vector<Finding> found = judge(facts);
    ASSERT_EQ(found.size(), 1U);
    EXPECT_EQ(found[0].kind, "offset_paging");
    EXPECT_EQ(found[0].subject, "statement -12 of app");
    EXPECT_TRUE(says(found[0], "12,345"));
}

TEST(FindingsTest, Jit) {
    StatementFacts facts = plain_statement();
    facts.jit_ms = 2000.0;
    EXPECT_TRUE(judge(facts).empty()) << "a fifth of the time";
    facts.jit_ms = 4000.0;
    ASSERT_EQ(judge(facts).size(), 1U);
    EXPECT_EQ(judge(facts)[0].kind, "jit");
    facts.calls = 4000.0;
    EXPECT_TRUE(judge(facts).empty()) << "1 ms a run";
}

TEST(FindingsTest, WorkMem) {
    constexpr double mb = 1024.0 * 1024.0;
    StatementFacts facts = plain_statement();
    facts.temp_bytes = 100.0 * 7.0 * mb;
    EXPECT_TRUE(judge(facts).empty());
    facts.temp_bytes = 100.0 * 50.0 * mb;
    std::vector<Finding> found = judge(facts);
    ASSERT_EQ(found.size(), 1U);
    EXPECT_EQ(found[0].kind, "work_mem");
    EXPECT_EQ(found[0].remedy, "ALTER ROLE app SET work_mem = '64MB'");
    facts.temp_bytes = 100.0 * 5000.0 * mb;
    found = judge(facts);
    ASSERT_EQ(found.size(), 1U);
    EXPECT_EQ(found[0].remedy, "") << "more memory is no answer";
    facts.load_share = 0.001;
    EXPECT_TRUE(judge(facts).empty());
}

TEST(FindingsTest, RandomPageCost) {
    StorageFacts facts;
    facts.blocks_read = 20000.0;
    facts.read_ms = 2000.0;
    EXPECT_EQ(kind_of(judge(facts)), "") << "times are not measured";
    facts.timed = true;
    ASSERT_EQ(kind_of(judge(facts)), "random_page_cost");
    EXPECT_EQ(judge(facts)->remedy, "ALTER SYSTEM SET random_page_cost = 1.1");
    facts.read_ms = 100000.0;
    EXPECT_EQ(kind_of(judge(facts)), "") << "a disk that turns";
    facts.read_ms = 2000.0;
    facts.random_page_cost = 1.1;
    EXPECT_EQ(kind_of(judge(facts)), "");
    facts.random_page_cost = 4.0;
    facts.blocks_read = 500.0;
    EXPECT_EQ(kind_of(judge(facts)), "") << "too few reads to tell";
    facts.blocks_hit = 2e6;
    EXPECT_EQ(kind_of(judge(facts)), "random_page_cost") << "all in memory";
}

} // namespace
