#include "pg/subtransaction.hpp"

namespace citadel::pg {

SubtransactionScope::SubtransactionScope() : memory_(CurrentMemoryContext), owner_(CurrentResourceOwner) {
    const MemoryContext memory = memory_;
    guard([memory] {
        BeginInternalSubTransaction(nullptr);
        // The work runs in the caller's memory: what it allocates outlives the subtransaction.
        MemoryContextSwitchTo(memory);
    });
}

void SubtransactionScope::commit() {
    guard([] { ReleaseCurrentSubTransaction(); });
    open_ = false;
    MemoryContextSwitchTo(memory_);
    CurrentResourceOwner = owner_;
}

SubtransactionScope::~SubtransactionScope() {
    if (!open_)
        return;
    MemoryContextSwitchTo(memory_);
    // A roll-back that itself fails escalates inside the server (PANIC or FATAL); there is nothing to return to.
    RollbackAndReleaseCurrentSubTransaction();
    MemoryContextSwitchTo(memory_);
    CurrentResourceOwner = owner_;
}

} // namespace citadel::pg
