#include "history/partition.hpp"

#include <cstdio>

namespace citadel::history {

namespace {

constexpr std::int64_t microseconds_per_day = 24LL * 60 * 60 * 1000000;
constexpr std::int64_t days_1970_to_2000 = 10957;

struct Date {
    std::int64_t year;
    unsigned month;
    unsigned day;
};

// Howard Hinnant's civil_from_days (chrono-Compatible Low-Level Date Algorithms).
Date civil(std::int64_t days_since_2000) {
    const std::int64_t z = days_since_2000 + days_1970_to_2000 + 719468;
    const std::int64_t era = (z >= 0 ? z : z - 146096) / 146097;
    const auto day_of_era = static_cast<unsigned>(z - era * 146097);
    const unsigned year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    const unsigned day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    const unsigned shifted_month = (5 * day_of_year + 2) / 153; // March is 0
    const unsigned day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    const unsigned month = shifted_month < 10 ? shifted_month + 3 : shifted_month - 9;
    return {era * 400 + year_of_era + (month <= 2 ? 1 : 0), month, day};
}

std::string formatted(const char* format, std::int64_t day) {
    const Date date = civil(day);
    char text[64];
    std::snprintf(text, sizeof(text), format, static_cast<long long>(date.year), date.month, date.day);
    return text;
}

} // namespace

std::int64_t day_of(std::int64_t timestamp) {
    const std::int64_t day = timestamp / microseconds_per_day;
    return timestamp % microseconds_per_day < 0 ? day - 1 : day;
}

std::string partition_name(std::string_view table, std::int64_t day) {
    return std::string(table) + "_p" + formatted("%04lld%02u%02u", day);
}

std::string day_start(std::int64_t day) {
    return formatted("%04lld-%02u-%02u 00:00:00+00", day);
}

} // namespace citadel::history
