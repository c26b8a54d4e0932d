// What capture leaves out when it takes too much of the statements' time, and which runs are timed to find that out.
#include "capture/overhead.hpp"

#include <gtest/gtest.h>

#include <map>

namespace citadel::capture {
namespace {

constexpr std::int64_t second = 1'000'000;

// A server whose capture takes a given share of the time at each level, looked at once a second.
struct Server {
    Governor governor;
    std::int64_t now = 0;
    double own_ns = 0, busy_us = 0;
    double share[most_shed + 1] = {};
    double busy_each_second_us = 1'000'000;
    int changes = 0;

    void run(int seconds, double limit = 0.01) {
        for (int i = 0; i < seconds; ++i) {
            now += second;
            busy_us += busy_each_second_us;
            own_ns += busy_each_second_us * 1000 * share[governor.level()];
            changes +=
                governor.step({now, static_cast<std::uint64_t>(own_ns), static_cast<std::uint64_t>(busy_us), limit})
                    ? 1
                    : 0;
        }
    }
    void all_levels(double value) {
        for (double& s : share)
            s = value;
    }
};

TEST(Governor, LeavesNothingOutBelowTheLimit) {
    Server server;
    server.all_levels(0.009);
    server.run(3600);
    EXPECT_EQ(server.governor.level(), shed_nothing);
    EXPECT_EQ(server.changes, 0);
    EXPECT_NEAR(server.governor.share(), 0.009, 1e-4);
}

TEST(Governor, ShedsStepByStepAndMeasuresAnewAfterEach) {
    Server server;
    server.all_levels(0.02);
    server.run(Governor::window);
    EXPECT_EQ(server.governor.level(), shed_nothing) << "not before the window is full";
    server.run(1);
    EXPECT_EQ(server.governor.level(), shed_details);
    server.run(Governor::window - 1);
    EXPECT_EQ(server.governor.level(), shed_details);
    server.run(1);
    EXPECT_EQ(server.governor.level(), shed_waits);
    server.run(600);
    EXPECT_EQ(server.governor.level(), most_shed) << "and no further than that";
    EXPECT_EQ(server.changes, most_shed);
}

TEST(Governor, StopsWhereItIsEnough) {
    Server server;
    server.all_levels(0.006); // not so far below that more should be tried
    server.share[0] = 0.03;
    server.share[1] = 0.02;
    server.run(3600);
    EXPECT_EQ(server.governor.level(), shed_waits);
}

TEST(Governor, ABurstOfASecondIsNotAWindow) {
    Server server;
    server.all_levels(0.001);
    server.run(60);
    server.all_levels(0.05);
    server.run(1);
    server.all_levels(0.001);
    server.run(60);
    EXPECT_EQ(server.changes, 0);
}

TEST(Governor, HardlyAnyStatementsProveNothing) {
    Server server;
    server.all_levels(0.5);
    server.busy_each_second_us = 1000;
    server.run(600);
    EXPECT_EQ(server.governor.level(), shed_nothing);
}

TEST(Governor, ComesBackWhenTheLoadHasChanged) {
    Server server;
    server.all_levels(0.05);
    server.run(100);
    ASSERT_EQ(server.governor.level(), most_shed);
    server.all_levels(0.001);
    server.run(400);
    EXPECT_EQ(server.governor.level(), shed_nothing);
    EXPECT_EQ(server.changes, 2 * most_shed);
}

TEST(Governor, ComesBackWhenNothingRuns) {
    Server server;
    server.all_levels(0.05);
    server.run(100);
    server.busy_each_second_us = 0;
    server.run(400);
    EXPECT_EQ(server.governor.level(), shed_nothing);
}

// Left out it costs little, taken in again too much: each failed try makes the next one wait twice as long.
TEST(Governor, DoesNotSwingToAndFro) {
    Server server;
    server.share[0] = 0.02;
    server.all_levels(0.001);
    server.share[0] = 0.02;
    server.run(24 * 3600);
    EXPECT_LE(server.changes, 2 * 35);
    const int day = server.changes;
    server.run(24 * 3600);
    EXPECT_LE(server.changes - day, 2 * 25) << "about once an hour in the end";
    EXPECT_GT(server.changes, day) << "but never gives up";
}

TEST(Governor, NoLimitLeavesNothingOut) {
    Server server;
    server.all_levels(0.5);
    server.run(600, 0);
    EXPECT_EQ(server.governor.level(), shed_nothing);
    server.run(600, 0.01);
    ASSERT_EQ(server.governor.level(), most_shed);
    server.run(most_shed, 0);
    EXPECT_EQ(server.governor.level(), shed_nothing) << "also when it had been set before";
}

TEST(Governor, GoesOnFromTheLevelItFinds) {
    Server server;
    server.governor = Governor(shed_to_4);
    server.own_ns = 1e15; // long ago
    server.busy_us = 1e9;
    server.all_levels(0.001);
    server.run(Governor::window);
    EXPECT_EQ(server.governor.level(), shed_to_4);
    server.run(400);
    EXPECT_EQ(server.governor.level(), shed_nothing);
}

TEST(Governor, CountersThatBeganAnewAreNoNegativeTime) {
    Server server;
    server.all_levels(0.001);
    server.run(60);
    server.own_ns = 0;
    server.busy_us = 0;
    server.run(60);
    EXPECT_EQ(server.governor.level(), shed_nothing);
    EXPECT_NEAR(server.governor.share(), 0.001, 1e-4);
}

TEST(Governor, PretendedShareStepsWithoutWaiting) {
    Governor governor;
    for (int level = 1; level <= most_shed; ++level) {
        EXPECT_TRUE(governor.step({level * second, 0, 0, 0.01, 0.2}));
        EXPECT_EQ(governor.level(), level);
    }
    EXPECT_FALSE(governor.step({10 * second, 0, 0, 0.01, 0.2}));
    EXPECT_DOUBLE_EQ(governor.share(), 0.2);
    EXPECT_TRUE(governor.step({11 * second, 0, 0, 0.01, 0.0}));
    EXPECT_EQ(governor.level(), most_shed - 1);
}

TEST(Shed, EachLevelSaysWhatItLeavesOut) {
    for (int level = 1; level <= most_shed; ++level)
        EXPECT_NE(shed_part(level), nullptr) << level;
    EXPECT_EQ(shed_part(0), nullptr);
    EXPECT_EQ(shed_part(most_shed + 1), nullptr);
    EXPECT_EQ(watched_one_in(shed_waits), 1U);
    EXPECT_EQ(watched_one_in(shed_to_4), 4U);
    EXPECT_EQ(watched_one_in(shed_to_64), 64U);
}

TEST(Turns, OneInEveryOnAverageAndNotInStep) {
    Turns turns;
    int taken = 0;
    std::map<int, int> by_place; // in a workload of four statements
    for (int i = 0; i < 400'000; ++i)
        if (turns.take(16)) {
            ++taken;
            ++by_place[i % 4];
        }
    EXPECT_NEAR(taken, 25'000, 500);
    for (int place = 0; place < 4; ++place)
        EXPECT_NEAR(by_place[place], 6250, 400) << place;
    Turns always;
    for (int i = 0; i < 100; ++i)
        EXPECT_TRUE(always.take(1));
}

// Statements of a given length; what is estimated from the timed ones against what all of them took.
struct Estimate {
    double ratio = 0;
    double timed_share = 0;
};
Estimate estimate(std::int64_t statement_ns) {
    Cadence cadence;
    std::int64_t now = 1;
    double estimated = 0;
    int timed = 0;
    const int count = 2'000'000;
    for (int i = 0; i < count; ++i) {
        now += statement_ns;
        if (cadence.due()) {
            cadence.timed(now);
            estimated += cadence.weight();
            ++timed;
        }
    }
    return {estimated / count, static_cast<double>(timed) / count};
}

TEST(Cadence, TimesFewOfTheFastAndAllOfTheSlow) {
    for (const std::int64_t ns : {1'000LL, 10'000LL, 100'000LL, 2'000'000LL, 20'000'000LL}) {
        const Estimate result = estimate(ns);
        EXPECT_NEAR(result.ratio, 1.0, 0.05) << ns << " ns a statement";
        // No more than about one in the time that is called close.
        EXPECT_LE(result.timed_share, std::max(1.0 / Cadence::most, 1.5 * static_cast<double>(ns) / Cadence::close_ns))
            << ns;
    }
    EXPECT_DOUBLE_EQ(estimate(20'000'000).timed_share, 1.0);
}

TEST(WithoutOutliers, CutsOneAndFollowsMany) {
    WithoutOutliers usual;
    for (int i = 0; i < 100; ++i)
        EXPECT_DOUBLE_EQ(usual(300 + i % 7), 300 + i % 7);
    EXPECT_LT(usual(5e6), 3000) << "lost its processor";
    EXPECT_DOUBLE_EQ(usual(300), 300);
    double last = 0;
    for (int i = 0; i < 100; ++i)
        last = usual(1e6);
    EXPECT_DOUBLE_EQ(last, 1e6) << "slow for good";
}

TEST(Cadence, PutOffMeansTheNextOne) {
    Cadence cadence;
    EXPECT_TRUE(cadence.due());
    cadence.put_off();
    EXPECT_TRUE(cadence.due());
}

} // namespace
} // namespace citadel::capture
