// The size of batches and the pauses between them.
#include "lifecycle/throttle.hpp"

#include <gtest/gtest.h>

#include <algorithm>

using citadel::lifecycle::Throttle;
using citadel::lifecycle::ThrottleLimits;

namespace {

// A machine that moves so many rows a millisecond after some overhead a batch.
double takes(std::int64_t rows, double rows_per_ms, double overhead_ms = 2) {
    return overhead_ms + static_cast<double>(rows) / rows_per_ms;
}

} // namespace

TEST(Throttle, FindsTheSizeThatTakesTheTarget) {
    for (const double speed : {0.5, 5.0, 90.0, 400.0}) {
        Throttle throttle({});
        double took = 0;
        for (int i = 0; i < 60; ++i) {
            took = takes(throttle.rows(), speed);
            throttle.done(throttle.rows(), took);
        }
        EXPECT_LE(took, 100) << speed;
        EXPECT_GE(took, 60) << speed;
    }
}

TEST(Throttle, NeverOvershootsByMuch) {
    Throttle throttle({});
    for (int i = 0; i < 100; ++i) {
        const double took = takes(throttle.rows(), 90);
        EXPECT_LT(took, 160) << "batch " << i;
        throttle.done(throttle.rows(), took);
    }
}

TEST(Throttle, FallsAtOnceWhenTheMachineBecomesSlow) {
    Throttle throttle({});
    for (int i = 0; i < 60; ++i)
        throttle.done(throttle.rows(), takes(throttle.rows(), 90));
    const std::int64_t before = throttle.rows();
    const double slow = takes(before, 9);
    throttle.done(before, slow);
    EXPECT_LT(takes(throttle.rows(), 9), 130);
    EXPECT_LT(throttle.rows(), before / 5);
}

TEST(Throttle, RisesSlowly) {
    Throttle throttle({});
    for (int i = 0; i < 60; ++i)
        throttle.done(throttle.rows(), takes(throttle.rows(), 9));
    const std::int64_t before = throttle.rows();
    throttle.done(before, takes(before, 900));
    EXPECT_LE(throttle.rows(), before * 2);
    EXPECT_GT(throttle.rows(), before);
}

TEST(Throttle, AlmostEmptyBatchesSayLittle) {
    Throttle throttle({});
    for (int i = 0; i < 60; ++i)
        throttle.done(throttle.rows(), takes(throttle.rows(), 90));
    const std::int64_t before = throttle.rows();
    throttle.done(3, 2.5); // the last rows of a period
    throttle.done(0, 1);
    EXPECT_EQ(throttle.rows(), before);
    throttle.done(3, 900); // unless they took long
    EXPECT_LT(throttle.rows(), before);
}

TEST(Throttle, StaysWithinItsLimits) {
    ThrottleLimits limits;
    limits.least = 100;
    limits.most = 2000;
    Throttle throttle(limits);
    for (int i = 0; i < 30; ++i)
        throttle.done(throttle.rows(), 0);
    EXPECT_EQ(throttle.rows(), 2000);
    for (int i = 0; i < 30; ++i)
        throttle.done(throttle.rows(), 60000);
    EXPECT_EQ(throttle.rows(), 100);
    limits.least = 500;
    limits.most = 5;
    EXPECT_EQ(Throttle(limits).rows(), 500);
}

TEST(Throttle, RestsInProportionToTheLoad) {
    ThrottleLimits limits;
    limits.load = 0.25;
    Throttle throttle(limits);
    EXPECT_EQ(throttle.rest_ms(), 0);
    throttle.done(500, 80);
    EXPECT_NEAR(throttle.rest_ms(), 240, 1e-6);
    throttle.done(500, 1e6);
    EXPECT_LE(throttle.rest_ms(), 10000);
    limits.load = 1;
    Throttle busy(limits);
    busy.done(500, 80);
    EXPECT_EQ(busy.rest_ms(), 0);
    limits.load = 0;
    Throttle lazy(limits);
    lazy.done(500, 10);
    EXPECT_NEAR(lazy.rest_ms(), 990, 1e-6);
}

TEST(Throttle, MakesWayForOthers) {
    Throttle throttle({});
    for (int i = 0; i < 30; ++i)
        throttle.done(throttle.rows(), static_cast<double>(throttle.rows()) / 90);
    const std::int64_t alone = throttle.rows();
    throttle.make_way(true);
    for (int i = 0; i < 30; ++i)
        throttle.done(throttle.rows(), static_cast<double>(throttle.rows()) / 90);
    EXPECT_NEAR(static_cast<double>(throttle.rows()), static_cast<double>(alone) / 4, 2);
    throttle.done(throttle.rows(), 20);
    EXPECT_NEAR(throttle.rest_ms(), 60, 1e-6);
    throttle.make_way(false);
    for (int i = 0; i < 30; ++i)
        throttle.done(throttle.rows(), static_cast<double>(throttle.rows()) / 90);
    EXPECT_EQ(throttle.rows(), alone);
    ThrottleLimits limits;
    limits.load = 1;
    Throttle reckless(limits);
    reckless.make_way(true);
    reckless.done(500, 80);
    EXPECT_EQ(reckless.rest_ms(), 0);
}

TEST(Throttle, SmallerAfterALockThatWasNotGranted) {
    Throttle throttle({});
    const std::int64_t before = throttle.rows();
    throttle.held_up();
    EXPECT_EQ(throttle.rows(), before / 2);
    EXPECT_GT(throttle.rest_ms(), 0);
    for (int i = 0; i < 20; ++i)
        throttle.held_up();
    EXPECT_GE(throttle.rows(), 1);
}
