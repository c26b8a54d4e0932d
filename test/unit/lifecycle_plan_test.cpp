// The lifecycle planner and its calendar, without a server.
#include "lifecycle/calendar.hpp"
#include "lifecycle/plan.hpp"

#include <gtest/gtest.h>

using namespace citadel::lifecycle;

namespace {

constexpr Span month{1, 0, 0};
constexpr Span week{0, 7, 0};
constexpr Span day{0, 1, 0};

// Days since 2000-01-01.
constexpr std::int64_t d(std::int64_t days) {
    return days * micros_per_day;
}

// 2020-01-01 is day 7305, 2026-11-01 day 9801, 2026-11-21 day 9821, 2026-12-01 day 9831, 2027-01-01 day 9862.
constexpr std::int64_t nov_1 = d(9801);
constexpr std::int64_t nov_21 = d(9821);
constexpr std::int64_t dec_1 = d(9831);
constexpr std::int64_t jan_1 = d(9862);

class Utc : public Zone {
  public:
    std::int64_t to_local(std::int64_t utc) const override { return utc; }
    std::int64_t to_utc(std::int64_t local) const override { return local; }
};

// One hour ahead of UTC until dec_1 00:00 UTC, two hours from then on.
class Shifting : public Zone {
  public:
    std::int64_t to_local(std::int64_t utc) const override { return utc + offset(utc); }
    std::int64_t to_utc(std::int64_t local) const override {
        return local - micros_per_hour < dec_1 ? local - micros_per_hour : local - 2 * micros_per_hour;
    }

  private:
    static std::int64_t offset(std::int64_t utc) { return (utc < dec_1 ? 1 : 2) * micros_per_hour; }
};

std::string text_of(Place place, const Policy& policy) {
    if (place == open_low)
        return "min";
    if (place == open_high)
        return "max";
    return std::to_string(policy.kind == ColumnKind::integer ? place : place / micros_per_day);
}

Partition range(std::uint32_t oid, Place lower, Place upper) {
    Partition partition;
    partition.oid = oid;
    partition.schema = "s";
    partition.name = "p" + std::to_string(oid);
    partition.lower = lower;
    partition.upper = upper;
    return partition;
}

Partition fallback(std::uint32_t oid) {
    Partition partition = range(oid, open_low, open_high);
    partition.is_default = true;
    return partition;
}

Facts monthly() {
    Facts facts;
    facts.policy.id = 7;
    facts.policy.interval = month;
    facts.policy.interval_text = "1 month";
    facts.policy.premake = 1;
    facts.policy.quarantine_us = d(7);
    facts.relation = "s.t";
    facts.now = nov_21;
    facts.place_text = text_of;
    return facts;
}

// "action lower-upper" and "!" when it is blocked, one a step.
std::vector<std::string> told(const Facts& facts, const Zone& zone = Utc()) {
    std::vector<std::string> lines;
    for (const Step& step : plan(facts, zone)) {
        std::string line = action_name(step.action);
        if (step.action == Action::create_partition || step.action == Action::move_default_rows)
            line += " " + step.target;
        else if (step.subject != 0)
            line += " " + std::to_string(step.subject);
        lines.push_back(line + (step.blocked.empty() ? "" : " !"));
    }
    return lines;
}

using Lines = std::vector<std::string>;

} // namespace

TEST(LifecycleCalendar, PeriodsBeginWhereTheCalendarSays) {
    EXPECT_EQ(period_start(nov_21, month), nov_1);
    EXPECT_EQ(next_period(nov_21, month), dec_1);
    EXPECT_EQ(period_start(nov_1, month), nov_1);
    EXPECT_EQ(period_start(nov_1 - 1, month), d(9770));
    EXPECT_EQ(period_start(nov_21, {3, 0, 0}), d(9770));  // October
    EXPECT_EQ(period_start(nov_21, {12, 0, 0}), d(9497)); // 2026-01-01
    EXPECT_EQ(period_start(nov_21, week), d(9816));       // 2026-11-16 is a Monday
    EXPECT_EQ(next_period(d(9816), week), d(9823));
    EXPECT_EQ(period_start(nov_21 + 5 * micros_per_hour, day), nov_21);
    EXPECT_EQ(period_start(-1, month), d(-31)); // December 1999
    EXPECT_EQ(period_start(d(-1), {12, 0, 0}), d(-365));
    EXPECT_EQ(period_start(-1, {0, 0, 100}), -100);
    EXPECT_EQ(period_start(250, {0, 0, 100}), 200);
    EXPECT_EQ(next_period(open_high - 5, {0, 0, 100}), open_high);
    EXPECT_EQ(next_period(open_high, month), open_high);
}

