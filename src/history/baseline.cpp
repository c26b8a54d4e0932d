#include "history/baseline.hpp"

#include <algorithm>
#include <cmath>

namespace citadel::history {

namespace {

constexpr std::int64_t minutes_per_hour = 60;
constexpr std::int64_t minutes_per_week = 7 * 24 * 60;

std::int64_t within(std::int64_t value, std::int64_t period) {
    const std::int64_t rest = value % period;
    return rest < 0 ? rest + period : rest;
}

} // namespace

Observation observe(std::int64_t minute, const capture::LatencyHistogram& latencies) {
    Observation seen;
    seen.minute = minute;
    double sum = 0;
    double squares = 0;
    for (int bucket = 0; bucket < capture::latency_bucket_count; ++bucket) {
        const std::uint64_t calls = latencies.in_bucket(bucket);
        if (calls == 0)
            continue;
        const double log_ms = std::log(capture::latency_bucket_value(bucket));
        seen.calls += calls;
        sum += static_cast<double>(calls) * log_ms;
        squares += static_cast<double>(calls) * log_ms * log_ms;
    }
    if (seen.calls == 0)
        return seen;
    const auto count = static_cast<double>(seen.calls);
    seen.log_ms = sum / count;
    seen.variance = std::max(0.0, squares / count - seen.log_ms * seen.log_ms);
    return seen;
}

Observation together(const Observation& a, const Observation& b) {
    if (a.calls == 0 || b.calls == 0)
        return a.calls == 0 ? b : a;
    Observation both;
    both.minute = std::max(a.minute, b.minute);
    both.calls = a.calls + b.calls;
    const double share = static_cast<double>(b.calls) / static_cast<double>(both.calls);
    const double difference = b.log_ms - a.log_ms;
    both.log_ms = a.log_ms + share * difference;
    both.variance = (1 - share) * a.variance + share * b.variance + share * (1 - share) * difference * difference;
    return both;
}

void Moments::add(double value, double keep) {
    weight_ = weight_ * keep + 1;
    const double share = 1 / weight_;
    const double difference = value - mean_;
    mean_ += share * difference;
    variance_ = (1 - share) * (variance_ + share * difference * difference);
}

std::size_t Baseline::hour_of(std::int64_t minute) {
    return static_cast<std::size_t>(within(minute, minutes_per_week) / minutes_per_hour);
}

void Baseline::add_lately(const Observation& observation) {
    static const double keep = std::exp2(-1 / half_life);
    double value = observation.log_ms;
    if (lately_.weight() >= enough) {
        const double most = furthest * std::max(std::sqrt(lately_.variance()), least_deviation);
        value = std::clamp(value, lately_.mean() - most, lately_.mean() + most);
    }
    lately_.add(value, keep);
}

void Baseline::add_hour(const Observation& observation) {
    Hour& hour = hours_[hour_of(observation.minute)];
    const auto week = static_cast<std::int32_t>(observation.minute / minutes_per_week);
    hour.moments.add(observation.log_ms, hour.week >= 0 && week != hour.week ? keep_of_week : 1);
    if (week != hour.week)
        ++hour.weeks;
    hour.week = week;
}

// Welch (1947): the difference of two means over the root of the sum of their variances. That of the observation is the
// spread between buckets plus what its finite number of runs adds; that of the expectation shrinks with its weight.
Comparison Baseline::compare(const Moments& usual, const Observation& observation) {
    const double between = std::max(usual.variance(), least_deviation * least_deviation);
    const double within_bucket = observation.variance / static_cast<double>(observation.calls);
    const double difference = observation.log_ms - usual.mean();
    return {true, std::exp(difference), difference / std::sqrt(between + within_bucket + between / usual.weight())};
}

Comparison Baseline::against_lately(const Observation& observation) const {
    if (lately_.weight() < enough || observation.calls == 0)
        return {};
    return compare(lately_, observation);
}

Comparison Baseline::against_hour(const Observation& observation) const {
    const Hour& hour = hours_[hour_of(observation.minute)];
    if (hour.weeks < enough_weeks || observation.calls == 0)
        return {};
    return compare(hour.moments, observation);
}

double Baseline::usual_ms() const {
    return lately_.weight() > 0 ? std::exp(lately_.mean()) : 0;
}

} // namespace citadel::history
