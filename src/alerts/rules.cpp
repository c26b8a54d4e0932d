#include "alerts/rules.hpp"

#include <algorithm>

namespace citadel::alerts {

std::optional<Comparison> comparison(const std::string& text) {
    if (text == ">")
        return Comparison::above;
    if (text == ">=")
        return Comparison::at_least;
    if (text == "<")
        return Comparison::below;
    if (text == "<=")
        return Comparison::at_most;
    return std::nullopt;
}

bool holds(double value, Comparison comparison, double threshold) {
    switch (comparison) {
    case Comparison::above:
        return value > threshold;
    case Comparison::at_least:
        return value >= threshold;
    case Comparison::below:
        return value < threshold;
    case Comparison::at_most:
        return value <= threshold;
    }
    return false;
}

bool worse(double a, double b, Comparison comparison) {
    return comparison == Comparison::above || comparison == Comparison::at_least ? a > b : a < b;
}

namespace {

Step breached(const Rule& rule, double value, std::int64_t now_us) {
    const bool at_once = rule.for_us <= 0;
    return {Condition{at_once ? Phase::open : Phase::pending, now_us, std::nullopt, value},
            at_once ? Event::opened : Event::began};
}

Step pending(const Rule& rule, Condition condition, std::optional<double> value, std::int64_t now_us) {
    if (!value || !holds(*value, rule.comparison, rule.threshold))
        return {std::nullopt, Event::withdrawn};
    Event event = Event::none;
    if (condition.since_us > now_us) {
        condition.since_us = now_us;
        event = Event::began;
    }
    if (worse(*value, condition.worst, rule.comparison))
        condition.worst = *value;
    if (now_us - condition.since_us >= rule.for_us) {
        condition.phase = Phase::open;
        event = Event::opened;
    }
    return {condition, event};
}

Step open(const Rule& rule, Condition condition, std::optional<double> value, std::int64_t now_us) {
    if (value && holds(*value, rule.comparison, rule.clear_threshold)) {
        Event event = condition.clear_since_us ? Event::relapsed : Event::none;
        condition.clear_since_us.reset();
        if (worse(*value, condition.worst, rule.comparison)) {
            condition.worst = *value;
            event = Event::worsened;
        }
        return {condition, event};
    }
    Event event = Event::none;
    if (!condition.clear_since_us || *condition.clear_since_us > now_us) {
        condition.clear_since_us = now_us;
        event = Event::clearing;
    }
    if (now_us - *condition.clear_since_us >= rule.clear_us)
        return {std::nullopt, Event::resolved};
    return {condition, event};
}

} // namespace

Step step(const Rule& rule, std::optional<Condition> condition, std::optional<double> value, std::int64_t now_us) {
    if (condition && condition->phase == Phase::open)
        return open(rule, *condition, value, now_us);
    if (condition)
        return pending(rule, *condition, value, now_us);
    if (value && holds(*value, rule.comparison, rule.threshold))
        return breached(rule, *value, now_us);
    return {std::nullopt, Event::none};
}

std::vector<Change> judge(const std::vector<Rule>& rules, const std::map<RuleSubject, double>& values,
                          const std::map<RuleSubject, Condition>& conditions, const std::set<std::string>& unread,
                          std::int64_t now_us) {
    std::map<std::string, const Rule*> by_name;
    for (const Rule& rule : rules)
        by_name[rule.name] = &rule;
    std::set<RuleSubject> subjects;
    for (const auto& [of, value] : values)
        subjects.insert(of);
    for (const auto& [of, condition] : conditions)
        subjects.insert(of);

    std::vector<Change> changes;
    for (const RuleSubject& of : subjects) {
        if (unread.count(of.first) > 0)
            continue;
        const auto known = conditions.find(of);
        const std::optional<Condition> before =
            known == conditions.end() ? std::nullopt : std::optional<Condition>(known->second);
        const auto rule = by_name.find(of.first);
        if (rule == by_name.end()) {
            if (before)
                changes.push_back({of, before->phase == Phase::open ? Event::resolved : Event::withdrawn, {}, {}});
            continue;
        }
        const auto reading = values.find(of);
        const std::optional<double> value =
            reading == values.end() ? std::nullopt : std::optional<double>(reading->second);
        const Step next = step(*rule->second, before, value, now_us);
        if (next.event != Event::none)
            changes.push_back({of, next.event, next.condition, value});
    }
    return changes;
}

} // namespace citadel::alerts