TEST(LifecycleCalendar, MonthsAreSubtractedByTheCalendar) {
    EXPECT_EQ(minus(d(9921), month), d(9893)); // 2027-03-01 -> 2027-02-01
    EXPECT_EQ(minus(d(9951), month), d(9920)); // 2027-03-31 -> 2027-02-28, not March
    EXPECT_EQ(minus(nov_21, {12, 0, 0}), d(9456));
    EXPECT_EQ(minus(nov_21 + 1, day), nov_21 - micros_per_day + 1);
    EXPECT_EQ(minus(open_low + 5, {0, 0, 100}), open_low);
    EXPECT_EQ(minus(open_high, month), open_high);
    EXPECT_EQ(minus(open_low + 5, month), open_low); // found by the fuzzer: the day begins before open_low
}

TEST(LifecycleCalendar, HoursMayGoPastMidnight) {
    const auto night = parse_hours("22:00-05:30");
    ASSERT_TRUE(night);
    EXPECT_TRUE(within_hours(*night, d(5) + 23 * micros_per_hour));
    EXPECT_TRUE(within_hours(*night, d(5) + 5 * micros_per_hour));
    EXPECT_FALSE(within_hours(*night, d(5) + 6 * micros_per_hour));
    EXPECT_FALSE(within_hours(*night, d(-5) + 12 * micros_per_hour));
    const auto evening = parse_hours("20:00-24:00");
    ASSERT_TRUE(evening);
    EXPECT_TRUE(within_hours(*evening, 23 * micros_per_hour + 59 * micros_per_minute));
    EXPECT_FALSE(within_hours(*evening, 0));
    for (const char* bad :
         {"", "22-05", "22:00", "25:00-01:00", "10:00-10:00", "22:00-05:30x", "-1:00-05:00", "1:60-2:00"})
        EXPECT_FALSE(parse_hours(bad)) << bad;
}

TEST(LifecyclePlan, MakesTheCurrentPartitionAndThoseAhead) {
    EXPECT_EQ(told(monthly()), (Lines{"create partition [9801, 9831)", "create partition [9831, 9862)"}));
    Facts facts = monthly();
    facts.partitions = {range(1, nov_1, dec_1), range(2, dec_1, jan_1)};
    EXPECT_EQ(told(facts), Lines{});
    facts.policy.premake = 0;
    facts.partitions = {};
    EXPECT_EQ(told(facts), (Lines{"create partition [9801, 9831)"}));
    facts.policy.create_enabled = false;
    EXPECT_EQ(told(facts), (Lines{"create partition [9801, 9831) !"}));
}

TEST(LifecyclePlan, FillsGapsAndKeepsOddBounds) {
    Facts facts = monthly();
    // 2026-11-05 .. 2026-12-10 made by hand: the gaps at both sides are cut to fit.
    facts.partitions = {range(1, d(9805), d(9840))};
    EXPECT_EQ(told(facts), (Lines{"create partition [9801, 9805)", "create partition [9840, 9862)"}));
    facts.partitions = {range(1, open_low, dec_1), range(2, jan_1, open_high)};
    EXPECT_EQ(told(facts), (Lines{"create partition [9831, 9862)"}));
    facts.partitions = {range(1, open_low, open_high)};
    EXPECT_EQ(told(facts), Lines{});
}

