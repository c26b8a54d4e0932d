// Arithmetic over the calendar and over integer ranges: where partitions begin and what is too old.
//
// Local times are microseconds since 2000-01-01 00:00 as the clock on the wall of the policy's time zone shows them.
#pragma once

#include "jobs/hours.hpp"
#include "lifecycle/model.hpp"

#include <optional>
#include <string>
#include <utility>

namespace citadel::lifecycle {

inline constexpr std::int64_t micros_per_minute = 60LL * 1000 * 1000;
inline constexpr std::int64_t micros_per_hour = 60 * micros_per_minute;
inline constexpr std::int64_t micros_per_day = 24 * micros_per_hour;

// Regular partitions begin at: multiples of the months from January 2000; of weeks from a Monday; of days and of parts
// of a day from 2000-01-01; multiples of the count from 0. A span has one of months, days and micros.
// The last beginning at or before `place`, and the first one after it (saturates at open_high).
Place period_start(Place place, const Span& interval);
Place next_period(Place place, const Span& interval);

// `place` less `span`, by the calendar: 31 March less a month is the last day of February. Saturates.
Place minus(Place place, const Span& span);

// For comparing lengths: a month counts as 30 days.
std::int64_t approximate_length(const Span& span);

using jobs::parse_hours;
using jobs::within_hours;

} // namespace citadel::lifecycle
