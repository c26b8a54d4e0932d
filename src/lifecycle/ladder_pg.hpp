// The lock ladder: short tries for a table lock, pauses that grow. Whoever waits for an exclusive lock makes everybody
// behind him wait as well, so a try is given up before that is noticed.
#pragma once

#include "pg/server.hpp"

#include <functional>
#include <string>

namespace citadel::lifecycle {

// Runs `body` in a transaction of its own under a lock_timeout of 0.1 to 0.2 s and commits. When a lock was not to be
// had (or a deadlock was found) it is rolled back and tried again, for citadel_opt.lifecycle_lock_patience in all; then
// 55P03, naming `what`. Other errors are the body's. Only inside a job's run(); what was not committed before is
// committed first.
void climb(const std::string& what, const std::function<void()>& body);

// Sleeps interruptibly.
void pause(long milliseconds);

} // namespace citadel::lifecycle
