// Legal holds: what must be neither moved nor dropped.
//
// The rule of everybody who takes rows away: in the transaction that does it, lock_holds() first, then look, then act.
// A hold that is placed meanwhile waits for the end of that transaction, or that transaction waits for it.
#pragma once

#include "lifecycle/model.hpp"
#include "pg/server.hpp"

#include <string>

namespace citadel::lifecycle {

// Keeps new holds from being placed until the transaction ends. Before any lock on the tables concerned.
void lock_holds();

// Why the rows of `partition` (a partition of the policy's table, attached or not any more), which lie in [lower,
// upper), are held; empty when they are not. A hold with a predicate counts only if the partition has such a row, which
// is looked up as the partition's owner. A predicate that fails holds everything: better kept than lost.
std::string holds_on(const Policy& policy, Oid partition, Place lower, Place upper, const Zone& zone);

// An SQL condition over the columns of the policy's table that is true for held rows; empty when there are none. To be
// run as the owner.
std::string held_condition(const Policy& policy);

} // namespace citadel::lifecycle
