#include "alerts/exposition.hpp"
#include "alerts/notices.hpp"
#include "alerts/rates.hpp"
#include "alerts/rules.hpp"
#include "jobs/figures.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <stdexcept>

using namespace citadel::alerts;

namespace {

constexpr std::int64_t second = 1000000;
constexpr std::int64_t minute = 60 * second;

Rule high() {
    return {"high", Comparison::above, 0.9, 0.7, 2 * minute, minute};
}

// One subject of one rule on a clock of its own.
struct Watch {
    Rule rule = high();
    std::optional<Condition> condition;
    Event at(std::int64_t now, std::optional<double> value) {
        const Step next = step(rule, condition, value, now);
        condition = next.condition;
        return next.event;
    }
};

std::vector<Untold> alerts_of(const std::string& rule, int severity, int count, bool resolved = false) {
    std::vector<Untold> alerts;
    alerts.reserve(static_cast<std::size_t>(count));
    for (int i = 0; i < count; ++i)
        alerts.push_back({i + 1, rule, severity, resolved, "subject " + std::to_string(i), 1.5});
    return alerts;
}

const PayloadContext context{"shop", "connection_use", "ratio", ">", "2026-11-21T10:00:00+00:00", 0.9};

} // namespace

TEST(AlertRules, OpensAfterItsDurationAndNotBefore) {
    Watch watch;
    EXPECT_EQ(watch.at(0, 0.5), Event::none);
    EXPECT_EQ(watch.at(minute, 0.95), Event::began);
    EXPECT_EQ(watch.at(3 * minute - 1, 0.99), Event::none);
    EXPECT_EQ(watch.at(3 * minute, 0.92), Event::opened);
    EXPECT_EQ(watch.condition->phase, Phase::open);
    EXPECT_EQ(watch.condition->since_us, minute);
    EXPECT_DOUBLE_EQ(watch.condition->worst, 0.99);
}

TEST(AlertRules, AShortBreachIsNoAlert) {
    Watch watch;
    EXPECT_EQ(watch.at(0, 0.95), Event::began);
    EXPECT_EQ(watch.at(minute, 0.9), Event::withdrawn); // the threshold itself is not above it
    EXPECT_EQ(watch.at(2 * minute, 0.95), Event::began);
    EXPECT_EQ(watch.at(3 * minute, std::nullopt), Event::withdrawn);
    EXPECT_FALSE(watch.condition.has_value());
}

TEST(AlertRules, StaysOpenBetweenTheThresholds) {
    Watch watch;
    watch.at(0, 0.95);
    watch.at(2 * minute, 0.95);
    EXPECT_EQ(watch.at(3 * minute, 0.8), Event::none); // below the threshold, above the clear one
    EXPECT_EQ(watch.at(60 * minute, 0.71), Event::none);
    EXPECT_EQ(watch.at(61 * minute, 0.97), Event::worsened);
    EXPECT_EQ(watch.at(62 * minute, 0.7), Event::clearing);
    EXPECT_EQ(watch.at(62 * minute + 30 * second, 0.75), Event::relapsed);
    EXPECT_EQ(watch.at(63 * minute, 0.5), Event::clearing);
    EXPECT_EQ(watch.at(64 * minute - 1, 0.5), Event::none);
    EXPECT_EQ(watch.at(64 * minute, 0.5), Event::resolved);
    EXPECT_FALSE(watch.condition.has_value());
}

TEST(AlertRules, WithoutDurationsItIsImmediate) {
    Watch watch;
    watch.rule.for_us = watch.rule.clear_us = 0;
    EXPECT_EQ(watch.at(0, 1), Event::opened);
    EXPECT_EQ(watch.at(1, std::nullopt), Event::resolved); // the subject is gone
    EXPECT_EQ(watch.at(2, std::nullopt), Event::none);
}

TEST(AlertRules, BelowIsTheMirrorImage) {
    Watch watch;
    watch.rule = {"low", Comparison::below, 0.1, 0.15, 0, 0};
    EXPECT_EQ(watch.at(0, 0.1), Event::none);
    EXPECT_EQ(watch.at(1, 0.09), Event::opened);
    EXPECT_EQ(watch.at(2, 0.05), Event::worsened);
    EXPECT_EQ(watch.at(3, 0.07), Event::none);
    EXPECT_EQ(watch.at(4, 0.12), Event::none);
    EXPECT_EQ(watch.at(5, 0.15), Event::resolved);
}

