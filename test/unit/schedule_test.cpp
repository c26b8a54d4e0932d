#include "jobs/schedule.hpp"

#include <gtest/gtest.h>

#include <limits>
#include <set>

using namespace citadel::jobs;

namespace {

constexpr int64_t second = microseconds_per_second;
constexpr int64_t minute = microseconds_per_minute;
constexpr int64_t hour = microseconds_per_hour;
constexpr int64_t day = microseconds_per_day;
constexpr int64_t t0 = 845'000'000'000'000; // some day in 2026

Schedule hourly() {
    return Schedule{.interval = hour, .retry_delay = minute, .settle = 5 * minute, .spread_key = 0};
}

History succeeded(int64_t start, int64_t finish) {
    return History{.known_since = t0 - day, .last_start = start, .last_finish = finish, .failures_in_a_row = 0};
}

History failed(int64_t start, int64_t finish, int failures) {
    return History{.known_since = t0 - day, .last_start = start, .last_finish = finish, .failures_in_a_row = failures};
}

} // namespace

TEST(NextRun, FirstRunWaitsForTheDatabaseToSettle) {
    const History fresh{.known_since = t0, .last_start = {}, .last_finish = {}, .failures_in_a_row = 0};
    const int64_t next = next_run(hourly(), fresh, t0);
    EXPECT_GE(next, t0 + 5 * minute);
    EXPECT_LT(next, t0 + 5 * minute + 6 * second); // spread: a tenth of a minute
}

TEST(NextRun, FirstRunOfAShortScheduleWaitsNoLongerThanItsInterval) {
    Schedule s = hourly();
    s.interval = 10 * second;
    const History fresh{.known_since = t0, .last_start = {}, .last_finish = {}, .failures_in_a_row = 0};
    EXPECT_LE(next_run(s, fresh, t0), t0 + 11 * second);
}

TEST(NextRun, FirstRunMissedWhileTheServerWasDownIsDueNow) {
    const History old{.known_since = t0 - 9 * day, .last_start = {}, .last_finish = {}, .failures_in_a_row = 0};
    EXPECT_LE(next_run(hourly(), old, t0), t0);
}

TEST(NextRun, KeepsItsRhythmFromStartToStart) {
    EXPECT_EQ(next_run(hourly(), succeeded(t0, t0 + 20 * minute), t0 + 20 * minute), t0 + hour);
}

TEST(NextRun, ARunLongerThanTheIntervalIsFollowedByAPause) {
    const int64_t finish = t0 + 3 * hour;
    EXPECT_EQ(next_run(hourly(), succeeded(t0, finish), finish), finish + second);
}

TEST(NextRun, ManyMissedRunsBecomeOne) {
    const int64_t now = t0 + 30 * day;
    EXPECT_LE(next_run(hourly(), succeeded(t0, t0 + minute), now), now);
    EXPECT_EQ(next_run(hourly(), succeeded(now, now + minute), now + minute), now + hour);
}

TEST(NextRun, ARunThatNeverEndedCountsFromItsStart) {
    History h = failed(t0, 0, 1);
    h.last_finish.reset();
    const int64_t next = next_run(hourly(), h, t0);
    EXPECT_GT(next, t0 + 50 * second);
    EXPECT_LE(next, t0 + minute);
}

TEST(NextRun, AZeroOrNegativeIntervalCannotSpin) {
    for (const int64_t interval : {int64_t{0}, int64_t{-5}, std::numeric_limits<int64_t>::min()}) {
        Schedule s = hourly();
        s.interval = interval;
        EXPECT_GE(next_run(s, succeeded(t0, t0), t0), t0 + second) << interval;
    }
}

TEST(NextRun, AnEndlessIntervalDoesNotOverflow) {
    Schedule s = hourly();
    s.interval = std::numeric_limits<int64_t>::max();
    s.retry_delay = std::numeric_limits<int64_t>::max();
    EXPECT_EQ(next_run(s, succeeded(t0, t0 + 1), t0 + 2), std::numeric_limits<int64_t>::max());
    EXPECT_GT(next_run(s, failed(t0, t0 + 1, 1000), t0 + 2), t0 + 1000 * day);
}

