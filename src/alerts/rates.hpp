// Counters into rates: what figures that count upwards have grown by since the last reading.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>

namespace citadel::alerts {

using FigureSubject = std::pair<std::string, std::string>; // figure, subject

// Keeps the last reading of each counter. Times are microseconds of one clock.
class Rates {
  public:
    // Growth a minute since the last reading; nothing at the first one, and when the clock did not go forward. A
    // counter that is lower than before was reset, and counts from zero.
    std::optional<double> per_minute(const FigureSubject& of, double counter, std::int64_t now_us);
    // Growth of `part` / growth of `total`. Below `smallest_total` they go on growing until it is reached, and the
    // answer is the one of before.
    std::optional<double> share(const FigureSubject& of, double part, double total);

    static constexpr double smallest_total = 50;
    static constexpr std::size_t most_kept = 20000; // beyond it everything is forgotten and begins anew

  private:
    struct Last {
        double value = 0;
        double total = 0;
        std::int64_t at_us = 0;
        std::optional<double> answer;
    };
    Last* known(const FigureSubject& of, const Last& first);
    std::map<FigureSubject, Last> last_;
};

} // namespace citadel::alerts
