// What other rooms register with the workers: ticks of the scheduler, and jobs.
//
// jobs/ starts what is due and knows nothing of what it starts. Registration happens once, when the library is loaded;
// the structs and the strings they point to live as long as the process.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

struct FunctionCallInfoBaseData;

namespace citadel::jobs {

// Called in the scheduler of each database, in a transaction of its own, as the bootstrap superuser. The scheduler
// commits. An error is logged, counted and shown by citadel.worker_status(), and does not stop the other ticks.
struct Tick {
    const char* name;
    void (*run)();
    int (*period_ms)();         // read before each round, so that a changed setting takes effect by reload
    bool (*urgent)() = nullptr; // optional and cheap: true asks for a run before the period has passed
};

// A job runs in a worker process of its own, inside a transaction that the worker starts and commits, as the bootstrap
// superuser. A long job calls checkpoint() to commit what it has and go on in a new transaction.
struct JobDefinition {
    const char* name;
    const char* description;
    const char* default_schedule; // an interval, from start to start; citadel.job_setting.schedule goes before it
    bool destructive;             // not started in a restored or cloned database until citadel.adopt_database()
    void (*run)(int64_t run_id);
    int (*schedule_s)() = nullptr; // optional: default schedule in seconds from a setting instead; 0: never by schedule
};

inline constexpr size_t max_ticks = 16;
inline constexpr size_t max_jobs = 16;
inline constexpr size_t max_job_name = 63;

// Both throw std::logic_error when the table is full, the name is taken or too long, or a function is missing.
void register_tick(const Tick& tick);
void register_job(const JobDefinition& job);

size_t tick_count();
const Tick& tick_at(size_t i);
size_t job_count();
const JobDefinition& job_at(size_t i);
const JobDefinition* find_job(std::string_view name);

// Starts empty again; for tests.
void forget_registrations();

// In a job's run() alone: commits, and begins anew. Anything the run keeps across it must not live in the
// transaction's memory.
void checkpoint();
// In a job's run() alone: commits, runs `work` in a REPEATABLE READ transaction, commits, and begins anew.
void repeatable_read(const std::function<void()>& work);
// In a job's run() alone: aborts, after an error that the run survives, and begins anew.
void start_over();
// In a job's run() alone: commits, runs `statement` as a top-level statement of its own, up to its first commit as the
// role `user` (an OID; 0: as the worker; see pg::run_top_level), and begins anew, also when it failed.
void run_outside(const std::string& statement, std::uint32_t user = 0);

// Queues a run of the job on behalf of the session user; the scheduler looks when the transaction has committed. Raises
// an error when it could not run here. Checks no privilege: the caller does.
std::int64_t request_run(const std::string& job);
// Commits, and waits until the run has ended, holding no snapshot; raises the run's error if it failed, 55000 when it
// has not ended in time. The caller is a procedure that was called outside a transaction block: see
// require_top_level().
void wait_for_run(std::int64_t run_id, std::int64_t timeout_us);
// Raises 25001 unless `call` is a CALL outside a transaction block. `what` names the procedure.
void require_top_level(FunctionCallInfoBaseData* call, const char* what);

// Sets up shared memory, hooks and the launcher; called once from _PG_init while the server preloads libraries.
void install();

} // namespace citadel::jobs
