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

} // namespace citadel::lifecycle
