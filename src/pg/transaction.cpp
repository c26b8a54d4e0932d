#include "pg/transaction.hpp"

#include "pg/guard.hpp"

extern "C" {
#include "pgstat.h"
#include "utils/backend_status.h"
#include "utils/snapmgr.h"
}

namespace citadel::pg {

Transaction::Transaction(const char* activity) {
    guard([activity] {
        SetCurrentStatementStartTimestamp();
        StartTransactionCommand();
        PushActiveSnapshot(GetTransactionSnapshot());
        pgstat_report_activity(STATE_RUNNING, activity);
    });
}

void Transaction::commit() {
    guard([] {
        if (ActiveSnapshotSet())
            PopActiveSnapshot();
        CommitTransactionCommand();
        pgstat_report_stat(false);
        pgstat_report_activity(STATE_IDLE, nullptr);
    });
    open_ = false;
}

Transaction::~Transaction() {
    if (!open_)
        return;
    // AbortCurrentTransaction escalates by itself if even that fails.
    AbortCurrentTransaction();
    pgstat_report_activity(STATE_IDLE, nullptr);
}

} // namespace citadel::pg
