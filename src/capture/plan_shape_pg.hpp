// Identity of a plan: a hash of its tree that is the same for all constants and all sets of partitions.
//
// Tables and indexes go into it by OID, as they do into the query_id that it stands beside: OIDs survive restarts and
// pg_upgrade, need no catalogue (which is out of reach when a statement has failed), and tell apart what has the same
// name in two schemas. What gets a new OID is another plan: an index after REINDEX CONCURRENTLY, everything after a
// dump and restore.
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
