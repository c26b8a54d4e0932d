// The identity of a plan, worked out once when it is planned and carried by the plan itself.
#pragma once

#include "pg/server.hpp"

extern "C" {
#include "nodes/plannodes.h"
}

#include <cstdint>

namespace citadel::capture {

// At preload: the planner hook.
void install_plan_identity();

// What plan_shape() says of this plan: as noted when it was planned, else worked out now. No allocation, no error.
std::uint64_t plan_identity(const PlannedStmt* plan);

} // namespace citadel::capture