TEST(LifecyclePlan, BoundsFollowThePolicysZoneAcrossAShift) {
    Facts facts = monthly();
    const Shifting zone;
    const std::vector<Step> steps = plan(facts, zone);
    ASSERT_EQ(steps.size(), 2U);
    EXPECT_EQ(steps[0].lower, nov_1 - micros_per_hour);
    EXPECT_EQ(steps[0].upper, dec_1 - micros_per_hour);
    EXPECT_EQ(steps[1].lower, dec_1 - micros_per_hour);
    EXPECT_EQ(steps[1].upper, jan_1 - 2 * micros_per_hour);
    // Wall-clock columns do not move with the zone.
    facts.policy.kind = ColumnKind::timestamp;
    EXPECT_EQ(plan(facts, zone)[0].lower, nov_1);
    // And what was made so is found again.
    facts.policy.kind = ColumnKind::timestamptz;
    facts.partitions = {range(1, steps[0].lower, steps[0].upper), range(2, steps[1].lower, steps[1].upper)};
    EXPECT_TRUE(plan(facts, zone).empty());
}

TEST(LifecyclePlan, IntegerRangesGoByTheHighestValue) {
    Facts facts = monthly();
    facts.policy.kind = ColumnKind::integer;
    facts.policy.interval = {0, 0, 1000};
    facts.policy.premake = 2;
    facts.policy.retain = Span{0, 0, 2000};
    EXPECT_EQ(told(facts),
              (Lines{"create partition [0, 1000)", "create partition [1000, 2000)", "create partition [2000, 3000)"}));
    facts.newest = 5500;
    facts.partitions = {range(1, 0, 3000), range(2, 3000, 4000), range(3, 5000, 6000)};
    EXPECT_EQ(told(facts), (Lines{"create partition [6000, 7000)", "create partition [7000, 8000)", "detach 1",
                                  "shut out writers 1", "archive 1", "verify 1"}));
    facts.highest = 6999; // of the type
    EXPECT_EQ(told(facts).front(), "detach 1");
    facts.newest.reset(); // an empty table expires nothing
    EXPECT_EQ(told(facts), Lines{});
}

TEST(LifecyclePlan, ExpiresByTrueBoundsAlone) {
    Facts facts = monthly();
    facts.policy.retain = Span{12, 0, 0};
    // A partition that began in 2020 and holds yesterday's rows: pg_partman 4.7 and 5 drop it under 12 months.
    facts.partitions = {range(1, d(7305), nov_1), range(2, nov_1, dec_1), range(3, dec_1, jan_1)};
    EXPECT_EQ(told(facts), Lines{});
    // Ends exactly at the cutoff: everything in it is older. One microsecond later is not.
    facts.partitions[0] = range(1, d(7305), d(9456));
    EXPECT_EQ(told(facts), (Lines{"detach 1", "shut out writers 1", "archive 1", "verify 1"}));
    facts.partitions[0] = range(1, d(7305), d(9456) + 1);
    EXPECT_EQ(told(facts), Lines{});
    facts.partitions[0] = range(1, open_low, d(9456));
    EXPECT_EQ(told(facts).front(), "detach 1");
    // An open end never expires, nor does a default partition.
    facts.partitions = {range(1, open_low, open_high), fallback(2)};
    EXPECT_EQ(told(facts), Lines{});
}

TEST(LifecyclePlan, StepsByWhatThePolicyWants) {
    Facts facts = monthly();
    facts.policy.retain = Span{12, 0, 0};
    facts.partitions = {range(1, d(7305), d(7400)), range(2, nov_1, dec_1), range(3, dec_1, jan_1)};
    facts.policy.on_expiry = OnExpiry::detach;
    EXPECT_EQ(told(facts), Lines{"detach 1"});
    facts.policy.on_expiry = OnExpiry::drop;
    EXPECT_EQ(told(facts), (Lines{"detach 1", "shut out writers 1", "drop 1 !"})); // the quarantine
    facts.policy.quarantine_us = 0;
    EXPECT_EQ(told(facts), (Lines{"detach 1", "shut out writers 1", "drop 1"}));
    facts.policy.on_expiry = OnExpiry::archive;
    facts.policy.archive_to = "file:x";
    EXPECT_EQ(told(facts), (Lines{"detach 1", "shut out writers 1", "archive 1", "verify 1", "drop 1"}));
}

