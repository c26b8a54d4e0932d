// Whether rows may be moved at the moment, as far as the whole server is concerned.
#pragma once

#include "pg/server.hpp"

#include <cstdint>
#include <string>

namespace citadel::lifecycle {

// Why nothing should be moved now: a standby lags by more than citadel_opt.lifecycle_max_lag, or more WAL files than
// citadel_opt.lifecycle_max_wal_backlog wait to be archived. Empty: go on. A few hundred microseconds, so not after
// each batch of a fast series.
std::string brake();

// Transactions that the whole cluster has committed or rolled back so far, about a second ago.
std::int64_t transactions_so_far();

} // namespace citadel::lifecycle
