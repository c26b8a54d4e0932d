// Hours of the day in which something is allowed: "22:00-05:30".
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>

namespace citadel::jobs {

// As minutes of the day; nothing when it is not of that form, or both are the same. 24:00 may be the end.
std::optional<std::pair<int, int>> parse_hours(const std::string& text);
// Whether a local time (microseconds since midnight of some day) lies in the hours; they may go past midnight.
bool within_hours(const std::pair<int, int>& hours, std::int64_t local_us);

} // namespace citadel::jobs
