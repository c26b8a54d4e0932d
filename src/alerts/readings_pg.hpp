// Reading all figures, inside the tick.
#pragma once

#include "pg/server.hpp"

#include <set>
#include <string>

namespace citadel::alerts {

// Reads every figure, each in a subtransaction of its own, and replaces citadel.figure_value by what was read. Returns
// the names of the figures that could not be read; why is in citadel.figure_failure.
std::set<std::string> read_figures(TimestampTz now);

} // namespace citadel::alerts
