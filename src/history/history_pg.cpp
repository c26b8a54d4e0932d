// The ticks, how their sources fare, and citadel.collect(), which asks the scheduler to run them now.
//
// The capture buffer has one reader, the scheduler, so collect() cannot do the work itself: it leaves a request in
// shared memory, wakes the scheduler and waits until the transactions that answered it have committed.
#include "pg/server.hpp"

#include "capture/capture.hpp"
#include "history/attribution_pg.hpp"
#include "history/ddl_log_pg.hpp"
#include "history/history.hpp"
#include "history/settings_log_pg.hpp"
#include "history/tasks_pg.hpp"
#include "jobs/jobs.hpp"
#include "jobs/schedule.hpp"
#include "pg/boundary.hpp"
#include "pg/clock.hpp"
#include "pg/preload.hpp"
#include "pg/shared_memory.hpp"
#include "pg/spi.hpp"
#include "pg/subtransaction.hpp"
#include "settings/settings.hpp"

#include <map>

extern "C" {
#include "storage/latch.h"
#include "storage/proc.h"
#include "storage/procarray.h"
#include "utils/wait_event.h"
}

namespace citadel::history {

namespace {

constexpr int snapshot_period_ms = 60 * 1000;
constexpr int statements_period_ms = 5000; // looks whether a minute is over
constexpr const char* memory_name = "citadel_opt history";

// Requests to the scheduler of one database, numbered: what it has answered is up to which number.
struct Desk {
    Oid database;
    int scheduler_pid; // 0: free
    uint64 asked, drained, snapped;
};

Desk* desks = nullptr;
LWLock* desk_lock = nullptr;

int desk_count() {
    return max_worker_processes; // no more schedulers than that
}

std::size_t memory_size() {
    return sizeof(Desk) * static_cast<std::size_t>(desk_count());
}

void attach(void* memory, bool fresh) {
    desks = static_cast<Desk*>(memory);
    if (fresh)
        memset(memory, 0, memory_size());
    desk_lock = pg::guard([] { return &GetNamedLWLockTranche(memory_name)->lock; });
}

Desk* own_desk = nullptr;
// Requests that the transaction now running answers.
uint64 answering_drain = 0;
uint64 answering_snapshot = 0;

void give_back_desk(int, Datum) {
    LWLockAcquire(desk_lock, LW_EXCLUSIVE);
    own_desk->scheduler_pid = 0;
    LWLockRelease(desk_lock);
}

void transaction_ended(XactEvent event, void*) {
    if (event != XACT_EVENT_COMMIT && event != XACT_EVENT_ABORT)
        return;
    const bool committed = event == XACT_EVENT_COMMIT;
    if (committed && (answering_drain > 0 || answering_snapshot > 0)) {
        LWLockAcquire(desk_lock, LW_EXCLUSIVE);
        own_desk->drained = Max(own_desk->drained, answering_drain);
        own_desk->snapped = Max(own_desk->snapped, answering_snapshot);
        LWLockRelease(desk_lock);
    }
    answering_drain = answering_snapshot = 0;
    drain_ended(committed);
    ddl_ended(committed);
    counted_runs_ended(committed);
}

// In the scheduler, at its first tick.
void take_desk() {
    if (own_desk != nullptr)
        return;
    LWLockAcquire(desk_lock, LW_EXCLUSIVE);
    Desk* found = nullptr;
    for (Desk* desk = desks; desk != desks + desk_count(); ++desk) {
        if (desk->database == MyDatabaseId) {
            found = desk;
            break;
        }
        if (desk->scheduler_pid == 0 && found == nullptr)
            found = desk;
    }
    if (found != nullptr) {
        if (found->database != MyDatabaseId)
            *found = Desk{MyDatabaseId, 0, 0, 0, 0};
        found->scheduler_pid = MyProcPid;
    }
    LWLockRelease(desk_lock);
    if (found == nullptr)
        pg::raise(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED, "no place left for requests to the scheduler");
    own_desk = found;
    pg::guard([] {
        before_shmem_exit(give_back_desk, 0);
        RegisterXactCallback(transaction_ended, nullptr);
    });
}

uint64 requests() {
    LWLockAcquire(desk_lock, LW_SHARED);
    const uint64 asked = own_desk->asked;
    LWLockRelease(desk_lock);
    return asked;
}

// Before the minutes in which they make a difference.
void store_changes() {
    store_ddl();
    store_setting_changes();
}

void drain_tick() {
    take_desk();
    answering_drain = requests();
    drain();
    if (answering_drain > own_desk->drained) {
        store_changes();
        store_counted_runs(true);
    }
}

void snapshot_tick() {
    take_desk();
    answering_snapshot = requests();
    snapshot(answering_snapshot > own_desk->snapped);
}

void statements_tick() {
    take_desk();
    watch_waits(pg::now());
    store_changes();
    store_counted_runs(false);
}

bool drain_urgent() {
    // Not the bytes of the whole buffer: samples share it with texts, and would be full before it is half full.
    return (own_desk != nullptr && own_desk->asked > own_desk->drained) || capture::samples_half_full();
}

bool snapshot_urgent() {
    return own_desk != nullptr && own_desk->asked > own_desk->snapped;
}

// In any backend. When the lock is busy the answer is yes: nobody waits for it.
bool scheduler_reads_here() {
    if (desks == nullptr || !LWLockConditionalAcquire(desk_lock, LW_SHARED))
        return desks != nullptr;
    bool found = false;
    for (const Desk* desk = desks; desk != desks + desk_count() && !found; ++desk)
        found = desk->database == MyDatabaseId && desk->scheduler_pid != 0;
    LWLockRelease(desk_lock);
    return found;
}

// --- citadel.collect()

Desk* desk_of_this_database() {
    Desk* found = nullptr;
    LWLockAcquire(desk_lock, LW_SHARED);
    for (Desk* desk = desks; desk != desks + desk_count() && found == nullptr; ++desk)
        if (desk->database == MyDatabaseId && desk->scheduler_pid != 0)
            found = desk;
    LWLockRelease(desk_lock);
    return found;
}

uint64 ask(Desk* desk) {
    LWLockAcquire(desk_lock, LW_EXCLUSIVE);
    const uint64 number = ++desk->asked;
    const int pid = desk->scheduler_pid;
    LWLockRelease(desk_lock);
    pg::guard([pid] {
        PGPROC* scheduler = pid == 0 ? nullptr : BackendPidGetProc(pid);
        if (scheduler != nullptr)
            SetLatch(&scheduler->procLatch);
    });
    return number;
}

bool answered(const Desk* desk, uint64 number) {
    LWLockAcquire(desk_lock, LW_SHARED);
    const bool done = desk->database != MyDatabaseId || (desk->drained >= number && desk->snapped >= number);
    LWLockRelease(desk_lock);
    return done;
}

void collect(TimestampTz deadline) {
    pg::require_preload("citadel.collect()");
    Desk* const desk = desk_of_this_database();
    if (desk == nullptr)
        pg::raise(
            ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, "no scheduler of citadel_opt is running in this database", {},
            "It starts within a minute of CREATE EXTENSION, if citadel_opt.enabled is on and citadel_opt.databases "
            "allows this database.");
    capture::flush_counted_runs();
    const uint64 number = ask(desk);
    while (!answered(desk, number)) {
        if (GetCurrentTimestamp() >= deadline)
            pg::raise(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, "the scheduler did not answer in time", {},
                      "citadel.snapshot_state and the server's log may say why.");
        pg::guard([] {
            (void)WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, 20, PG_WAIT_EXTENSION);
            ResetLatch(MyLatch);
            CHECK_FOR_INTERRUPTS();
        });
    }
}

} // namespace

