// What the scheduler saw of analysed tables and of waiting statements.
#pragma once

#include "pg/server.hpp"

#include "history/attribution.hpp"

#include <cstdint>

namespace citadel::history {

// When a new ANALYZE of a table was first seen; 0: none while this process runs.
TimestampTz analyzed_at(Oid table);

// Seconds that a statement was seen running and waiting, by type of wait event, in minutes of the last three hours.
struct SeenWaits {
    double seconds = 0;
    double waiting = 0;
    std::string most; // type of wait event with the most of it
};
SeenWaits waits_between(std::int64_t query_id, TimestampTz from, TimestampTz to);

} // namespace citadel::history