TEST(NextRun, FailuresWaitForTheBackoff) {
    const int64_t finish = t0 + minute;
    EXPECT_EQ(next_run(hourly(), failed(t0, finish, 3), finish), finish + backoff(hourly(), 3));
}

TEST(NextRun, AFailingDailyJobIsRetriedBeforeTomorrow) {
    Schedule s = hourly();
    s.interval = day;
    EXPECT_LT(next_run(s, failed(t0, t0 + second, 1), t0 + second), t0 + 2 * minute);
}

TEST(ClockJump, ForwardsMeansDueOnce) {
    const int64_t now = t0 + 365 * day;
    EXPECT_LE(next_run(hourly(), succeeded(t0, t0 + minute), now), now);
}

TEST(ClockJump, BackwardsDoesNotStopTheJobForAYear) {
    const int64_t now = t0 - 365 * day;
    EXPECT_LE(next_run(hourly(), succeeded(t0, t0 + minute), now), now);
    EXPECT_LE(next_run(hourly(), failed(t0, t0 + minute, 2), now), now);
    const History fresh{.known_since = t0, .last_start = {}, .last_finish = {}, .failures_in_a_row = 0};
    EXPECT_LE(next_run(hourly(), fresh, now), now);
}

TEST(ClockJump, ASmallStepBackDoesNotRunTheJobTwice) {
    const int64_t now = t0 - 500 * microseconds_per_millisecond;
    EXPECT_EQ(next_run(hourly(), succeeded(t0, t0), now), t0 + hour);
}

TEST(Backoff, DoublesAndStaysUnderItsCap) {
    const Schedule s = hourly();
    EXPECT_EQ(backoff(s, 0), 0);
    for (int n = 1; n <= 6; ++n) {
        const int64_t full = minute << (n - 1);
        EXPECT_LE(backoff(s, n), full) << n;
        EXPECT_GE(backoff(s, n), full - full / 10) << n;
    }
    for (const int n : {7, 8, 50, 100000, std::numeric_limits<int>::max()}) {
        EXPECT_LE(backoff(s, n), hour) << n;
        EXPECT_GE(backoff(s, n), hour - hour / 10) << n;
    }
}

TEST(Backoff, AJobRunMoreOftenThanHourlyStillBacksOff) {
    Schedule s = hourly();
    s.interval = 10 * second;
    EXPECT_GT(backoff(s, 20), 50 * minute);
}

TEST(Backoff, JitterIsTheSameEachTimeAndDiffersBetweenDatabases) {
    std::set<int64_t> delays;
    for (uint64_t key = 1; key <= 20; ++key) {
        Schedule s = hourly();
        s.spread_key = key;
        EXPECT_EQ(backoff(s, 4), backoff(s, 4));
        delays.insert(backoff(s, 4));
    }
    EXPECT_GT(delays.size(), 15U);
}

TEST(PeriodPassed, Cases) {
    EXPECT_TRUE(period_passed({}, t0, second));
    EXPECT_FALSE(period_passed(t0, t0 + second - 1, second));
    EXPECT_TRUE(period_passed(t0, t0 + second, second));
    EXPECT_TRUE(period_passed(t0, t0 - 1, second)); // the clock went back
    EXPECT_TRUE(period_passed(t0, t0, 0));
}

TEST(IntervalLength, MonthsAndDays) {
    EXPECT_EQ(interval_length(0, 0, 90 * second), 90 * second);
    EXPECT_EQ(interval_length(1, 2, 3), 32 * day + 3);
    EXPECT_EQ(interval_length(std::numeric_limits<int32_t>::max(), 0, 0), std::numeric_limits<int64_t>::max());
}

TEST(StableHash, NeverChanges) {
    EXPECT_EQ(stable_hash("advise", 1), stable_hash("advise", 1));
    EXPECT_NE(stable_hash("advise", 1), stable_hash("advise", 2));
    EXPECT_NE(stable_hash("advise"), stable_hash("maintain"));
}
