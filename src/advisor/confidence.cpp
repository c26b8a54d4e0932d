#include "advisor/confidence.hpp"

#include <algorithm>
#include <cstdio>

namespace citadel::advisor {

Confidence confidence_of(const ConfidenceFacts& facts) {
    Confidence confidence;
    const auto lower = [&](double factor, std::string reason) {
        confidence.value *= factor;
        confidence.reasons.push_back(std::move(reason));
    };
    const auto share_of_gain = [](double share) {
        char text[32];
        std::snprintf(text, sizeof text, "%.0f %% of the gain", share * 100.0);
        return std::string(text);
    };
    const double known = std::clamp(facts.known_values, 0.0, 1.0);
    if (known < 0.995)
        lower(0.7 + 0.3 * known, share_of_gain(1.0 - known) + " was planned without known values");
    const double measured = std::clamp(facts.measured, 0.0, 1.0);
    if (measured < 0.995)
        lower(0.8 + 0.2 * measured, share_of_gain(1.0 - measured) + " is of statements whose load was not measured");
    if (facts.doubtful_statistics)
        lower(0.6, "the table's statistics are missing or stale");
    if (facts.estimates == ConfidenceFacts::Estimates::unseen)
        lower(0.9, "no run of these statements had its rows counted");
    if (facts.estimates == ConfidenceFacts::Estimates::wrong)
        lower(0.6, "counted runs of these statements had ten times more or fewer rows than planned");
    return confidence;
}

} // namespace citadel::advisor
