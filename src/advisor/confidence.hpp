// How far a recommendation's figures can be relied on.
#pragma once

#include <string>
#include <vector>

namespace citadel::advisor {

struct ConfidenceFacts {
    // Share (0..1) of the gain that comes from statements planned with values that they really ran with.
    double known_values = 0.0;
    // Share of the gain that comes from statements whose load was measured.
    double measured = 0.0;
    // The table's statistics are missing or stale.
    bool doubtful_statistics = false;
    enum class Estimates { confirmed, unseen, wrong }; // row estimates of the statements' plans, against counted rows
    Estimates estimates = Estimates::unseen;
};

struct Confidence {
    double value = 1.0;               // 0..1
    std::vector<std::string> reasons; // why it is not 1; empty when it is
};

// The product of four factors: values 0.7 (none known) to 1; load 0.8 (not measured) to 1; statistics 0.6 when
// doubtful; row estimates 1 when counted rows confirmed them, 0.9 when none were counted, 0.6 when they were off
// tenfold. What the planner does not know (concurrency, cache) is in none of them, so 1 is not certainty.
Confidence confidence_of(const ConfidenceFacts& facts);

} // namespace citadel::advisor
