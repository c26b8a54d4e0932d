#include "jobs/schedule.hpp"

#include "capture/random.hpp"

#include <algorithm>
#include <limits>

namespace citadel::jobs {

namespace {

constexpr int64_t end_of_time = std::numeric_limits<int64_t>::max();
constexpr int64_t beginning_of_time = std::numeric_limits<int64_t>::min();
constexpr int64_t shortest_interval = microseconds_per_second;
constexpr int64_t shortest_pause = microseconds_per_second;
constexpr int64_t backward_tolerance = microseconds_per_minute;

int64_t add(int64_t a, int64_t b) {
    int64_t sum = 0;
    if (__builtin_add_overflow(a, b, &sum))
        return b > 0 ? end_of_time : beginning_of_time;
    return sum;
}

int64_t multiply(int64_t a, int64_t b) {
    int64_t product = 0;
    if (__builtin_mul_overflow(a, b, &product))
        return (a > 0) == (b > 0) ? end_of_time : beginning_of_time;
    return product;
}

// A share of `span` in [0, span), decided by the key; neighbouring keys give unrelated ones.
int64_t share_of(int64_t span, uint64_t key) {
    if (span <= 0)
        return 0;
    return static_cast<int64_t>(capture::Random(key).next() % static_cast<uint64_t>(span));
}

} // namespace

int64_t backoff(const Schedule& schedule, int failures) {
    if (failures <= 0)
        return 0;
    const int64_t cap = std::max({schedule.interval, microseconds_per_hour, shortest_pause});
    const int64_t first = std::clamp(schedule.retry_delay, shortest_pause, cap);
    const int doublings = std::min(failures - 1, 40);
    const int64_t delay = std::min(multiply(first, int64_t{1} << doublings), cap);
    return delay - share_of(delay / 10, schedule.spread_key ^ (static_cast<uint64_t>(failures) << 48));
}

int64_t next_run(const Schedule& schedule, const History& history, int64_t now) {
    const int64_t interval = std::max(schedule.interval, shortest_interval);
    int64_t next = 0;
    int64_t longest_wait = interval;

    if (!history.last_start) {
        const int64_t settle = std::clamp<int64_t>(schedule.settle, 0, interval);
        const int64_t spread = share_of(std::min(settle, microseconds_per_minute) / 10, schedule.spread_key);
        next = add(history.known_since, settle + spread);
        longest_wait = settle + spread;
    } else if (history.failures_in_a_row > 0) {
        const int64_t delay = backoff(schedule, history.failures_in_a_row);
        next = add(history.last_finish.value_or(*history.last_start), delay);
        longest_wait = delay;
    } else {
        next = add(*history.last_start, interval);
        if (history.last_finish)
            next = std::max(next, add(*history.last_finish, shortest_pause));
    }

    if (next > add(now, add(longest_wait, backward_tolerance)))
        return now;
    return next;
}

bool period_passed(std::optional<int64_t> last, int64_t now, int64_t period) {
    if (!last || now < *last)
        return true;
    return now >= add(*last, period);
}

int64_t interval_length(int32_t months, int32_t days, int64_t microseconds) {
    const int64_t whole_days = int64_t{months} * 30 + days;
    return add(multiply(whole_days, microseconds_per_day), microseconds);
}

uint64_t stable_hash(std::string_view text, uint64_t seed) {
    uint64_t hash = 0xcbf29ce484222325ULL ^ capture::Random(seed).next();
    for (const char c : text) {
        hash ^= static_cast<unsigned char>(c);
        hash *= 0x100000001b3ULL;
    }
    return hash;
}

} // namespace citadel::jobs