bool restore_in_progress() {
    static bool over = false;
    if (over)
        return false;
    pg::Spi spi;
    over = spi.query("SELECT 1 FROM citadel.installation i, pg_stat_get_activity(i.backend_pid) a "
                     "WHERE i.by_restore AND a.backend_start = i.backend_start")
               .empty();
    return !over;
}

bool record_source(const char* source, TimestampTz at, const std::function<void()>& work) {
    const auto error = pg::try_subtransaction(work);
    static std::map<std::string, std::string> last_failures;
    std::string& last_failure = last_failures[source];
    const std::string failure = error ? error->what() : "";
    pg::Spi spi;
    if (failure.empty())
        spi.execute("INSERT INTO citadel.snapshot_state (source, last_at, timeline) VALUES ($1, $2, "
                    "left(pg_walfile_name(pg_current_wal_lsn()), 8)) ON CONFLICT (source) DO UPDATE SET last_at = "
                    "excluded.last_at, timeline = excluded.timeline, failed_at = NULL, failure = NULL",
                    {pg::arg(source), pg::arg_timestamptz(at)});
    else
        spi.execute(
            "INSERT INTO citadel.snapshot_state (source, failed_at, failure) VALUES ($1, $2, $3) ON CONFLICT (source) "
            "DO UPDATE SET failed_at = excluded.failed_at, failure = excluded.failure",
            {pg::arg(source), pg::arg_timestamptz(at), pg::arg(failure)});
    if (!failure.empty() && failure != last_failure) {
        const char* message = failure.c_str();
        pg::guard([=] { ereport(LOG, (errmsg("citadel_opt could not read or store %s: %s", source, message))); });
    }
    last_failure = failure;
    return failure.empty();
}

void install() {
    pg::register_shared_memory({memory_name, memory_size, attach, 1});
    install_ddl_log(scheduler_reads_here);
    jobs::register_tick({"drain", drain_tick, [] { return settings::sample_interval_s * 1000; }, drain_urgent});
    jobs::register_tick({"statements", statements_tick, [] { return statements_period_ms; }});
    jobs::register_tick({"snapshot", snapshot_tick, [] { return snapshot_period_ms; }, snapshot_urgent});
}

} // namespace citadel::history

CITADEL_FUNCTION(citadel_history_clock) {
    PG_RETURN_TIMESTAMPTZ(citadel::pg::now());
}

// citadel.collect(timeout interval)
CITADEL_FUNCTION(citadel_collect) {
    const Interval* timeout = PG_ARGISNULL(0) ? nullptr : PG_GETARG_INTERVAL_P(0);
    const std::int64_t length =
        timeout == nullptr ? 0 : citadel::jobs::interval_length(timeout->month, timeout->day, timeout->time);
    if (length <= 0)
        citadel::pg::raise(ERRCODE_INVALID_PARAMETER_VALUE, "timeout must be a positive interval");
    const TimestampTz now = GetCurrentTimestamp();
    citadel::history::collect(length > PG_INT64_MAX - now ? PG_INT64_MAX : now + length);
    PG_RETURN_VOID();
}
