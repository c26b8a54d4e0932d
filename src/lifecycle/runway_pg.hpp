// How far the partitions of a table reach.
#pragma once

#include "lifecycle/policy_pg.hpp"

#include <optional>
#include <string>

namespace citadel::lifecycle {

struct Runway {
    std::string status; // active, suspended, copy
    int partitions = 0;
    int ahead = 0;
    std::string covered_until;
    std::optional<double> days_left; // time keys alone
    std::string alarm;               // empty: all is well
};

Runway read_runway(const StoredPolicy& stored);

// Tells the server log of the alarm, if there is one and it was not told within a day.
void warn_of_alarm(const StoredPolicy& stored);

} // namespace citadel::lifecycle
