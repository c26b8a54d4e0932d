// The part of the job `maintain` that looks after users' tables.
#pragma once

#include <cstdint>

namespace citadel::maintenance {

// Writes down what tables need; in mode act, does what may be done by itself, in the allowed hours. Commits in between.
void look_after_tables(std::int64_t run_id);

} // namespace citadel::maintenance
