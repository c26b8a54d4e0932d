// What launcher, schedulers, job workers and the DDL hook tell each other: one struct in shared memory under one
// LWLock.
//
// It holds figures only: pids, OIDs, times. A slot belongs to one worker at a time and carries a generation, so that a
// process that comes late finds out that its slot has moved on. A pid in a claimed slot is the pid of a live process:
// the process takes the lock to give the slot back before it exits, and after a crash of any process the server starts
// with fresh shared memory. Background worker handles stay in the process that registered the worker.
#pragma once

#include "pg/server.hpp"

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace citadel::jobs::shared {

enum class Kind : std::uint8_t { none, scheduler, job };

enum class State : std::uint8_t {
    free,
    reserved,   // the worker was asked for and has not reported yet; pid is 0
    connecting, // the worker runs and is not in its database yet
    idle,
    working,
    paused, // citadel_opt.enabled is off
    ended,  // a scheduler has left and the launcher has not read its outcome yet; pid is 0
};

// Why a scheduler left.
enum class Outcome : std::uint8_t { failed, absent, asked };

inline constexpr int name_length = 64;
inline constexpr int message_length = 256;

struct Slot {
    Kind kind;
    State state;
    Outcome outcome;
    bool stop;         // asked to leave
    bool jobs_changed; // a run was requested or a setting changed
    std::uint32_t generation;
    Oid database;
    int pid;
    std::int64_t run_id;
    char job_name[name_length];
    TimestampTz reserved_at;
    TimestampTz started_at;
    TimestampTz last_cycle_at;
    std::int64_t cycles;
    std::int64_t tick_runs;
    std::int64_t tick_errors;
    TimestampTz last_error_at;
    char last_error[message_length];
};

// Names one use of a slot.
struct Ticket {
    int index = -1;
    std::uint32_t generation = 0;
    bool valid() const { return index >= 0; }
};

struct LauncherStatus {
    int pid;
    TimestampTz started_at;
    TimestampTz last_cycle_at;
    std::int64_t cycles;
    TimestampTz last_error_at;
    char last_error[message_length];
};

// Asks for the memory; at preload.
void request();
// False in a process that has no shared memory of ours (not preloaded).
bool available();

// --- worker slots

enum class Refusal { none, no_slot, limit, taken, paused };

// Reserves a slot for a scheduler (one a database) or a job (at most `limit` in the cluster). Refused while the
// database is paused.
Ticket reserve_scheduler(Oid database, Refusal& refusal);
Ticket reserve_job(Oid database, std::int64_t run_id, const char* job_name, int limit, Refusal& refusal);
// Gives a slot back whose worker never reported; false when it did.
bool discard(Ticket ticket);
// In the new worker, before it connects: claims the slot and has it given back at exit, after the process has left the
// list of the database's users. False when the slot has moved on or the database is paused: leave at once.
bool attach(Ticket ticket);
// The slot of this process; nullptr when it is no worker of ours. Its figures are written by the functions below.
const Slot* own();
bool stop_requested();
bool take_jobs_changed();
void set_state(State state);
void set_outcome(Outcome outcome);
void count_cycle();
void count_tick(bool failed);
void note_error(const char* message);

bool run_is_alive(std::int64_t run_id, Oid database);
std::vector<Slot> slots();

// --- launcher

bool launcher_attach();
void launcher_count_cycle();
void launcher_note_error(const char* message);
LauncherStatus launcher();
// Databases in which an extension was created or dropped since the last call; `overflow` when there were too many to
// note each.
std::vector<Oid> take_requests(bool& overflow);
struct Ended {
    Oid database;
    Outcome outcome;
    TimestampTz started_at;
};
// Schedulers that have left; frees their slots, and those whose workers never reported within a minute.
std::vector<Ended> collect_ended();
bool has_scheduler(Oid database);
int starting_schedulers();
// Asks the schedulers of these databases to leave.
void stop_schedulers(const std::vector<Oid>& databases);
std::vector<Oid> scheduled_databases();

// --- anybody

// These only take the lock and set latches: safe at commit.
void request_look(Oid database);
void wake_launcher();
void wake_scheduler(Oid database, bool jobs_changed);
void wake_schedulers();
void cancel_jobs(Oid database);

// Workers stay away from the database until resume() of this process, its exit, or the expiry; those inside are asked
// to leave. False when there is no room to note it.
bool pause(Oid database);
void resume_own();
// Workers of ours inside the database, this process excepted.
int inside(Oid database);
// Sends a signal to them: SIGINT cancels what they do, SIGTERM ends them.
void signal_inside(Oid database, int signal, bool jobs_only);
// Sleeps until a worker leaves or a run ends, at most that long. Interruptible; may raise an error.
void wait_for_change(long milliseconds);
void cancel_wait() noexcept;

} // namespace citadel::jobs::shared
