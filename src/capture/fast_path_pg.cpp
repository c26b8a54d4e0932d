// What it costs a statement is the update of one entry of a table in this process (local_deltas.hpp). As a rule no
// clock is read: the run was timed anyway, and when it ended follows from the time at which the statement came in.
// Every statement_flush_interval, or when the table is full, the delta is added to the shared table; a lock that is
// held by somebody else means: next time.
//
// A session that goes idle has nothing that runs any more, so a timer is set when there is something to flush and none
// is running: one system call an interval. Its handler does the flush itself. It is memory work alone, under locks that
// are only tried, and it leaves the table alone when it finds that it interrupted a change of it.
#include "capture/fast_path_pg.hpp"

#include "capture/local_deltas.hpp"
#include "capture/overhead_pg.hpp"
#include "capture/plan_identity_pg.hpp"
#include "capture/shared_pg.hpp"
#include "pg/shared_memory.hpp"
#include "settings/settings.hpp"

extern "C" {
#include "executor/instrument.h"
#include "storage/ipc.h"
#include "utils/timeout.h"
}

#include <atomic>
#include <csignal>

namespace citadel::capture {

namespace {

StatementTable* table = nullptr;
LocalDeltas deltas;
volatile std::sig_atomic_t changing = 0;     // the table of this process, at the moment
volatile std::sig_atomic_t flush_wanted = 0; // the timer went off meanwhile
std::int64_t flush_due = 0;                  // by the time at which statements end
bool prepared = false;                       // the timer is registered
bool run_failed = false;                     // the error that is under way has been counted with its run

// Timeouts that extensions may register are ten for all of them, and whoever asks for the eleventh loses its session
// (FATAL). This one is the startup process's own, which no session ever is, and nobody else's.
constexpr TimeoutId timer = STARTUP_PROGRESS_TIMEOUT;

constexpr int patient = 1000;
constexpr std::int64_t no_time = 0;
constexpr double clock_is_cheap_ms = 100; // for a run that took so long

std::size_t wanted_bytes() {
    return static_cast<std::size_t>(settings::statement_buffer_kb) * 1024;
}

std::size_t table_size() {
    return StatementTable::size_for(wanted_bytes());
}

void attach(void* memory, bool fresh) {
    table = fresh ? StatementTable::create(memory, wanted_bytes()) : static_cast<StatementTable*>(memory);
}

void move(int place, int tries) {
    flush_wanted = 0;
    if (place >= 0) // else nobody reads this database: it stays here, and that is bounded
        deltas.flush([place, tries](LocalDelta& delta) { (void)table->add(delta, place, tries); });
}

void flush(int place, int tries) {
    meter.in_full([place, tries] { move(place, tries); });
}

void timer_went_off() {
    if (changing != 0)
        flush_wanted = 1;
    else { // captured_database() may have been interrupted, and so may the meter
        const std::int64_t from = pg::monotonic_ns();
        move(shared_buffer()->find_database(MyDatabaseId), patient);
        shared_overhead()->own_ns.fetch_add(static_cast<std::uint64_t>(pg::monotonic_ns() - from),
                                            std::memory_order_relaxed);
    }
}

void process_ends(int, Datum) {
    changing = 1;
    flush(captured_database(), patient);
    meter.report();
}

void set_timer() {
    if (!prepared) {
        prepared = true;
        before_shmem_exit(process_ends, 0);
        if (IsUnderPostmaster)
            RegisterTimeout(timer, timer_went_off);
    }
    if (IsUnderPostmaster) // else this process is the startup process, too
        enable_timeout_after(timer, settings::statement_flush_ms);
}

void count(const DeltaKey& key, const Run& run, std::int64_t ended_at) {
    changing = 1;
    std::atomic_signal_fence(std::memory_order_seq_cst);
    if (!deltas.count(key, run)) {
        flush(captured_database(), 1);
        deltas.count_anyway(key, run);
    }
    // Also when the clock was put back.
    const std::int64_t interval = static_cast<std::int64_t>(settings::statement_flush_ms) * 1000;
    if (flush_wanted != 0 || ended_at >= flush_due || ended_at + interval < flush_due) {
        flush(captured_database(), 1);
        flush_due = ended_at + interval;
    }
    std::atomic_signal_fence(std::memory_order_seq_cst);
    changing = 0;
    // An error takes all timers away, so it is asked for and not remembered.
    if (deltas.pending() && (!prepared || !get_timeout_active(timer)))
        set_timer();
}

// From the statement's own start and how long its run took, while that tells: the start is the outer statement's in a
// function, and the string's for those behind its first; a cursor has run in other statements, too; and a worker may
// never have said when its statements start.
std::int64_t end_of(bool alone, double duration_ms) {
    const std::int64_t offset = static_cast<std::int64_t>(settings::debug_clock_offset_ms) * 1000;
    if (!alone || duration_ms >= clock_is_cheap_ms || MyBackendType == B_BG_WORKER)
        return GetCurrentTimestamp() + offset;
    return GetCurrentStatementStartTimestamp() + static_cast<std::int64_t>(duration_ms * 1000) + offset;
}

std::int64_t end_of(const Watched& watched, double duration_ms) {
    return end_of(!watched.nested && watched.location <= 0, duration_ms);
}

DeltaKey key_of(const Watched& watched, std::uint64_t plan_id, std::int64_t ended_at) {
    return {watched.query_id,
            plan_id,
            MyDatabaseId,
            watched.user,
            static_cast<std::uint32_t>(ended_at > no_time ? ended_at / USECS_PER_MINUTE : 0),
            watched.nested ? 1U : 0U};
}

Run run_of(double duration_ms, int sqlstate, std::uint32_t weight) {
    Run run;
    run.runs = weight;
    run.figures.calls = weight;
    run.figures.errors = sqlstate != 0 ? weight : 0;
    run.figures.max_ms = duration_ms;
    run.figures.total_ms = duration_ms * weight;
    run.error_class = static_cast<std::uint32_t>(ERRCODE_TO_CATEGORY(sqlstate));
    run.bucket = latency_bucket(duration_ms);
    return run;
}

} // namespace

StatementTable* shared_statements() {
    return table;
}

void register_statements() {
    pg::register_shared_memory({"citadel_opt statements", table_size, attach, 0});
}

void count_run(const Watched& watched, double duration_ms, int sqlstate) {
    Run run = run_of(duration_ms, sqlstate, watched.weight);
    if (const Instrumentation* total = watched.query->totaltime; total != nullptr) {
        const BufferUsage& use = total->bufusage;
        run.figures.rows = static_cast<std::uint64_t>(total->ntuples + total->tuplecount) * watched.weight;
        run.figures.shared_hit = static_cast<std::uint64_t>(use.shared_blks_hit) * watched.weight;
        run.figures.shared_read = static_cast<std::uint64_t>(use.shared_blks_read) * watched.weight;
        run.figures.temp_blocks =
            static_cast<std::uint64_t>(use.temp_blks_read + use.temp_blks_written) * watched.weight;
    }
    const std::int64_t ended_at = end_of(watched, duration_ms);
    const std::uint64_t plan = watched.plan_id != 0 ? watched.plan_id : plan_identity(watched.query->plannedstmt);
    count(key_of(watched, plan, ended_at), run, ended_at);
}

void count_rolled_back(const Watched& watched) {
    Run run = run_of(watched.run_ms, 0, watched.weight);
    run.figures.rows = static_cast<std::uint64_t>(watched.rows) * watched.weight;
    const std::int64_t ended_at = end_of(watched, watched.run_ms);
    count(key_of(watched, watched.plan_id, ended_at), run, ended_at);
}

void error_of_a_run() {
    run_failed = true;
}

void errors_are_over() {
    run_failed = false;
}

// The timer is left alone: the transaction will be aborted, which flushes.
void count_error(int sqlstate) {
    if (run_failed) { // a savepoint may be rolled back to: the next error is another one
        run_failed = false;
        return;
    }
    if (changing != 0 || captured_database() < 0)
        return;
    changing = 1;
    std::atomic_signal_fence(std::memory_order_seq_cst);
    const std::int64_t at = end_of(false, 0);
    DeltaKey key;
    key.database = MyDatabaseId;
    key.minute = static_cast<std::uint32_t>(at > no_time ? at / USECS_PER_MINUTE : 0);
    deltas.count_error(key, static_cast<std::uint32_t>(ERRCODE_TO_CATEGORY(sqlstate)));
    std::atomic_signal_fence(std::memory_order_seq_cst);
    changing = 0;
}

void flush_statements() {
    changing = 1;
    flush(captured_database(), patient);
    changing = 0;
}

} // namespace citadel::capture
