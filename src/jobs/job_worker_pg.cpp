// One run of one job, in a process of its own.
#include "pg/server.hpp"

#include "jobs/jobs.hpp"
#include "jobs/run_log.hpp"
#include "jobs/worker.hpp"
#include "pg/boundary.hpp"
#include "pg/fault.hpp"
#include "pg/guard.hpp"
#include "pg/toplevel.hpp"
#include "pg/transaction.hpp"
#include "pg/version.hpp"

#include <algorithm>
#include <climits>
#include <optional>

extern "C" {
#include "utils/timeout.h"

PGDLLEXPORT void citadel_job_worker_main(Datum argument);
}

namespace citadel::jobs {

namespace {

// The run's transaction, on the stack of run(): a static object would be destroyed at exit, when it is too late to
// abort.
std::optional<pg::Transaction>* open_transaction = nullptr;

struct Result {
    std::optional<pg::Error> error;
    bool timed_out = false;
};

pg::Error as_error(int sqlerrcode, const std::string& message) {
    try {
        pg::raise(sqlerrcode, message);
    } catch (const pg::Error& error) {
        return error;
    }
}

void arm_timeout(std::int64_t milliseconds) {
    const int delay = static_cast<int>(std::clamp<std::int64_t>(milliseconds, 1, INT_MAX));
    pg::guard([delay] { enable_timeout_after(STATEMENT_TIMEOUT, delay); });
}

// The job proper. Its error is returned with the transaction aborted, so that it can be recorded in a fresh one.
Result run(const JobDefinition& job, std::int64_t run_id, std::optional<std::int64_t> max_runtime_ms) {
    Result result;
    std::optional<pg::Transaction> transaction;
    open_transaction = &transaction;
    const TimestampTz started = GetCurrentTimestamp();
    if (max_runtime_ms)
        arm_timeout(*max_runtime_ms);
    try {
        transaction.emplace(job.name);
        pg::require_same_version();
        pg::fault_point((std::string("jobs.run.") + job.name).c_str());
        job.run(run_id);
        transaction->commit();
    } catch (const pg::Error& error) {
        result.error = error;
    } catch (const std::bad_alloc&) {
        result.error = as_error(ERRCODE_OUT_OF_MEMORY, "out of memory");
    } catch (const std::exception& error) {
        result.error = as_error(ERRCODE_INTERNAL_ERROR, error.what());
    }
    transaction.reset();
    open_transaction = nullptr;
    disable_timeout(STATEMENT_TIMEOUT, false);
    result.timed_out = result.error && result.error->is_cancel() && max_runtime_ms &&
                       GetCurrentTimestamp() - started >= *max_runtime_ms * 1000;
    return result;
}

void record(std::int64_t run_id, const Result& result, std::optional<std::int64_t> max_runtime_ms) {
    pg::Transaction transaction("recording a job run");
    if (!result.error)
        run_log::succeed(run_id);
    else if (result.timed_out)
        run_log::fail_timeout(run_id, *max_runtime_ms);
    else
        run_log::fail(run_id, *result.error);
    transaction.commit();
}

void worker_main() {
    const shared::Ticket ticket = worker::own_ticket();
    if (!shared::attach(ticket))
        return;
    const std::int64_t run_id = shared::own()->run_id;
    const std::string name = std::string("citadel_opt job ") + shared::own()->job_name;
    worker::take_signals();
    worker::connect(shared::own()->database, name.c_str());
    shared::set_state(shared::State::working);

    // The start is committed before the run: a run that takes the server down is found and counted afterwards.
    std::optional<run_log::Started> started;
    {
        pg::Transaction transaction("starting a job run");
        started = run_log::start(run_id);
        transaction.commit();
    }
    if (!started)
        return;
    pg::fault_point("jobs.worker.started");

    Result result;
    const JobDefinition* job = find_job(started->job_name);
    if (job == nullptr) {
        result.error = as_error(ERRCODE_UNDEFINED_OBJECT, "job \"" + started->job_name + "\" does not exist");
    } else {
        result = run(*job, run_id, started->max_runtime_ms);
    }
    if (result.error)
        worker::log_rarely("job \"" + started->job_name + "\" (run " + std::to_string(run_id) +
                           ") failed: " + result.error->what());
    try {
        record(run_id, result, started->max_runtime_ms);
    } catch (const pg::Error& error) {
        // A cancel request that came too late to stop the run must not spoil its record.
        if (!error.is_cancel())
            throw;
        record(run_id, result, started->max_runtime_ms);
    }
}

} // namespace

void checkpoint() {
    if (open_transaction == nullptr || !open_transaction->has_value())
        pg::raise(ERRCODE_INTERNAL_ERROR, "checkpoint() outside a job run");
    (*open_transaction)->commit();
    open_transaction->reset();
    open_transaction->emplace("job");
}

void start_over() {
    if (open_transaction == nullptr)
        pg::raise(ERRCODE_INTERNAL_ERROR, "start_over() outside a job run");
    open_transaction->reset();
    open_transaction->emplace("job");
}

void repeatable_read(const std::function<void()>& work) {
    // Read when a transaction starts.
    struct Level {
        int before = DefaultXactIsoLevel;
        Level() { DefaultXactIsoLevel = XACT_REPEATABLE_READ; }
        Level(const Level&) = delete;
        Level& operator=(const Level&) = delete;
        ~Level() { DefaultXactIsoLevel = before; }
    };
    {
        const Level level;
        checkpoint();
    }
    work();
    checkpoint();
}

void run_outside(const std::string& statement, std::uint32_t user) {
    if (open_transaction == nullptr || !open_transaction->has_value())
        pg::raise(ERRCODE_INTERNAL_ERROR, "run_outside() outside a job run");
    (*open_transaction)->commit();
    open_transaction->reset();
    try {
        pg::run_top_level(statement, user);
    } catch (...) {
        open_transaction->emplace("job");
        throw;
    }
    open_transaction->emplace("job");
}

} // namespace citadel::jobs

extern "C" void citadel_job_worker_main(Datum) {
    citadel::pg::boundary([] { citadel::jobs::worker_main(); });
}
