// When a job runs next: plain arithmetic over plain figures, no server, no clock of its own.
//
// All times are microseconds since one fixed epoch (the server's TimestampTz), all durations microseconds.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace citadel::jobs {

inline constexpr int64_t microseconds_per_millisecond = 1000;
inline constexpr int64_t microseconds_per_second = 1000000;
inline constexpr int64_t microseconds_per_minute = 60 * microseconds_per_second;
inline constexpr int64_t microseconds_per_hour = 60 * microseconds_per_minute;
inline constexpr int64_t microseconds_per_day = 24 * microseconds_per_hour;

// What is asked of a job.
struct Schedule {
    int64_t interval = microseconds_per_hour;      // from start to start; below one second counts as one second
    int64_t retry_delay = microseconds_per_minute; // wait after the first failure; doubles with each further one
    int64_t settle = 5 * microseconds_per_minute;  // wait before the very first run, never longer than the interval
    uint64_t spread_key = 0; // spreads first runs and retries of many databases; same key, same spread
};

// What became of it so far.
struct History {
    int64_t known_since = 0; // when the job was first seen in this database
    std::optional<int64_t> last_start;
    std::optional<int64_t> last_finish; // of the same run as last_start; absent when it never ended
    int failures_in_a_row = 0;
};

// The time of the next run; due when it is <= now.
//
// - Never ran: known_since + settle + spread.
// - Succeeded: last_start + interval, so that runs keep their rhythm however long they take, but at least a second
//   after the last finish. Runs that were missed (server down, interval shorter than the run) count as one.
// - Failed n times in a row: last_finish + backoff(n).
// - A clock set back: nothing waits longer than its own delay; a time further away than that (plus a minute of
//   tolerance) comes from a clock that was wrong then, and the job is due now.
int64_t next_run(const Schedule& schedule, const History& history, int64_t now);

// retry_delay * 2^(failures - 1), at most max(interval, 1 hour), and up to 10 % less by a jitter that depends on the
// key and on the number of failures alone.
int64_t backoff(const Schedule& schedule, int failures);

// Something periodic is due: its period has passed, it never ran, or the clock went back behind its last run.
bool period_passed(std::optional<int64_t> last, int64_t now, int64_t period);

// An interval as the server keeps it, in microseconds: a month counts as 30 days and a day as 24 hours. Saturates.
int64_t interval_length(int32_t months, int32_t days, int64_t microseconds);

// FNV-1a: the same on every machine and in every release, unlike std::hash.
uint64_t stable_hash(std::string_view text, uint64_t seed = 0);

} // namespace citadel::jobs
