// The steps of an expiring partition: detach -> shut out writers -> archive -> verify -> quarantine -> drop, and undo.
//
// Each step commits what it is about to do, does it so that doing it again is harmless, and commits the next state.
#pragma once

#include "lifecycle/model.hpp"
#include "pg/server.hpp"

namespace citadel::lifecycle {

// Takes one step of a plan; in the job `lifecycle` alone. Does nothing when the operation has gone past it. Returns the
// operation's id, also (through `operation_id`) when it throws.
void take_expiry_step(const Policy& policy, const Zone& zone, const Step& step, std::int64_t& operation_id);

// Finishes somebody's interrupted concurrent detach.
void finalize_detach(const Policy& policy, const Step& step);

} // namespace citadel::lifecycle
