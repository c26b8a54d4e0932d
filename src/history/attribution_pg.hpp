// The facts behind a regression, and what they say.
#pragma once

#include "pg/server.hpp"

#include "history/attribution.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace citadel::history {

struct Attributed {
    std::vector<Finding> findings; // never empty
    std::string evidence;          // jsonb, with all figures
};

// Of a statement that became slower at `since`, from what the tables and the catalogue know by `now`.
Attributed attribute_regression(std::int64_t query_id, TimestampTz since, TimestampTz now, double usual_ms, double ms);

// What has to be looked at all the time, because nobody can tell afterwards: which tables were analysed, what
// statements wait for. In the scheduler.
void watch_statistics(TimestampTz now); // when a minute is stored
void watch_waits(TimestampTz now);      // every few seconds

} // namespace citadel::history
