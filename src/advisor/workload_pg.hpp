// The workload as it was captured.
#pragma once

#include "advisor/planner_costs_pg.hpp"

#include <map>
#include <vector>

namespace citadel::advisor {

struct CapturedWorkload {
    std::vector<WorkloadStatement> statements; // heaviest first
    std::size_t left_out = 0;                  // beyond the heaviest
};

// Statements of the last 7 days that the current user may see, with calls and load from pg_stat_statements' deltas and
// our own samples, and the parameter values that are still known. Reads citadel's tables through SPI.
CapturedWorkload captured_workload();

} // namespace citadel::advisor
