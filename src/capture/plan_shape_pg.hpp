// Identity of a plan: a hash of its tree that is the same for all constants and all sets of partitions.
#pragma once

#include "pg/server.hpp"

extern "C" {
#include "nodes/plannodes.h"
}

#include <cstdint>

namespace citadel::capture {

struct PlanShape {
    std::uint64_t id = 0;
    int nodes = 0;
};

// Reads the plan alone: no catalogue, no allocation, no error. Good on the error path.
PlanShape plan_shape(const PlannedStmt* plan);

} // namespace citadel::capture
