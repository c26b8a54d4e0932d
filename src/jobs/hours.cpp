#include "jobs/hours.hpp"

#include <cstdio>

namespace citadel::jobs {

std::optional<std::pair<int, int>> parse_hours(const std::string& text) {
    int from_hour = 0;
    int from_minute = 0;
    int to_hour = 0;
    int to_minute = 0;
    int read = 0;
    if (std::sscanf(text.c_str(), "%2d:%2d-%2d:%2d%n", &from_hour, &from_minute, &to_hour, &to_minute, &read) != 4 ||
        static_cast<std::size_t>(read) != text.size())
        return std::nullopt;
    const bool valid = from_hour >= 0 && from_hour <= 23 && from_minute >= 0 && from_minute <= 59 && to_hour >= 0 &&
                       to_minute >= 0 && to_minute <= 59 && (to_hour <= 23 || (to_hour == 24 && to_minute == 0));
    const std::pair<int, int> hours{from_hour * 60 + from_minute, to_hour * 60 + to_minute};
    if (!valid || hours.first == hours.second)
        return std::nullopt;
    return hours;
}

bool within_hours(const std::pair<int, int>& hours, std::int64_t local_us) {
    constexpr std::int64_t minute_us = 60LL * 1000 * 1000;
    constexpr std::int64_t day_us = 24 * 60 * minute_us;
    const auto minute = static_cast<int>((local_us % day_us + day_us) % day_us / minute_us);
    if (hours.first < hours.second)
        return minute >= hours.first && minute < hours.second;
    return minute >= hours.first || minute < hours.second;
}

} // namespace citadel::jobs
