// history: from the capture ring and the server's counters into tables.
#include "pg/boundary.hpp"
#include "pg/clock.hpp"

CITADEL_FUNCTION(citadel_history_clock) {
    PG_RETURN_TIMESTAMPTZ(citadel::pg::now());
}
