#include "pg/server.hpp"

#include "capture/hooks_pg.hpp"

#include "capture/fast_path_pg.hpp"
#include "capture/overhead_pg.hpp"
#include "capture/plan_identity_pg.hpp"
#include "capture/random.hpp"
#include "capture/record_pg.hpp"
#include "capture/repeat_table.hpp"
#include "capture/shared_pg.hpp"
#include "pg/clock.hpp"
#include "pg/compat.hpp"
#include "settings/settings.hpp"

extern "C" {
#include "access/parallel.h"
#include "executor/executor.h"
#include "executor/instrument.h"
#include "nodes/parsenodes.h"
#include "postmaster/bgworker.h"
#include "storage/proc.h"
#include "tcop/pquery.h"
#include "tcop/utility.h"
#include "utils/timeout.h"
}

#include <algorithm>
#include <cstring>

// Nothing in this file owns memory or has a destructor: the server's errors jump through these frames.

namespace citadel::capture {

namespace {

ExecutorStart_hook_type previous_start = nullptr;
ExecutorRun_hook_type previous_run = nullptr;
ExecutorFinish_hook_type previous_finish = nullptr;
ExecutorEnd_hook_type previous_end = nullptr;
ProcessUtility_hook_type previous_utility = nullptr;

int nesting = 0;       // executor runs and utility statements that we are inside of
int explain_depth = 0; // EXPLAINs that we are inside of: what they run is not the application's

// The runs being watched: those between ExecutorStart and ExecutorEnd, cursors among them. A run beyond the capacity
// pushes out the oldest.
constexpr int max_watched = 32;
Watched watched_runs[max_watched];
int watched_count = 0;

RepeatTable repeats;
Turns turns; // which runs are watched while others are not, to save time

// DECLARE CURSOR and CREATE TABLE AS plan their query without saying where in the string it stands, and before
// PostgreSQL 18 without an identity: the wrapper is remembered for that.
struct {
    const char* source = nullptr;
    int location = 0;
    int length = 0;
} wrapper;

// Each process draws its own numbers: seeded after the fork.
double draw() {
    static Random random(static_cast<std::uint64_t>(GetCurrentTimestamp()) ^
                         (static_cast<std::uint64_t>(MyProcPid) << 40));
    return random.fraction();
}

Watched* find_watched(const QueryDesc* query) {
    for (int i = watched_count - 1; i >= 0; --i)
        if (watched_runs[i].query == query)
            return &watched_runs[i];
    return nullptr;
}

void forget_watched(Watched* watched) {
    std::move(watched + 1, watched_runs + watched_count, watched);
    --watched_count;
}

// A cursor, say, that went away with its transaction or savepoint: it never came to its ExecutorEnd.
void report_rolled_back(const Watched& watched) {
    if (watched.counted && watched.run_ms > 0)
        count_rolled_back(watched);
    if (watched.slow_ms > 0)
        record_rolled_back(watched);
}

// Our own workers are not the workload.
bool is_own_worker() {
    static int answer = -1;
    if (answer < 0)
        answer =
            MyBgworkerEntry != nullptr && std::strcmp(MyBgworkerEntry->bgw_library_name, "citadel_opt") == 0 ? 1 : 0;
    return answer == 1;
}

// DECLARE CURSOR gives its portal a copy of the string.
bool is_wrapped(const QueryDesc* query) {
    return wrapper.source != nullptr && query->sourceText != nullptr &&
           (wrapper.source == query->sourceText || std::strcmp(wrapper.source, query->sourceText) == 0);
}

// Inside another statement. What a deferred trigger runs at commit has no statement around it any more, but no portal
// either, which a client's own always has. Within a wrapper event triggers and the planner run statements, too.
bool is_nested(const QueryDesc* query) {
    return nesting > 0 || (ActivePortal == nullptr && MyBackendType == B_BACKEND) ||
           (wrapper.source != nullptr && !is_wrapped(query));
}

bool samples_wanted() {
    return settings::slow_query_threshold_ms >= 0 && settings::sample_rate > 0;
}

// Somebody wants to know of the statements of this process.
bool capturing() {
    return settings::enabled && settings::capture && (settings::statement_history || samples_wanted()) &&
           explain_depth == 0 && !IsParallelWorker() && captured_database() >= 0 && !is_own_worker();
}

bool to_be_watched(const QueryDesc* query, int eflags, bool nested, int level) {
    if ((nested && !settings::capture_nested) || (query->plannedstmt->queryId == 0 && !is_wrapped(query)) ||
        (eflags & EXEC_FLAG_EXPLAIN_ONLY) != 0)
        return false;
    return level < shed_to_4 || turns.take(watched_one_in(level));
}

// Like InstrAlloc, but a statement does not fail because there is no memory left to time it. All counters, because
// whoever shares this instrumentation (pg_stat_statements) expects them.
void add_total_time(QueryDesc* query) {
    void* memory = MemoryContextAllocExtended(query->estate->es_query_cxt, sizeof(Instrumentation),
                                              MCXT_ALLOC_NO_OOM | MCXT_ALLOC_ZERO);
    if (memory == nullptr)
        return;
    query->totaltime = static_cast<Instrumentation*>(memory);
    InstrInit(query->totaltime, INSTRUMENT_ALL);
}

// What is known of a run before it starts. False: it is of no interest.
bool describe(Watched& watched, QueryDesc* query, bool nested, int level) {
    watched = Watched{};
    watched.query = query;
    watched.query_id = static_cast<std::uint64_t>(query->plannedstmt->queryId);
    watched.location = query->plannedstmt->stmt_location;
    watched.length = query->plannedstmt->stmt_len;
    watched.user = GetUserId();
    watched.nested = nested;
    watched.weight = watched_one_in(level);
    watched.counted = settings::statement_history;
    watched.sampled = samples_wanted() && (settings::sample_rate >= 1.0 || draw() < settings::sample_rate);
    if (is_wrapped(query)) {
        if (watched.location <= 0 && watched.length <= 0) {
            watched.location = wrapper.location;
            watched.length = wrapper.length;
        }
        if (watched.query_id == 0)
            watched.query_id = text_identity(watched);
    }
    return watched.query_id != 0 && (watched.sampled || watched.counted);
}

// A run that is described where the next watched one has its place, and watched from begin_watching() on: should it
// fail in between, nothing is left behind.
Watched* described_run(QueryDesc* query, bool nested, int level) {
    if (watched_count == max_watched)
        forget_watched(&watched_runs[0]);
    Watched* watched = &watched_runs[watched_count];
    return describe(*watched, query, nested, level) ? watched : nullptr;
}

const Watched* begin_watching(Watched* watched, QueryDesc* query, int level) {
    if (query->totaltime == nullptr)
        add_total_time(query);
    if (query->totaltime == nullptr)
        return nullptr;
    // Unless another extension ran a statement of its own meanwhile.
    if (watched != &watched_runs[watched_count] || watched->query != query)
        watched = described_run(query, is_nested(query), level);
    if (watched == nullptr)
        return nullptr;
    ++watched_count;
    if (BackendSlot* slot = watched->nested ? nullptr : my_slot(); slot != nullptr) {
        watched->generation = slot->generation.load(std::memory_order_relaxed) + 1;
        slot->generation.store(watched->generation, std::memory_order_relaxed);
    }
    return watched;
}

void executor_start(QueryDesc* query, int eflags) {
    const bool nested = is_nested(query);
    bool timed = meter.starts(query, !nested);
    // An error or a savepoint may have left a watched run behind whose address this one has now.
    if (Watched* stale = watched_count > 0 ? find_watched(query) : nullptr; stale != nullptr) {
        report_rolled_back(*stale);
        forget_watched(stale);
    }
    Watched* watched = nullptr;
    int level = shed_nothing;
    unsigned armed = armed_none;
    if (capturing()) {
        level = shed_level();
        watched = to_be_watched(query, eflags, nested, level) ? described_run(query, nested, level) : nullptr;
        if (watched != nullptr && watched->sampled && level < shed_details && shared_buffer()->any_armed()) {
            armed = shared_buffer()->claim_armed(MyDatabaseId, watched->query_id, plan_identity(query->plannedstmt));
            watched->counts_rows = (armed & armed_row_counts) != 0;
            if (watched->counts_rows)
                query->instrument_options |= INSTRUMENT_ROWS | INSTRUMENT_BUFFERS;
        }
    } else if (timed) {
        meter.abandon(query);
        timed = false;
    }
    if (timed)
        meter.pause();
    if (previous_start != nullptr)
        previous_start(query, eflags);
    else
        standard_ExecutorStart(query, eflags);
    if (timed)
        meter.resume();
    if (watched != nullptr) {
        const Watched* begun = begin_watching(watched, query, level);
        if (begun != nullptr && (armed & armed_plan_at_start) != 0)
            meter.in_full([begun] { record_plan_at_start(*begun); });
    }
    if (timed)
        meter.pause();
}

// For the wait sampler: when does this statement become slow? No clock is read: the statement's start is known.
void publish(bool top_level) {
    BackendSlot* slot = top_level ? my_slot() : nullptr;
    constexpr std::int64_t not_before = 100'000; // microseconds: the sampler's own period
    if (slot == nullptr || settings::slow_query_threshold_ms < 0 || shed_level() >= shed_waits)
        return;
    const std::int64_t threshold = static_cast<std::int64_t>(settings::slow_query_threshold_ms) * 1000;
    slot->slow_at.store(GetCurrentStatementStartTimestamp() + std::max(threshold, not_before),
                        std::memory_order_release);
}

void withdraw(bool top_level) {
    if (BackendSlot* slot = top_level ? my_slot() : nullptr; slot != nullptr)
        slot->slow_at.store(0, std::memory_order_relaxed);
}

// Executing time so far, also in the middle of a run.
double executing_ms(const QueryDesc* query) {
    const Instrumentation* total = query->totaltime;
    if (total == nullptr)
        return 0;
    instr_time time = total->counter;
    if (!INSTR_TIME_IS_ZERO(total->starttime)) {
        instr_time now;
        INSTR_TIME_SET_CURRENT(now);
        INSTR_TIME_ACCUM_DIFF(time, now, total->starttime);
    }
    return total->total * 1000.0 + INSTR_TIME_GET_MILLISEC(time);
}

// 57014 is both a cancel and statement_timeout; the timer says which, without looking into the error (a copy of it
// would need memory). ProcessInterrupts has reset the timer's indicator, but not when it was due.
Outcome outcome_of(int sqlstate) {
    if (sqlstate != ERRCODE_QUERY_CANCELED)
        return Outcome::error;
    const TimestampTz due = get_timeout_finish_time(STATEMENT_TIMEOUT);
    return StatementTimeout > 0 && due != 0 && GetCurrentTimestamp() >= due ? Outcome::timeout : Outcome::cancelled;
}

// In PG_CATCH: nothing here may raise or ask for memory.
void failed(QueryDesc* query) {
    meter.abandon(query);
    if (!is_nested(query))
        error_of_a_run();
    Watched* watched = find_watched(query);
    if (watched == nullptr)
        return;
    const int sqlstate = geterrcode();
    const Outcome outcome = outcome_of(sqlstate);
    const double ms = executing_ms(query);
    if (!watched->nested)
        meter.add_execution(ms, watched->weight);
    if (watched->counted)
        count_run(*watched, ms, sqlstate);
    // A timeout is the administrator's own limit: always worth a line.
    if (watched->sampled && settings::slow_query_threshold_ms >= 0 &&
        (ms >= settings::slow_query_threshold_ms || outcome == Outcome::timeout))
        meter.in_full([=] { record_failed(*watched, ms, outcome, sqlstate); });
    if (watched->counts_rows) // it could not keep its promise: another run shall
        shared_buffer()->arm(MyDatabaseId, watched->query_id, plan_identity(query->plannedstmt), armed_row_counts);
    forget_watched(watched);
}

void set_executing(const QueryDesc* query, bool executing) {
    if (Watched* watched = watched_count > 0 ? find_watched(query) : nullptr; watched != nullptr)
        watched->executing = executing;
}

// A run that may go on (a cursor): what a roll-back would take away.
void note_run(Watched& watched, double ms) {
    watched.run_ms = ms;
    watched.executing = false;
    if (const Instrumentation* total = watched.query->totaltime; total != nullptr)
        watched.rows = static_cast<std::int64_t>(total->ntuples + total->tuplecount);
    if (watched.plan_id == 0 && watched.counted)
        watched.plan_id = plan_identity(watched.query->plannedstmt);
}

void executor_run(QueryDesc* query, ScanDirection direction, uint64 count, bool execute_once) {
    const bool timed = meter.times(query);
    if (timed)
        meter.resume();
    const bool top_level = nesting == 0 && watched_count > 0;
    publish(top_level);
    set_executing(query, true);
    ++nesting;
    if (timed)
        meter.pause();
    PG_TRY();
    { pg::standard_or_previous_executor_run(previous_run, query, direction, count, execute_once); }
    PG_CATCH();
    {
        --nesting;
        failed(query);
        withdraw(top_level);
        PG_RE_THROW();
    }
    PG_END_TRY();
    if (timed)
        meter.resume();
    --nesting;
    withdraw(top_level);
    if (Watched* watched = watched_count > 0 ? find_watched(query) : nullptr; watched != nullptr) {
        note_run(*watched, executing_ms(query));
        if (watched->sampled && settings::slow_query_threshold_ms >= 0 &&
            watched->run_ms >= settings::slow_query_threshold_ms)
            note_slow(*watched, watched->run_ms);
    }
    if (timed)
        meter.pause();
}

void finish(QueryDesc* query) {
    if (previous_finish != nullptr)
        previous_finish(query);
    else
        standard_ExecutorFinish(query);
}

bool has_no_triggers(const QueryDesc* query) {
    return query->operation == CMD_SELECT && !query->plannedstmt->hasModifyingCTE;
}

void executor_finish(QueryDesc* query) {
    if (has_no_triggers(query)) { // nothing nested
        finish(query);
        return;
    }
    set_executing(query, true);
    ++nesting;
    PG_TRY();
    { finish(query); }
    PG_CATCH();
    {
        --nesting;
        failed(query);
        PG_RE_THROW();
    }
    PG_END_TRY();
    --nesting;
    set_executing(query, false);
}

void report_repeated(const Repeated& repeated) {
    if (repeated.calls < RepeatTable::worth_reporting)
        return;
    Sample sample{};
    sample.kind = Sample::Kind::repeated_in_transaction;
    sample.database = MyDatabaseId;
    sample.user = repeated.user;
    sample.query_id = repeated.query_id;
    sample.started_at = repeated.started_at;
    sample.ended_at = pg::now();
    sample.duration_ms = repeated.total_ms;
    sample.rows = repeated.rows;
    sample.repeats = repeated.calls;
    put(sample);
    shared_buffer()->count(count_repeated);
}

void count_repeat(const Watched& watched, double ms) {
    // A statement alone in its transaction cannot be repeated in it.
    if ((!watched.nested && !IsTransactionBlock()) || shed_level() >= shed_waits)
        return;
    const QueryDesc* query = watched.query;
    Repeated evicted;
    const Repeated& entry =
        repeats.count(watched.query_id, watched.user, ms,
                      static_cast<std::int64_t>(query->totaltime->ntuples + query->totaltime->tuplecount),
                      GetCurrentStatementStartTimestamp(), evicted);
    report_repeated(evicted);
    if (entry.calls == RepeatTable::worth_reporting)
        remember(watched);
}

void record(const Watched& watched, double ms) {
    if (watched.counts_rows)
        record_row_counts(watched);
    if (ms >= settings::slow_query_threshold_ms)
        record_finished(watched, ms);
}

// How long it took, in milliseconds.
double finished(Watched* found) {
    if (found->query->totaltime == nullptr) {
        forget_watched(found);
        return 0;
    }
    // Triggers run after it, if anything does.
    const bool known = found->run_ms > 0 && has_no_triggers(found->query);
    const double ms = known ? found->run_ms : executing_ms(found->query);
    if (!found->nested)
        meter.add_execution(ms, found->weight);
    if (found->counted)
        count_run(*found, ms, 0);
    if (found->sampled && settings::slow_query_threshold_ms >= 0) {
        count_repeat(*found, ms);
        if (found->counts_rows || ms >= settings::slow_query_threshold_ms) {
            const Watched watched = *found;
            forget_watched(found);
            meter.in_full([&watched, ms] { record(watched, ms); });
            return ms;
        }
    }
    forget_watched(found);
    return ms;
}

// While most runs are not watched, slow ones are still found at their end where pg_stat_statements has timed them.
void look_late(QueryDesc* query) {
    if (query->totaltime == nullptr || settings::slow_query_threshold_ms < 0 || query->plannedstmt->queryId == 0 ||
        !capturing() || (nesting > 0 && !settings::capture_nested))
        return;
    const double ms = executing_ms(query);
    if (ms < settings::slow_query_threshold_ms)
        return;
    Watched watched;
    if (describe(watched, query, nesting > 0, shed_level()) && watched.sampled)
        meter.in_full([&watched, ms] { record_finished(watched, ms); });
}

void executor_end(QueryDesc* query) {
    const bool timed = meter.times(query);
    if (timed)
        meter.resume();
    double ms = 0;
    if (Watched* watched = watched_count > 0 ? find_watched(query) : nullptr; watched != nullptr) {
        ms = finished(watched);
    } else if (shared_overhead() != nullptr && shed_level() >= shed_to_4) {
        look_late(query);
        ms = timed ? executing_ms(query) : 0; // part of what those that are watched stand for
    }
    if (nesting == 0)
        meter.note_idle_mark();
    if (timed)
        meter.finish(query, ms);
    if (previous_end != nullptr)
        previous_end(query);
    else
        standard_ExecutorEnd(query);
}

// CREATE TABLE AS EXECUTE runs the text of another statement.
bool has_text_of_query(const Node* statement) {
    return nodeTag(statement) == T_DeclareCursorStmt ||
           (nodeTag(statement) == T_CreateTableAsStmt &&
            reinterpret_cast<const Query*>(reinterpret_cast<const CreateTableAsStmt*>(statement)->query)->utilityStmt ==
                nullptr);
}

// Statements that are only a wrapper of one query, which is the application's own: that one is at the level of the
// wrapper.
bool wraps_a_query(const Node* statement) {
    switch (nodeTag(statement)) {
    case T_CreateTableAsStmt:
    case T_ExecuteStmt:
    case T_PrepareStmt:
    case T_DeallocateStmt:
    case T_FetchStmt:
    case T_ClosePortalStmt:
    case T_TransactionStmt: // COMMIT runs what is left of a holdable cursor
        return true;
    case T_CopyStmt: // COPY table fires triggers, whose statements are nested
        return reinterpret_cast<const CopyStmt*>(statement)->query != nullptr;
    default:
        return false;
    }
}

void process_utility(PlannedStmt* statement, const char* text, bool read_only_tree, ProcessUtilityContext context,
                     ParamListInfo params, QueryEnvironment* environment, DestReceiver* dest,
                     QueryCompletion* completion) {
    // Not touched after the jump; volatile tells the compiler so.
    const ProcessUtility_hook_type volatile next =
        previous_utility != nullptr ? previous_utility : standard_ProcessUtility;
    const NodeTag tag = nodeTag(statement->utilityStmt);
    if (has_text_of_query(statement->utilityStmt)) {
        const auto outer = wrapper;
        wrapper = {text, statement->stmt_location, statement->stmt_len};
        PG_TRY();
        { next(statement, text, read_only_tree, context, params, environment, dest, completion); }
        PG_FINALLY();
        { wrapper = outer; }
        PG_END_TRY();
        return;
    }
    if (wraps_a_query(statement->utilityStmt)) {
        next(statement, text, read_only_tree, context, params, environment, dest, completion);
        return;
    }
    const volatile int explaining = tag == T_ExplainStmt ? 1 : 0;
    ++nesting;
    explain_depth += explaining;
    PG_TRY();
    { next(statement, text, read_only_tree, context, params, environment, dest, completion); }
    PG_FINALLY();
    {
        --nesting;
        explain_depth -= explaining;
    }
    PG_END_TRY();
}

// At the end of a transaction no run is left: holdable cursors have been materialised by then, and what a roll-back
// took away never came to its ExecutorEnd.
void transaction_ends(XactEvent event, void*) {
    if (event != XACT_EVENT_COMMIT && event != XACT_EVENT_ABORT && event != XACT_EVENT_PREPARE)
        return;
    for (; watched_count > 0; --watched_count)
        report_rolled_back(watched_runs[watched_count - 1]);
    // An error has taken the timer away that would do it.
    if (event == XACT_EVENT_ABORT) {
        errors_are_over();
        flush_statements();
    }
    if (repeats.empty())
        return;
    for (int i = 0; i < repeats.size(); ++i)
        report_repeated(repeats[i]);
    repeats.clear();
}

} // namespace

bool plans_are_watched() {
    return (settings::capture_nested || nesting == 0) && capturing() && shed_level() < shed_to_4;
}

void session_fails() {
    for (int i = watched_count - 1; i >= 0; --i)
        if (watched_runs[i].executing) // of others the query may be gone
            failed(watched_runs[i].query);
}

bool errors_are_counted() {
    return MyBackendType == B_BACKEND && shared_buffer() != nullptr && OidIsValid(MyDatabaseId) && settings::enabled &&
           settings::capture && settings::statement_history;
}

void install_hooks() {
    previous_start = ExecutorStart_hook;
    ExecutorStart_hook = executor_start;
    previous_run = ExecutorRun_hook;
    ExecutorRun_hook = pg::executor_run_hook<executor_run>;
    previous_finish = ExecutorFinish_hook;
    ExecutorFinish_hook = executor_finish;
    previous_end = ExecutorEnd_hook;
    ExecutorEnd_hook = executor_end;
    previous_utility = ProcessUtility_hook;
    ProcessUtility_hook = process_utility;
    RegisterXactCallback(transaction_ends, nullptr);
}

} // namespace citadel::capture