TEST(AlertRules, AClockThatGoesBackBeginsADurationAnew) {
    Watch watch;
    watch.at(100 * minute, 0.95);
    EXPECT_EQ(watch.at(10 * minute, 0.95), Event::began);
    EXPECT_EQ(watch.at(11 * minute, 0.95), Event::none);
    EXPECT_EQ(watch.at(12 * minute, 0.95), Event::opened);
    EXPECT_EQ(watch.at(50 * minute, 0.1), Event::clearing);
    EXPECT_EQ(watch.at(20 * minute, 0.1), Event::clearing); // else it would stay open for half an hour
    EXPECT_EQ(watch.at(21 * minute, 0.1), Event::resolved);
}

TEST(AlertRules, JudgesAllSubjectsInOrder) {
    Rule now = high();
    now.for_us = now.clear_us = 0;
    std::map<RuleSubject, Condition> conditions;
    conditions[{"gone", "a"}] = {Phase::open, 0, std::nullopt, 1};
    conditions[{"gone", "b"}] = {Phase::pending, 0, std::nullopt, 1};
    conditions[{"high", "c"}] = {Phase::open, 0, std::nullopt, 1};
    conditions[{"blind", "d"}] = {Phase::open, 0, std::nullopt, 1};
    Rule blind = now;
    blind.name = "blind";
    const auto changes =
        judge({now, blind}, {{{"high", "x"}, 0.95}, {{"high", "y"}, 0.1}}, conditions, {"blind"}, minute);
    ASSERT_EQ(changes.size(), 4U);
    EXPECT_EQ(changes[0].of, RuleSubject("gone", "a"));
    EXPECT_EQ(changes[0].event, Event::resolved);
    EXPECT_EQ(changes[1].event, Event::withdrawn);
    EXPECT_EQ(changes[2].of, RuleSubject("high", "c"));
    EXPECT_EQ(changes[2].event, Event::resolved);
    EXPECT_EQ(changes[3].of, RuleSubject("high", "x"));
    EXPECT_EQ(changes[3].event, Event::opened);
}

TEST(AlertRules, KnowsItsComparisons) {
    EXPECT_EQ(comparison(">="), Comparison::at_least);
    EXPECT_EQ(comparison("<="), Comparison::at_most);
    EXPECT_EQ(comparison("<"), Comparison::below);
    EXPECT_EQ(comparison("=>"), std::nullopt);
    EXPECT_TRUE(holds(1, Comparison::at_least, 1));
    EXPECT_TRUE(holds(1, Comparison::at_most, 1));
    EXPECT_FALSE(holds(std::nan(""), Comparison::above, 0));
    EXPECT_FALSE(holds(std::nan(""), Comparison::at_most, 0));
}

TEST(AlertRates, GrowthAMinute) {
    Rates rates;
    EXPECT_EQ(rates.per_minute({"f", "s"}, 1000, 0), std::nullopt);
    EXPECT_DOUBLE_EQ(*rates.per_minute({"f", "s"}, 1030, 30 * second), 60);
    EXPECT_DOUBLE_EQ(*rates.per_minute({"f", "s"}, 1030, minute), 0);
    EXPECT_DOUBLE_EQ(*rates.per_minute({"f", "s"}, 5, 2 * minute), 5); // reset
    EXPECT_EQ(rates.per_minute({"f", "s"}, 9, minute), std::nullopt);  // the clock went back
    EXPECT_DOUBLE_EQ(*rates.per_minute({"f", "s"}, 10, 2 * minute), 1);
    EXPECT_EQ(rates.per_minute({"f", "other"}, 9, minute), std::nullopt);
}

TEST(AlertRates, ShareWaitsForEnough) {
    Rates rates;
    EXPECT_EQ(rates.share({"f", "s"}, 10, 100), std::nullopt);
    EXPECT_EQ(rates.share({"f", "s"}, 20, 120), std::nullopt); // 20 are too few
    EXPECT_DOUBLE_EQ(*rates.share({"f", "s"}, 35, 200), 0.25); // all of them together
    EXPECT_DOUBLE_EQ(*rates.share({"f", "s"}, 36, 210), 0.25); // as before
    EXPECT_DOUBLE_EQ(*rates.share({"f", "s"}, 30, 60), 0.5);   // reset: from zero
    EXPECT_DOUBLE_EQ(*rates.share({"f", "s"}, 30, 160), 0);
}

TEST(AlertNotices, OneNoticeForManyAlertsOfARule) {
    Budget budget;
    const auto notices = budget.due(alerts_of("high", 1, 1000), 0);
    ASSERT_EQ(notices.size(), 1U);
    EXPECT_EQ(notices[0].alerts.size(), 1000U);
    const std::string json = payload(notices[0], context);
    EXPECT_LE(json.size(), longest_payload);
    EXPECT_NE(json.find("\"count\":1000"), std::string::npos);
    EXPECT_EQ(json.find("\"omitted\":0"), std::string::npos);
    EXPECT_NE(log_line(notices[0], context).find("subject 2 1.5 and 997 more"), std::string::npos);
}

