// DDL, from the hooks to citadel.ddl_log.
#pragma once

#include <cstdint>

namespace citadel::history {

// At preload: shared memory, hooks and callbacks. `read_here` says cheaply whether a scheduler reads this database.
void install_ddl_log(bool (*read_here)());

// In the scheduler: what was committed since the last time, into citadel.ddl_log. What was taken out of shared memory
// is kept in this process until the transaction has ended.
void store_ddl();
void ddl_ended(bool committed) noexcept;

// Notes that were lost since the server started.
std::uint64_t missed_ddl();

} // namespace citadel::history
