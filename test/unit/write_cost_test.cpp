// What indexes cost the writers of a table.
#include "advisor/write_cost.hpp"

#include <gtest/gtest.h>

using namespace citadel::advisor;

namespace {

MaintainedIndex index_of(std::vector<ColumnNumber> columns) {
    MaintainedIndex index;
    index.pages = 1000;
    index.rows = 300000;
    index.columns = std::move(columns);
    return index;
}

TEST(AdvisorWriteCost, CountsInsertsForEveryIndex) {
    TableWrites writes;
    writes.inserts = 1000;
    const double one = maintenance_cost(writes, {index_of({1})}, {});
    EXPECT_NEAR(one, 1000 * entry_cost(index_of({1}), {}), 1e-6);
    EXPECT_NEAR(maintenance_cost(writes, {index_of({1}), index_of({2})}, {}), 2 * one, 1e-6);
    EXPECT_EQ(maintenance_cost(writes, {}, {}), 0.0);
}

TEST(AdvisorWriteCost, AnIndexOnAnUpdatedColumnCostsItsNeighboursTheirHot) {
    TableWrites writes;
    writes.updates = {{{3, 4}, 1000}};
    writes.hot_share = 1.0;
    const MaintainedIndex key = index_of({1});
    EXPECT_EQ(maintenance_cost(writes, {key, index_of({2})}, {}), 0.0);
    const double both = maintenance_cost(writes, {key, index_of({2, 4})}, {});
    EXPECT_GT(both, 1.9 * maintenance_cost(writes, {index_of({2, 4})}, {}));
    MaintainedIndex summarizing = index_of({4});
    summarizing.method = AccessMethod::brin;
    summarizing.keeps_hot = true;
    EXPECT_EQ(maintenance_cost(writes, {key, summarizing}, {}), 0.0);
}

TEST(AdvisorWriteCost, HotNeedsRoomOnThePage) {
    TableWrites writes;
    writes.updates = {{{3}, 1000}};
    writes.hot_share = 0.6;
    const double some = maintenance_cost(writes, {index_of({1})}, {});
    writes.hot_share = 0.0;
    EXPECT_NEAR(some, 0.4 * maintenance_cost(writes, {index_of({1})}, {}), 1e-6);
}

TEST(AdvisorWriteCost, APartialIndexCostsItsShare) {
    TableWrites writes;
    writes.inserts = 1000;
    MaintainedIndex partial = index_of({1});
    partial.share = 0.1;
    EXPECT_LT(maintenance_cost(writes, {partial}, {}), 0.11 * maintenance_cost(writes, {index_of({1})}, {}));
}

TEST(AdvisorWriteCost, CountersSayHowManyTextsSayWhichColumns) {
    TableWrites texts;
    texts.inserts = 5;
    texts.updates = {{{3}, 10}, {{1}, 10}};
    const std::vector<MaintainedIndex> today = {index_of({1})};
    // Nothing counted: the texts alone.
    EXPECT_EQ(table_writes({}, texts, today).inserts, 5);
    TableWrites writes = table_writes({100, 1000, 5, 7}, texts, today);
    EXPECT_EQ(writes.inserts, 100);
    EXPECT_EQ(writes.deletes, 7);
    EXPECT_EQ(writes.updates[0].rows, 10); // the rest came from statements that are not known
    EXPECT_EQ(writes.hot_share, 0.5);      // 5 of the 10 that could be
    EXPECT_EQ(writes.unknown_updates, 980);
    writes = table_writes({100, 10, 5, 7}, texts, today);
    EXPECT_EQ(writes.updates[0].rows, 5); // the texts' rows were estimates
    EXPECT_EQ(writes.hot_share, 1.0);
    EXPECT_EQ(writes.unknown_updates, 0);
    // All HOT, none explained: expected to stay so.
    writes = table_writes({0, 100, 100, 0}, {}, today);
    EXPECT_EQ(writes.unknown_hot, 100);
    EXPECT_EQ(maintenance_cost(writes, today, {}), 0.0);
}

} // namespace
