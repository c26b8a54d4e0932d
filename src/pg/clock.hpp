// The clock and the fault points that tests can move and arm.
#pragma once

#include "pg/server.hpp"

namespace citadel::pg {

// Current time, shifted by citadel_opt.debug_clock_offset.
TimestampTz now();

// Tells the clock where its offset (milliseconds) lives; the settings own the variable.
void set_clock_offset_source(const int* milliseconds);

} // namespace citadel::pg
