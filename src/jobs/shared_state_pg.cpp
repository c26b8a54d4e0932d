#include "jobs/shared_state.hpp"

#include "pg/guard.hpp"
#include "pg/shared_memory.hpp"

#include <algorithm>
#include <csignal>
#include <cstring>

extern "C" {
#include "postmaster/bgworker.h"
#include "storage/condition_variable.h"
#include "storage/latch.h"
#include "storage/proc.h"
#include "storage/procarray.h"
#include "storage/shmem.h"
#include "utils/wait_event.h"
}

namespace citadel::jobs::shared {

namespace {

constexpr int max_requests = 64;
constexpr int max_pauses = 64;
constexpr std::int64_t start_timeout_us = 60 * std::int64_t{1000000};
constexpr std::int64_t pause_expiry_us = 300 * std::int64_t{1000000};
constexpr const char* part_name = "citadel_opt jobs";

struct Pause {
    Oid database;
    int owner;
    TimestampTz until;
};

struct Memory {
    LauncherStatus launcher;
    ConditionVariable changed;
    int requests;
    bool overflow;
    Oid requested[max_requests];
    Pause pauses[max_pauses];
    int slot_count;
    Slot slots[1]; // slot_count of them
};

Memory* memory = nullptr;
LWLock* lock = nullptr;
Ticket mine;

// Every worker of ours is a background worker, so there cannot be more of them than that.
int wanted_slots() {
    return std::max(max_worker_processes, 1);
}

std::size_t memory_size() {
    return offsetof(Memory, slots) + sizeof(Slot) * static_cast<std::size_t>(wanted_slots());
}

void attach_memory(void* address, bool fresh) {
    memory = static_cast<Memory*>(address);
    lock = pg::guard([] { return &GetNamedLWLockTranche(part_name)->lock; });
    if (!fresh)
        return;
    std::memset(address, 0, memory_size());
    memory->slot_count = wanted_slots();
    ConditionVariableInit(&memory->changed);
}

// LWLockAcquire holds off interrupts, nothing in these sections raises, and an abort releases locks: plain scopes do.
class Locked {
  public:
    explicit Locked(LWLockMode mode = LW_EXCLUSIVE) { LWLockAcquire(lock, mode); }
    Locked(const Locked&) = delete;
    Locked& operator=(const Locked&) = delete;
    ~Locked() { LWLockRelease(lock); }
};

void set_latch_of(int pid) {
    if (pid == 0)
        return;
    PGPROC* process = BackendPidGetProc(pid);
    if (process != nullptr)
        SetLatch(&process->procLatch);
}

Slot& at(Ticket ticket) {
    return memory->slots[ticket.index];
}

bool current(Ticket ticket) {
    return memory != nullptr && ticket.valid() && ticket.index < memory->slot_count &&
           at(ticket).generation == ticket.generation && at(ticket).state != State::free;
}

void clear(Slot& slot) {
    const std::uint32_t generation = slot.generation;
    std::memset(static_cast<void*>(&slot), 0, sizeof(slot));
    slot.generation = generation;
}

bool paused_locked(Oid database) {
    const TimestampTz now = GetCurrentTimestamp();
    for (const Pause& pause : memory->pauses)
        if (pause.database == database && pause.owner != 0 && now < pause.until)
            return true;
    return false;
}

bool active(const Slot& slot) {
    return slot.state != State::free && slot.state != State::ended;
}

Ticket reserve(Kind kind, Oid database, Refusal& refusal) {
    refusal = Refusal::none;
    if (paused_locked(database)) {
        refusal = Refusal::paused;
        return {};
    }
    for (int i = 0; i < memory->slot_count; ++i) {
        Slot& slot = memory->slots[i];
        if (slot.state != State::free)
            continue;
        clear(slot);
        ++slot.generation;
        slot.kind = kind;
        slot.state = State::reserved;
        slot.database = database;
        slot.reserved_at = GetCurrentTimestamp();
        return {i, slot.generation};
    }
    refusal = Refusal::no_slot;
    return {};
}

// A failed scheduler stays visible until the launcher has read why.
void give_back(Slot& slot) {
    if (slot.kind == Kind::scheduler && slot.pid != 0) {
        slot.state = State::ended;
        slot.pid = 0;
    } else {
        clear(slot);
    }
}

// Registered before the worker connects, so it runs after the process has left the list of running backends: whoever
// waits for the slot to be given back then finds the database unused.
void give_back_at_exit(int, Datum) {
    const Ticket ticket = mine;
    mine = {};
    if (memory == nullptr || MyProc == nullptr)
        return;
    bool was_job = false;
    {
        Locked locked;
        if (!current(ticket))
            return;
        was_job = at(ticket).kind == Kind::job;
        give_back(at(ticket));
    }
    ConditionVariableBroadcast(&memory->changed);
    wake_launcher();
    if (was_job)
        wake_schedulers(); // one of them may be waiting for a free place
}

void launcher_at_exit(int, Datum) {
    Locked locked;
    if (memory->launcher.pid == MyProcPid)
        memory->launcher.pid = 0;
}

template <class Change>
void change_own(Change&& change) {
    if (!mine.valid())
        return;
    Locked locked;
    if (current(mine))
        change(at(mine));
}

} // namespace

void request() {
    pg::register_shared_memory({part_name, memory_size, attach_memory, 1});
}

bool available() {
    return memory != nullptr;
}

Ticket reserve_scheduler(Oid database, Refusal& refusal) {
    Locked locked;
    for (int i = 0; i < memory->slot_count; ++i) {
        const Slot& slot = memory->slots[i];
        if (slot.state != State::free && slot.kind == Kind::scheduler && slot.database == database) {
            refusal = Refusal::taken;
            return {};
        }
    }
    return reserve(Kind::scheduler, database, refusal);
}

Ticket reserve_job(Oid database, std::int64_t run_id, const char* job_name, int limit, Refusal& refusal) {
    Locked locked;
    int running = 0;
    for (int i = 0; i < memory->slot_count; ++i) {
        const Slot& slot = memory->slots[i];
        if (!active(slot) || slot.kind != Kind::job)
            continue;
        ++running;
        if (slot.database == database && slot.run_id == run_id) {
            refusal = Refusal::taken;
            return {};
        }
    }
    if (running >= limit) {
        refusal = Refusal::limit;
        return {};
    }
    const Ticket ticket = reserve(Kind::job, database, refusal);
    if (ticket.valid()) {
        at(ticket).run_id = run_id;
        strlcpy(at(ticket).job_name, job_name, name_length);
    }
    return ticket;
}

bool discard(Ticket ticket) {
    Locked locked;
    if (!current(ticket) || at(ticket).pid != 0 || at(ticket).state != State::reserved)
        return false;
    clear(at(ticket));
    return true;
}

bool attach(Ticket ticket) {
    if (memory == nullptr)
        return false;
    bool stay = false;
    {
        Locked locked;
        if (!current(ticket) || at(ticket).state != State::reserved)
            return false;
        Slot& slot = at(ticket);
        stay = !slot.stop && !paused_locked(slot.database);
        slot.pid = MyProcPid;
        slot.state = State::connecting;
        slot.started_at = GetCurrentTimestamp();
        slot.outcome = stay ? Outcome::failed : Outcome::asked;
    }
    mine = ticket;
    pg::guard([] { on_shmem_exit(give_back_at_exit, 0); });
    return stay;
}

const Slot* own() {
    return mine.valid() && memory != nullptr ? &at(mine) : nullptr;
}

bool stop_requested() {
    const Slot* slot = own();
    return slot != nullptr && slot->stop;
}

bool take_jobs_changed() {
    bool changed = false;
    change_own([&changed](Slot& slot) {
        changed = slot.jobs_changed;
        slot.jobs_changed = false;
    });
    return changed;
}

void set_state(State state) {
    change_own([state](Slot& slot) { slot.state = state; });
}

void set_outcome(Outcome outcome) {
    change_own([outcome](Slot& slot) { slot.outcome = outcome; });
}

void count_cycle() {
    change_own([](Slot& slot) {
        ++slot.cycles;
        slot.last_cycle_at = GetCurrentTimestamp();
    });
}

void count_tick(bool failed) {
    change_own([failed](Slot& slot) {
        ++slot.tick_runs;
        slot.tick_errors += failed ? 1 : 0;
    });
}

void note_error(const char* message) {
    change_own([message](Slot& slot) {
        strlcpy(slot.last_error, message, message_length);
        slot.last_error_at = GetCurrentTimestamp();
    });
}

bool run_is_alive(std::int64_t run_id, Oid database) {
    Locked locked(LW_SHARED);
    for (int i = 0; i < memory->slot_count; ++i) {
        const Slot& slot = memory->slots[i];
        if (active(slot) && slot.kind == Kind::job && slot.database == database && slot.run_id == run_id)
            return true;
    }
    return false;
}

std::vector<Slot> slots() {
    std::vector<Slot> used;
    if (memory == nullptr)
        return used;
    used.reserve(static_cast<std::size_t>(memory->slot_count)); // no allocation, hence no exception, under the lock
    Locked locked(LW_SHARED);
    for (int i = 0; i < memory->slot_count; ++i)
        if (memory->slots[i].state != State::free)
            used.push_back(memory->slots[i]);
    return used;
}

bool launcher_attach() {
    if (memory == nullptr)
        return false;
    {
        Locked locked;
        std::memset(static_cast<void*>(&memory->launcher), 0, sizeof(memory->launcher));
        memory->launcher.pid = MyProcPid;
        memory->launcher.started_at = GetCurrentTimestamp();
    }
    pg::guard([] { on_shmem_exit(launcher_at_exit, 0); });
    return true;
}

void launcher_count_cycle() {
    Locked locked;
    ++memory->launcher.cycles;
    memory->launcher.last_cycle_at = GetCurrentTimestamp();
}

void launcher_note_error(const char* message) {
    Locked locked;
    strlcpy(memory->launcher.last_error, message, message_length);
    memory->launcher.last_error_at = GetCurrentTimestamp();
}

LauncherStatus launcher() {
    if (memory == nullptr)
        return {};
    Locked locked(LW_SHARED);
    return memory->launcher;
}

std::vector<Oid> take_requests(bool& overflow) {
    std::vector<Oid> databases;
    databases.reserve(max_requests);
    Locked locked;
    databases.assign(memory->requested, memory->requested + memory->requests);
    overflow = memory->overflow;
    memory->requests = 0;
    memory->overflow = false;
    return databases;
}

std::vector<Ended> collect_ended() {
    std::vector<Ended> ended;
    ended.reserve(static_cast<std::size_t>(memory->slot_count));
    const TimestampTz now = GetCurrentTimestamp();
    Locked locked;
    for (int i = 0; i < memory->slot_count; ++i) {
        Slot& slot = memory->slots[i];
        const bool never_came =
            slot.state == State::reserved && slot.pid == 0 && now - slot.reserved_at > start_timeout_us;
        if (slot.state != State::ended && !never_came)
            continue;
        if (slot.kind == Kind::scheduler)
            ended.push_back({slot.database, slot.outcome, slot.started_at});
        clear(slot);
    }
    return ended;
}

bool has_scheduler(Oid database) {
    Locked locked(LW_SHARED);
    for (int i = 0; i < memory->slot_count; ++i)
        if (active(memory->slots[i]) && memory->slots[i].kind == Kind::scheduler &&
            memory->slots[i].database == database)
            return true;
    return false;
}

int starting_schedulers() {
    Locked locked(LW_SHARED);
    int count = 0;
    for (int i = 0; i < memory->slot_count; ++i) {
        const Slot& slot = memory->slots[i];
        if (slot.kind == Kind::scheduler && (slot.state == State::reserved || slot.state == State::connecting))
            ++count;
    }
    return count;
}

void stop_schedulers(const std::vector<Oid>& databases) {
    for (const Oid database : databases) {
        int pid = 0;
        {
            Locked locked;
            for (int i = 0; i < memory->slot_count; ++i) {
                Slot& slot = memory->slots[i];
                if (!active(slot) || slot.kind != Kind::scheduler || slot.database != database)
                    continue;
                slot.stop = true;
                pid = slot.pid;
            }
        }
        set_latch_of(pid);
    }
}

std::vector<Oid> scheduled_databases() {
    std::vector<Oid> databases;
    for (const Slot& slot : slots())
        if (active(slot) && slot.kind == Kind::scheduler)
            databases.push_back(slot.database);
    return databases;
}

void request_look(Oid database) {
    if (memory == nullptr)
        return;
    {
        Locked locked;
        Oid* end = memory->requested + memory->requests;
        if (std::find(memory->requested, end, database) == end) {
            if (memory->requests < max_requests)
                memory->requested[memory->requests++] = database;
            else
                memory->overflow = true;
        }
    }
    wake_launcher();
}

void wake_launcher() {
    if (memory == nullptr)
        return;
    int pid = 0;
    {
        Locked locked(LW_SHARED);
        pid = memory->launcher.pid;
    }
    set_latch_of(pid);
}

void wake_scheduler(Oid database, bool jobs_changed) {
    if (memory == nullptr)
        return;
    int pid = 0;
    {
        Locked locked;
        for (int i = 0; i < memory->slot_count; ++i) {
            Slot& slot = memory->slots[i];
            if (!active(slot) || slot.kind != Kind::scheduler || slot.database != database)
                continue;
            slot.jobs_changed = slot.jobs_changed || jobs_changed;
            pid = slot.pid;
        }
    }
    set_latch_of(pid);
}

void wake_schedulers() {
    if (memory == nullptr)
        return;
    for (int i = 0; i < memory->slot_count; ++i) {
        int pid = 0;
        {
            Locked locked;
            Slot& slot = memory->slots[i];
            if (!active(slot) || slot.kind != Kind::scheduler)
                continue;
            slot.jobs_changed = true;
            pid = slot.pid;
        }
        set_latch_of(pid);
    }
}

void cancel_jobs(Oid database) {
    signal_inside(database, SIGINT, true);
}

bool pause(Oid database) {
    bool noted = false;
    int scheduler = 0;
    {
        Locked locked;
        const TimestampTz now = GetCurrentTimestamp();
        for (Pause& pause : memory->pauses) {
            if (pause.owner != 0 && now < pause.until && !(pause.owner == MyProcPid && pause.database == database))
                continue;
            pause = {database, MyProcPid, now + pause_expiry_us};
            noted = true;
            break;
        }
        if (noted) {
            for (int i = 0; i < memory->slot_count; ++i) {
                Slot& slot = memory->slots[i];
                if (!active(slot) || slot.database != database)
                    continue;
                slot.stop = true;
                if (slot.kind == Kind::scheduler)
                    scheduler = slot.pid;
            }
        }
    }
    set_latch_of(scheduler);
    return noted;
}

void resume_own() {
    if (memory == nullptr)
        return;
    Locked locked;
    for (Pause& pause : memory->pauses)
        if (pause.owner == MyProcPid)
            pause = {};
}

int inside(Oid database) {
    Locked locked(LW_SHARED);
    int count = 0;
    for (int i = 0; i < memory->slot_count; ++i) {
        const Slot& slot = memory->slots[i];
        if (active(slot) && slot.database == database && slot.pid != 0 && slot.pid != MyProcPid)
            ++count;
    }
    return count;
}

void signal_inside(Oid database, int signal, bool jobs_only) {
    // Under the lock, so that no pid can have become another process's.
    Locked locked(LW_SHARED);
    for (int i = 0; i < memory->slot_count; ++i) {
        const Slot& slot = memory->slots[i];
        if (active(slot) && slot.database == database && slot.pid != 0 && slot.pid != MyProcPid &&
            (slot.kind == Kind::job || !jobs_only))
            (void)kill(slot.pid, signal);
    }
}

void wait_for_change(long milliseconds) {
    pg::guard([milliseconds] { (void)ConditionVariableTimedSleep(&memory->changed, milliseconds, PG_WAIT_EXTENSION); });
}

void cancel_wait() noexcept {
    ConditionVariableCancelSleep();
}

} // namespace citadel::jobs::shared
