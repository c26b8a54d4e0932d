#include "lifecycle/throttle.hpp"

#include <algorithm>
#include <cmath>

namespace citadel::lifecycle {

namespace {

constexpr double weight_of_new = 0.4;     // exponential smoothing of the rate
constexpr double aim = 0.85;              // of the target: what is above it is room for the slow ones
constexpr double fastest_growth = 1.6;    // from batch to batch
constexpr double longest_rest_ms = 10000; // after a batch that was held up for long, others have waited enough

} // namespace

Throttle::Throttle(const ThrottleLimits& limits) : limits_(limits) {
    limits_.target_ms = std::max(limits_.target_ms, 1.0);
    limits_.load = std::clamp(limits_.load, 0.01, 1.0);
    limits_.least = std::max<std::int64_t>(limits_.least, 1);
    limits_.most = std::max(limits_.most, limits_.least);
    rows_ = std::clamp(limits_.first, limits_.least, limits_.most);
}

void Throttle::set_rows(double rows) {
    if (!(rows < static_cast<double>(limits_.most)))
        rows_ = limits_.most;
    else
        rows_ = std::max(limits_.least, static_cast<std::int64_t>(std::floor(rows)));
}

void Throttle::done(std::int64_t rows, double took_ms) {
    took_ms = std::max(took_ms, 0.01);
    rest_ms_ = std::min(took_ms * (1 / load() - 1), longest_rest_ms);
    if (rows <= 0)
        return;
    const double measured = static_cast<double>(rows) / took_ms;
    // A small batch is mostly overhead: it may say that things are slow, not that a large one would be.
    const bool full = rows * 2 >= rows_;
    if (!full && measured < rate_ && took_ms <= target_ms())
        return;
    if (rate_ <= 0 || measured < rate_ * 0.5)
        rate_ = measured; // the first one, or things have become slow: at once
    else
        rate_ += weight_of_new * (measured - rate_);
    const double wanted = std::min(rate_, measured * 1.25) * target_ms() * aim;
    set_rows(std::min(wanted, static_cast<double>(rows_) * fastest_growth));
}

void Throttle::held_up() {
    set_rows(static_cast<double>(rows_) / 2);
    rest_ms_ = std::min(target_ms(), longest_rest_ms);
}

} // namespace citadel::lifecycle
