#include "lifecycle/calendar.hpp"

#include <algorithm>
#include <cstdio>

namespace citadel::lifecycle {

namespace {

constexpr std::int64_t days_1970_to_2000 = 10957;
constexpr std::int64_t first_monday = 2; // 2000-01-03
constexpr std::int64_t days_per_month = 30;

using Wide = __int128;

Place saturated(Wide value) {
    return static_cast<Place>(std::clamp<Wide>(value, open_low, open_high));
}

std::int64_t floor_divide(std::int64_t a, std::int64_t b) {
    const std::int64_t quotient = a / b;
    return a % b != 0 && (a < 0) != (b < 0) ? quotient - 1 : quotient;
}

struct Date {
    std::int64_t month; // since January 2000
    int day;            // 1..31
};

// Howard Hinnant's civil_from_days and days_from_civil (chrono-Compatible Low-Level Date Algorithms).
Date date_of(std::int64_t day_since_2000) {
    const std::int64_t z = day_since_2000 + days_1970_to_2000 + 719468;
    const std::int64_t era = floor_divide(z, 146097);
    const std::int64_t day_of_era = z - era * 146097;
    const std::int64_t year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    const std::int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    const std::int64_t shifted = (5 * day_of_year + 2) / 153; // March is 0
    const std::int64_t month = shifted < 10 ? shifted + 3 : shifted - 9;
    const std::int64_t year = era * 400 + year_of_era + (month <= 2 ? 1 : 0);
    return {(year - 2000) * 12 + month - 1, static_cast<int>(day_of_year - (153 * shifted + 2) / 5 + 1)};
}

std::int64_t day_of_month_start(std::int64_t month_since_2000) {
    std::int64_t year = 2000 + floor_divide(month_since_2000, 12);
    const std::int64_t month = month_since_2000 - floor_divide(month_since_2000, 12) * 12 + 1;
    year -= month <= 2 ? 1 : 0;
    const std::int64_t era = floor_divide(year, 400);
    const std::int64_t year_of_era = year - era * 400;
    const std::int64_t day_of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5;
    const std::int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * 146097 + day_of_era - 719468 - days_1970_to_2000;
}

// Number of the period that `place` lies in, and where a period of that number begins.
std::int64_t period_number(Place place, const Span& interval) {
    if (interval.months > 0)
        return floor_divide(date_of(floor_divide(place, micros_per_day)).month, interval.months);
    if (interval.days > 0) {
        const std::int64_t origin = interval.days % 7 == 0 ? first_monday : 0;
        return floor_divide(floor_divide(place, micros_per_day) - origin, interval.days);
    }
    return floor_divide(place, interval.micros);
}

Place period_begin(std::int64_t number, const Span& interval) {
    if (interval.months > 0)
        return saturated(static_cast<Wide>(day_of_month_start(number * interval.months)) * micros_per_day);
    if (interval.days > 0) {
        const std::int64_t origin = interval.days % 7 == 0 ? first_monday : 0;
        return saturated((static_cast<Wide>(number) * interval.days + origin) * micros_per_day);
    }
    return saturated(static_cast<Wide>(number) * interval.micros);
}

} // namespace

Place period_start(Place place, const Span& interval) {
    if (place == open_low || place == open_high)
        return place;
    return period_begin(period_number(place, interval), interval);
}

Place next_period(Place place, const Span& interval) {
    if (place == open_low || place == open_high)
        return place;
    return period_begin(period_number(place, interval) + 1, interval);
}

Place minus(Place place, const Span& span) {
    if (place == open_low || place == open_high)
        return place;
    Wide result = place;
    if (span.months != 0) {
        const std::int64_t day = floor_divide(place, micros_per_day);
        const Date date = date_of(day);
        const std::int64_t month = date.month - span.months;
        const std::int64_t start = day_of_month_start(month);
        const std::int64_t length = day_of_month_start(month + 1) - start;
        // Wide: the day that open_low lies in begins before it.
        const Wide time_of_day = place - static_cast<Wide>(day) * micros_per_day;
        result = static_cast<Wide>(start + std::min<std::int64_t>(date.day, length) - 1) * micros_per_day + time_of_day;
    }
    return saturated(result - static_cast<Wide>(span.days) * micros_per_day - span.micros);
}

std::int64_t approximate_length(const Span& span) {
    return saturated((static_cast<Wide>(span.months) * days_per_month + span.days) * micros_per_day + span.micros);
}

} // namespace citadel::lifecycle
