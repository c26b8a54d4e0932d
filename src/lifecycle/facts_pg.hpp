// What a plan needs to know, read from the catalogue and, as the owner, from the table.
#pragma once

#include "lifecycle/plan.hpp"
#include "pg/server.hpp"

namespace citadel::lifecycle {

// `impatient`: pauses after failures do not count, because somebody asked for this run. Called as superuser.
Facts gather(const Policy& policy, const Zone& zone, bool impatient);

// Rows in the default partition, counted up to a million; -1 without one.
std::int64_t count_default_rows(const Policy& policy);

// The plan of a policy, whatever its table is: partitioned or plain.
std::vector<Step> plan_of(const Policy& policy, bool impatient);

} // namespace citadel::lifecycle
