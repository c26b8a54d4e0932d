// What other rooms' and our own SQL functions ask for at the end of the current transaction.
#pragma once

namespace citadel::jobs {

// Chains ProcessUtility_hook and listens to the ends of transactions; at preload.
void install_utility_hook();

// When this transaction commits, the scheduler of this database looks at its jobs.
void wake_scheduler_at_commit();

} // namespace citadel::jobs
