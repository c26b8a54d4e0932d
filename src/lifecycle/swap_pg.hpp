// The one moment of a conversion that others wait for: the old table becomes the first partition of a new one.
#pragma once

#include "lifecycle/model.hpp"
#include "pg/server.hpp"

#include <map>
#include <string>

namespace citadel::lifecycle::plain {

struct Swap {
    const Policy& policy;
    Place upper = open_high;                // of the first partition
    std::string check;                      // name of the validated constraint that proves it
    std::map<Oid, std::string> longer_keys; // unique index without the time column -> index that has it
};

struct Swapped {
    Oid parent = InvalidOid;
    std::string partition;    // what the old table is called now, qualified
    std::int64_t held_us = 0; // how long the exclusive lock was held, up to just before the commit
};

// In one transaction, under the caller's lock_timeout. Everything that hangs on the table is made on the new one before
// the lock is taken, or renamed and linked under it; nothing is scanned.
Swapped swap(const Swap& swap);

} // namespace citadel::lifecycle::plain
