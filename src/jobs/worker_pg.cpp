#include "jobs/worker.hpp"

#include "pg/guard.hpp"

#include <cstring>
#include <map>

extern "C" {
#include "commands/extension.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/latch.h"
#include "storage/procsignal.h"
#include "tcop/tcopprot.h"
#include "utils/wait_event.h"
}

namespace citadel::jobs::worker {

namespace {

constexpr TimestampTz log_pause_us = 60 * TimestampTz{1000000};
constexpr std::size_t remembered_messages = 50;

struct Logged {
    TimestampTz at = 0;
    int suppressed = 0;
};

int reload_count = 0;

void set_option(const char* name, const char* value) {
    SetConfigOption(name, value, PGC_SUSET, PGC_S_OVERRIDE);
}

} // namespace

BackgroundWorkerHandle* start(const char* type, const char* name, const char* function, shared::Ticket ticket) {
    BackgroundWorker description{};
    strlcpy(description.bgw_type, type, BGW_MAXLEN);
    strlcpy(description.bgw_name, name, BGW_MAXLEN);
    description.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
    description.bgw_start_time = BgWorkerStart_RecoveryFinished;
    description.bgw_restart_time = BGW_NEVER_RESTART;
    strlcpy(description.bgw_library_name, "citadel_opt", sizeof(description.bgw_library_name));
    strlcpy(description.bgw_function_name, function, sizeof(description.bgw_function_name));
    description.bgw_main_arg = Int32GetDatum(ticket.index);
    std::memcpy(description.bgw_extra, &ticket.generation, sizeof(ticket.generation));
    description.bgw_notify_pid = MyProcPid;
    BackgroundWorkerHandle* handle = nullptr;
    const bool registered = pg::guard([&description, &handle] {
        const MemoryContext before = MemoryContextSwitchTo(TopMemoryContext);
        const bool done = RegisterDynamicBackgroundWorker(&description, &handle);
        MemoryContextSwitchTo(before);
        return done;
    });
    return registered ? handle : nullptr;
}

bool has_ended(BackgroundWorkerHandle* handle) {
    pid_t pid = 0;
    if (GetBackgroundWorkerPid(handle, &pid) != BGWH_STOPPED)
        return false;
    pfree(handle);
    return true;
}

shared::Ticket own_ticket() {
    shared::Ticket ticket;
    ticket.index = DatumGetInt32(MyBgworkerEntry->bgw_main_arg);
    std::memcpy(&ticket.generation, MyBgworkerEntry->bgw_extra, sizeof(ticket.generation));
    return ticket;
}

void take_signals() {
    pqsignal(SIGHUP, SignalHandlerForConfigReload);
    pqsignal(SIGTERM, die);
    pqsignal(SIGINT, StatementCancelHandler);
    BackgroundWorkerUnblockSignals();
}

void connect(Oid database, const char* application_name) {
    pg::guard([database, application_name] {
        BackgroundWorkerInitializeConnectionByOid(database, InvalidOid, 0);
        // ALTER DATABASE ... SET and ALTER ROLE ... SET reach workers too.
        set_option("role", "none");
        set_option("search_path", "pg_catalog, pg_temp");
        set_option("default_transaction_read_only", "off");
        set_option("default_transaction_isolation", "read committed");
        set_option("default_transaction_deferrable", "off");
        set_option("session_replication_role", "origin");
        set_option("row_security", "on");
        set_option("lock_timeout", "0");
        if (GetConfigOption("transaction_timeout", true, false) != nullptr) // not in every version
            set_option("transaction_timeout", "0");
        set_option("check_function_bodies", "on");
        set_option("DateStyle", "ISO, YMD");
        set_option("IntervalStyle", "postgres");
        set_option("extra_float_digits", "1");
        // What we run ourselves is not the database's workload.
        if (GetConfigOption("pg_stat_statements.track", true, false) != nullptr)
            set_option("pg_stat_statements.track", "none");
        set_option("application_name", application_name);
        pgstat_report_appname(application_name);
    });
}

void connect_to_none() {
    pg::guard([] { BackgroundWorkerInitializeConnection(nullptr, nullptr, 0); });
}

bool extension_present() {
    return pg::guard([] { return get_extension_oid("citadel_opt", true) != InvalidOid; });
}

bool take_reload() {
    if (!ConfigReloadPending)
        return false;
    ConfigReloadPending = false;
    ++reload_count;
    pg::guard([] { ProcessConfigFile(PGC_SIGHUP); });
    return true;
}

bool wait(long milliseconds) {
    // A wait for a lock resets the latch that told of it.
    const long patience = ConfigReloadPending ? 0 : milliseconds;
    const int events = pg::guard([patience] {
        const int woken =
            WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, patience, PG_WAIT_EXTENSION);
        ResetLatch(MyLatch);
        CHECK_FOR_INTERRUPTS();
        return woken;
    });
    return take_reload() || (events & WL_LATCH_SET) != 0;
}

int reloads() {
    return reload_count;
}

void log_rarely(const std::string& message, const std::string& hint) noexcept {
    try {
        static std::map<std::string, Logged> seen;
        if (seen.size() > remembered_messages)
            seen.clear();
        Logged& entry = seen[message];
        const TimestampTz now = GetCurrentTimestamp();
        if (entry.at != 0 && now >= entry.at && now - entry.at < log_pause_us) {
            ++entry.suppressed;
            return;
        }
        const int suppressed = entry.suppressed;
        entry = {now, 0};
        const char* text = message.c_str();
        const char* advice = hint.c_str();
        pg::guard([=] {
            ereport(LOG, (errmsg("citadel_opt: %s", text), *advice != '\0' ? errhint("%s", advice) : 0,
                          suppressed > 0 ? errdetail("Said %d more times in the last minute.", suppressed) : 0));
        });
    } catch (...) { // out of memory: the counters in shared memory still tell
    }
}

} // namespace citadel::jobs::worker