TEST(LifecyclePlan, WhatIsKeptSaysWhy) {
    Facts facts = monthly();
    facts.policy.retain = Span{12, 0, 0};
    facts.partitions = {range(1, d(7305), d(7400)), range(2, nov_1, dec_1), range(3, dec_1, jan_1)};
    facts.partitions[0].holds = "hold 3";
    auto steps = plan(facts, Utc());
    EXPECT_EQ(steps.front().blocked, "hold 3");
    EXPECT_EQ(steps.back().blocked, "waits for the step before it");
    facts.partitions[0].holds.clear();
    facts.partitions[0].obstacle = "foreign key";
    EXPECT_EQ(plan(facts, Utc()).front().blocked, "foreign key");
    facts.partitions[0].obstacle.clear();
    facts.policy.at_home = false;
    EXPECT_NE(plan(facts, Utc()).front().blocked.find("resume_lifecycle_policy(7)"), std::string::npos);
    facts.policy.at_home = true;
    facts.policy.detach_enabled = false;
    EXPECT_NE(plan(facts, Utc()).front().blocked.find("detaching switched off"), std::string::npos);
    facts.policy.detach_enabled = true;
    facts.policy.archive_enabled = false;
    EXPECT_EQ(told(facts), (Lines{"detach 1", "shut out writers 1 !", "archive 1 !", "verify 1 !"}));
    facts.policy.archive_enabled = true;
    facts.policy.allowed_hours = "01:00-02:00";
    EXPECT_NE(plan(facts, Utc()).front().blocked.find("01:00-02:00"), std::string::npos);
    facts.now += micros_per_hour;
    EXPECT_EQ(told(facts).front(), "detach 1");
    facts.brake = "replication lag";
    EXPECT_EQ(told(facts), (Lines{"detach 1", "shut out writers 1", "archive 1 !", "verify 1 !"}));
}

TEST(LifecyclePlan, GoesOnWhereAnOperationStands) {
    Facts facts = monthly();
    facts.policy.archive_to = "file:x";
    facts.partitions = {range(2, nov_1, dec_1), range(3, dec_1, jan_1)};
    Operation operation;
    operation.id = 5;
    operation.kind = "expire";
    operation.subject = 1;
    const auto at = [&](const char* state) {
        operation.state = state;
        facts.open = {operation};
        return told(facts);
    };
    EXPECT_EQ(at("detaching"), (Lines{"detach 1", "shut out writers 1", "archive 1", "verify 1", "drop 1 !"}));
    EXPECT_EQ(at("detached"), (Lines{"shut out writers 1", "archive 1", "verify 1", "drop 1 !"}));
    EXPECT_EQ(at("closed"), (Lines{"archive 1", "verify 1", "drop 1 !"}));
    EXPECT_EQ(at("copying"), (Lines{"archive 1", "verify 1", "drop 1 !"}));
    EXPECT_EQ(at("verifying"), (Lines{"verify 1", "drop 1 !"}));
    operation.not_before = nov_21 + 1;
    EXPECT_EQ(at("quarantined"), (Lines{"drop 1 !"}));
    operation.not_before = nov_21;
    EXPECT_EQ(at("quarantined"), (Lines{"drop 1"}));
    operation.holds = "hold 3";
    EXPECT_EQ(at("quarantined"), (Lines{"drop 1 !"}));
    operation.holds.clear();
    EXPECT_EQ(at("dropping"), (Lines{"drop 1"}));
    EXPECT_EQ(at("undoing"), (Lines{"undo 1"}));
    facts.policy.at_home = false; // the OID may be that of another table
    for (const char* state : {"detaching", "detached", "closed", "copying", "verifying", "quarantined", "undoing"})
        EXPECT_EQ(at(state).front().back(), '!') << state;
    facts.policy.at_home = true;
    operation.not_before = nov_21 + 1; // after a failure
    EXPECT_EQ(at("closed"), (Lines{"archive 1 !", "verify 1 !", "drop 1 !"}));
}

