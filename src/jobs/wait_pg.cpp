// CALL citadel.wait_for_job(run_id, timeout): waits without a snapshot and without locks.
#include "pg/server.hpp"

#include "jobs/jobs.hpp"
#include "jobs/schedule.hpp"
#include "jobs/shared_state.hpp"
#include "pg/boundary.hpp"
#include "pg/preload.hpp"
#include "pg/role.hpp"
#include "pg/snapshot.hpp"
#include "pg/spi.hpp"

#include <algorithm>

extern "C" {
#include "catalog/pg_authid.h"
#include "executor/spi.h"
#include "nodes/parsenodes.h"
#include "utils/snapmgr.h"
}

namespace citadel::jobs {

namespace {

constexpr long poll_ms = 1000; // should a wake-up be missed

// A non-atomic SPI connection: the only one in which SPI_commit() works.
class CommittingSpi {
  public:
    CommittingSpi() {
        pg::guard([] {
            if (SPI_connect_ext(SPI_OPT_NONATOMIC) != SPI_OK_CONNECT)
                elog(ERROR, "SPI_connect_ext failed");
        });
    }
    CommittingSpi(const CommittingSpi&) = delete;
    CommittingSpi& operator=(const CommittingSpi&) = delete;
    ~CommittingSpi() { SPI_finish(); }
    void commit() {
        pg::guard([] { SPI_commit(); });
    }
};

struct RunState {
    bool exists = false;
    std::string job_name, state, sqlstate, message, detail, hint;
};

RunState read_state(std::int64_t run_id) {
    const pg::ActiveSnapshot snapshot;
    // EXECUTE on the procedure is enough; the table of runs is for superusers.
    const pg::RoleScope role(BOOTSTRAP_SUPERUSERID);
    pg::Spi spi;
    const pg::Rows rows = spi.query("SELECT job_name, state, sqlstate, message, detail, hint FROM citadel.job_run_log "
                                    "WHERE run_id = $1",
                                    {pg::arg(run_id)});
    if (rows.empty())
        return {};
    return {true, rows.text(0, 0), rows.text(0, 1), rows.text(0, 2), rows.text(0, 3), rows.text(0, 4), rows.text(0, 5)};
}

[[noreturn]] void raise_run_error(const RunState& run) {
    int code = ERRCODE_INTERNAL_ERROR;
    if (run.sqlstate.size() == 5) {
        const std::string& s = run.sqlstate;
        code = MAKE_SQLSTATE(s[0], s[1], s[2], s[3], s[4]);
    }
    pg::raise(code, run.message, run.detail, run.hint);
}

// True when the run has ended well.
bool has_ended(std::int64_t run_id, RunState& run) {
    run = read_state(run_id);
    if (!run.exists)
        pg::raise(ERRCODE_UNDEFINED_OBJECT, "job run " + std::to_string(run_id) + " does not exist", {},
                  "citadel.run_job() returns the number of a run; look at citadel.job_run. A run that was asked for in "
                  "another transaction exists once that has committed.");
    if (run.state == "failed" || run.state == "cancelled")
        raise_run_error(run);
    return run.state == "succeeded";
}

} // namespace

void wait_for_run(std::int64_t run_id, std::int64_t timeout_us) {
    CommittingSpi spi;
    const TimestampTz started = GetCurrentTimestamp();
    RunState run;
    for (;;) {
        spi.commit();
        if (has_ended(run_id, run))
            break;
        spi.commit(); // gives back the snapshot and the lock on the table
        const std::int64_t left_us = timeout_us - (GetCurrentTimestamp() - started);
        if (left_us <= 0) {
            const bool queued = run.state == "queued";
            pg::raise(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
                      "run " + std::to_string(run_id) + " of job \"" + run.job_name + "\" has not ended in time",
                      "It is " + run.state + ".",
                      queued ? "It starts when a worker is free: look at citadel.worker_status() and at "
                               "citadel_opt.max_job_workers."
                             : "It goes on; wait again, or look at citadel.job_run.");
        }
        shared::wait_for_change(std::clamp<long>(left_us / microseconds_per_millisecond, 1, poll_ms));
    }
    shared::cancel_wait();
}

void require_top_level(FunctionCallInfo call, const char* what) {
    const auto* context = call->context != nullptr && IsA(call->context, CallContext)
                              ? reinterpret_cast<CallContext*>(call->context)
                              : nullptr;
    if (context == nullptr || context->atomic)
        pg::raise(ERRCODE_ACTIVE_SQL_TRANSACTION, std::string(what) + " cannot run inside a transaction block",
                  "It commits before it waits: a run that was asked for in the same transaction would never start.",
                  "Call it as a statement of its own, outside BEGIN ... COMMIT and outside functions.");
}

} // namespace citadel::jobs

using namespace citadel;

CITADEL_FUNCTION(citadel_wait_for_job) {
    pg::require_preload("wait_for_job()");
    if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
        pg::raise(ERRCODE_NULL_VALUE_NOT_ALLOWED, "run_id and timeout must not be null");
    const std::int64_t run_id = PG_GETARG_INT64(0);
    const Interval* timeout = PG_GETARG_INTERVAL_P(1);
    const std::int64_t timeout_us = jobs::interval_length(timeout->month, timeout->day, timeout->time);
    if (timeout_us < 0)
        pg::raise(ERRCODE_INVALID_PARAMETER_VALUE, "timeout must not be negative");
    jobs::require_top_level(fcinfo, "wait_for_job()");
    jobs::wait_for_run(run_id, timeout_us);
    PG_RETURN_VOID();
}