TEST(AlertNotices, ARulePausesAndAllTogetherAreLimited) {
    Budget budget;
    EXPECT_EQ(budget.due(alerts_of("a", 1, 1), 0).size(), 1U);
    EXPECT_EQ(budget.due(alerts_of("a", 1, 2), minute).size(), 0U);
    EXPECT_EQ(budget.due(alerts_of("a", 1, 2, true), minute).size(), 1U); // that it is over is another matter
    EXPECT_EQ(budget.due(alerts_of("a", 1, 3), Budget::rule_pause_us).size(), 1U);

    std::vector<Untold> many;
    many.reserve(30);
    for (int i = 0; i < 30; ++i)
        many.push_back(alerts_of("rule " + std::to_string(i), i == 29 ? 2 : 0, 1)[0]);
    const auto first = budget.due(many, 100 * minute);
    ASSERT_EQ(first.size(), Budget::notices_per_window);
    EXPECT_EQ(first[0].rule, "rule 29"); // the severest first
    EXPECT_EQ(budget.due(many, 100 * minute + 30 * second).size(), 0U);
    EXPECT_EQ(budget.due(many, 101 * minute).size(), Budget::notices_per_window);
    EXPECT_GT(budget.due(many, minute).size(), 0U); // a clock that has gone back does not silence
}

TEST(AlertNotices, JsonSurvivesHostileNames) {
    Notice notice{
        "a \"rule\"\n", 2, false, {{7, "", 2, false, "x\"\\\n\x01", std::numeric_limits<double>::infinity()}}};
    const std::string json = payload(notice, context);
    EXPECT_NE(json.find(R"("rule":"a \"rule\"\u000a")"), std::string::npos);
    EXPECT_NE(json.find(R"({"alert_id":7,"subject":"x\"\\\u000a\u0001","value":null})"), std::string::npos);
    EXPECT_EQ(log_line(notice, context).find('\n'), std::string::npos);
    notice.alerts[0].subject = std::string(200, '\x01'); // 1200 bytes as JSON
    EXPECT_NE(payload(notice, context).find("\"alerts\":[],\"omitted\":1"), std::string::npos);
}

TEST(Figures, RegistryRefusesWhatCannotWork) {
    using namespace citadel::jobs;
    forget_figures();
    register_figure({"a", "s", "what", FigureKind::gauge, false, "SELECT"});
    EXPECT_EQ(find_figure("a"), &figure_at(0));
    EXPECT_EQ(find_figure("b"), nullptr);
    EXPECT_THROW(register_figure({"a", "s", "what", FigureKind::gauge, false, "SELECT"}), std::logic_error);
    EXPECT_THROW(register_figure({"b", "s", "what", FigureKind::gauge, false, ""}), std::logic_error);
    EXPECT_THROW(register_figure({"", "s", "what", FigureKind::gauge, false, "SELECT"}), std::logic_error);
    EXPECT_EQ(figure_count(), 1U);
    forget_figures();
}

TEST(Exposition, EscapesAndTypes) {
    const Family family{"citadel_x_total",
                        "Lines\nand \\ and \"quotes\"",
                        {{{{"a", "b\"c\\d\ne"}, {"f", ""}}, 3}, {{}, std::numeric_limits<double>::infinity()}}};
    EXPECT_EQ(exposition(family), "# HELP citadel_x_total Lines\\nand \\\\ and \"quotes\"\n"
                                  "# TYPE citadel_x_total counter\n"
                                  "citadel_x_total{a=\"b\\\"c\\\\d\\ne\",f=\"\"} 3\n"
                                  "citadel_x_total +Inf\n");
    EXPECT_EQ(exposition({"citadel_empty", "none", {}}), "");
    EXPECT_NE(exposition({"x", "h", {{{}, 0.1}}}).find("# TYPE x gauge\nx 0.1\n"), std::string::npos);
    EXPECT_THROW(exposition({"1x", "h", {{{}, 1}}}), std::invalid_argument);
    EXPECT_THROW(exposition({"x-y", "h", {{{}, 1}}}), std::invalid_argument);
    EXPECT_THROW(exposition({"x", "h", {{{{"a b", "c"}}, 1}}}), std::invalid_argument);
    EXPECT_EQ(sample_value(std::nan("")), "NaN");
    EXPECT_EQ(sample_value(-std::numeric_limits<double>::infinity()), "-Inf");
}