TEST(LifecyclePlan, AnArchiveThatHasBegunGoesOnWhateverThePolicySaysNow) {
    Facts facts = monthly();
    facts.partitions = {range(2, nov_1, dec_1), range(3, dec_1, jan_1)};
    Operation operation;
    operation.id = 5;
    operation.kind = "expire";
    operation.state = "copying";
    operation.subject = 1;
    operation.archive_id = 9;
    operation.archive_to = "file:x";
    facts.open = {operation};
    for (const OnExpiry now : {OnExpiry::archive, OnExpiry::drop, OnExpiry::detach}) {
        facts.policy.on_expiry = now;
        facts.policy.archive_to = "schema";
        EXPECT_EQ(told(facts), (Lines{"archive 1", "verify 1", "drop 1 !"}));
        EXPECT_EQ(plan(facts, Utc()).front().reason, "to file:x");
    }
    facts.open.front().archive_to = "schema";
    facts.policy.on_expiry = OnExpiry::archive;
    facts.policy.archive_to = "file:x";
    EXPECT_EQ(told(facts), (Lines{"archive 1", "verify 1"}));
}

TEST(LifecyclePlan, ADetachThatWasInterruptedIsFinished) {
    Facts facts = monthly();
    facts.policy.retain = Span{12, 0, 0};
    facts.partitions = {range(1, d(7305), d(7400)), range(2, nov_1, dec_1), range(3, dec_1, jan_1)};
    facts.partitions[0].detach_pending = true;
    EXPECT_EQ(told(facts), Lines{"finalize detach 1"});
    Operation operation;
    operation.id = 5;
    operation.kind = "expire";
    operation.state = "detaching";
    operation.subject = 1;
    facts.open = {operation};
    EXPECT_EQ(told(facts).front(), "detach 1");
}

TEST(LifecyclePlan, RowsInTheDefaultPartition) {
    Facts facts = monthly();
    facts.partitions = {range(1, nov_1, dec_1), range(2, dec_1, jan_1), fallback(9)};
    facts.default_places = {d(9780), d(9900), d(9900) + 1};
    facts.default_is_empty = false;
    EXPECT_EQ(told(facts), (Lines{"move rows out of default [9770, 9801)", "move rows out of default [9893, 9921)"}));
    facts.policy.at_home = false; // an interrupted move knows the table it fills by its OID
    EXPECT_EQ(told(facts),
              (Lines{"move rows out of default [9770, 9801) !", "move rows out of default [9893, 9921) !"}));
    facts.policy.at_home = true;
    // Rows of a period that is to be made anyway: made by moving them.
    facts.partitions = {range(1, nov_1, dec_1), fallback(9)};
    facts.default_places = {d(9840)};
    EXPECT_EQ(told(facts), (Lines{"move rows out of default [9831, 9862)"}));
    facts.policy.default_partition = false;
    EXPECT_EQ(told(facts).back(), "drop default partition 9 !");
    facts.default_places.clear();
    facts.default_is_empty = true;
    EXPECT_EQ(told(facts).back(), "drop default partition 9");
    facts.policy.default_partition = true;
    facts.partitions = {range(1, nov_1, dec_1), range(2, dec_1, jan_1)};
    EXPECT_EQ(told(facts), Lines{"create default partition"});
}

TEST(LifecyclePlan, Runway) {
    Facts facts = monthly();
    EXPECT_FALSE(covered_until(facts));
    facts.partitions = {range(2, dec_1, jan_1), range(1, nov_1, dec_1), range(3, jan_1 + 1, open_high)};
    EXPECT_EQ(covered_until(facts), jan_1);
    facts.partitions.push_back(range(4, jan_1, jan_1 + 1));
    EXPECT_EQ(covered_until(facts), open_high);
}
