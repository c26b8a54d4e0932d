// A snapshot for the length of a scope.
#pragma once

#include "pg/guard.hpp"

extern "C" {
#include "utils/snapmgr.h"
}

namespace citadel::pg {

// For code that runs where there is none: a procedure outside a transaction block, between two commits. On the way of
// an error the transaction's abort pops it.
class ActiveSnapshot {
  public:
    ActiveSnapshot() {
        guard([] { PushActiveSnapshot(GetTransactionSnapshot()); });
    }
    ActiveSnapshot(const ActiveSnapshot&) = delete;
    ActiveSnapshot& operator=(const ActiveSnapshot&) = delete;
    ~ActiveSnapshot() {
        if (ActiveSnapshotSet())
            PopActiveSnapshot();
    }
};

} // namespace citadel::pg
