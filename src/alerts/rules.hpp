// When a condition becomes an alert, and when it is over: the state machine, on a clock it is given.
//
//   (nothing) --breach--> pending --for_us passed, still breached--> open --clear for clear_us--> resolved
//                            '--not breached any more--> (nothing)
//
// An open alert is over only when the value is back beyond the clear threshold: hysteresis. Acknowledging is no step of
// this machine: it says that somebody knows, and changes nothing in what is measured.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace citadel::alerts {

enum class Comparison { above, at_least, below, at_most };
// '>', '>=', '<' or '<='; nothing for anything else.
std::optional<Comparison> comparison(const std::string& text);
bool holds(double value, Comparison comparison, double threshold);
// Whether `a` is further beyond the threshold than `b`.
bool worse(double a, double b, Comparison comparison);

struct Rule {
    std::string name;
    Comparison comparison = Comparison::above;
    double threshold = 0;
    double clear_threshold = 0; // not beyond it any more: clear
    std::int64_t for_us = 0;    // how long a breach lasts before it is an alert
    std::int64_t clear_us = 0;  // how long it is clear before the alert is over
};

using RuleSubject = std::pair<std::string, std::string>; // rule, subject

enum class Phase { pending, open };

struct Condition {
    Phase phase = Phase::pending;
    std::int64_t since_us = 0;                  // the breach began
    std::optional<std::int64_t> clear_since_us; // open, and clear since then
    double worst = 0;
};

enum class Event { none, began, withdrawn, opened, worsened, clearing, relapsed, resolved };

struct Step {
    std::optional<Condition> condition; // nothing: nothing is known of the subject any more
    Event event = Event::none;
};

// One subject of one rule at one moment. No value: the subject is gone, which is as good as clear. A time in the future
// was stamped by a clock that has gone back since: its duration begins anew.
Step step(const Rule& rule, std::optional<Condition> condition, std::optional<double> value, std::int64_t now_us);

struct Change {
    RuleSubject of;
    Event event = Event::none;
    std::optional<Condition> condition;
    std::optional<double> value;
};

// All subjects of all rules: `values` are the readings that concern a rule, `conditions` what was known before,
// `unread` the rules whose figure could not be read, of which nothing changes. Conditions of rules that are not there
// any more are over at once. In the order of rule and subject; nothing for what stays as it is.
std::vector<Change> judge(const std::vector<Rule>& rules, const std::map<RuleSubject, double>& values,
                          const std::map<RuleSubject, Condition>& conditions, const std::set<std::string>& unread,
                          std::int64_t now_us);

} // namespace citadel::alerts
