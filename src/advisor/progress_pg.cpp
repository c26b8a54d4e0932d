// citadel.advisor_progress and citadel.stop_advisor(), over slots in shared memory: one for each advisor that runs. A
// slot is written by its owner alone; a reader may see figures of two moments beside each other.
#include "advisor/progress_pg.hpp"

#include "pg/boundary.hpp"
#include "pg/guard.hpp"
#include "pg/shared_memory.hpp"
#include "pg/tuplestore.hpp"

#include <atomic>
#include <cstring>

extern "C" {
#include "miscadmin.h"
#include "storage/ipc.h"
#include "utils/acl.h"
#include "utils/timestamp.h"
}

namespace citadel::advisor {

namespace {

constexpr const char* memory_name = "citadel_opt advisor";
constexpr int slot_count = 64;

struct Slot {
    std::atomic<int> pid; // 0: free
    std::atomic<bool> stop;
    Oid database, user;
    TimestampTz started_at;
    std::atomic<int> phase; // -1: analysing; else SelectionProgress::Phase
    std::atomic<std::int64_t> done, total, candidates, chosen, planner_calls;
    std::atomic<double> cost_before, cost_so_far;
};

Slot* slots = nullptr;
int mine = -1; // of this process; advisors do not nest
bool exit_callback = false;

std::size_t memory_size() {
    return sizeof(Slot) * slot_count;
}

void attach(void* memory, bool fresh) {
    slots = static_cast<Slot*>(memory);
    if (fresh)
        std::memset(memory, 0, memory_size());
}

void free_slot(int, Datum) {
    if (slots != nullptr && mine >= 0)
        slots[mine].pid = 0;
    mine = -1;
}

const char* phase_name(int phase) {
    switch (phase) {
    case static_cast<int>(SelectionProgress::Phase::pricing):
        return "pricing";
    case static_cast<int>(SelectionProgress::Phase::searching):
        return "searching";
    case static_cast<int>(SelectionProgress::Phase::refining):
        return "refining";
    case static_cast<int>(SelectionProgress::Phase::reporting):
        return "reporting";
    default:
        return "analysing";
    }
}

} // namespace

void register_progress() {
    pg::register_shared_memory({memory_name, memory_size, attach, 0});
}

ProgressSlot::ProgressSlot() : slot_(-1) {
    if (slots == nullptr || mine >= 0)
        return;
    for (int i = 0; i < slot_count; ++i) {
        int expected = 0;
        if (!slots[i].pid.compare_exchange_strong(expected, MyProcPid))
            continue;
        slot_ = mine = i;
        Slot& slot = slots[i];
        slot.stop = false;
        slot.database = MyDatabaseId;
        slot.user = GetUserId();
        slot.started_at = GetCurrentTimestamp();
        slot.phase = -1;
        slot.done = slot.total = slot.candidates = slot.chosen = slot.planner_calls = 0;
        slot.cost_before = slot.cost_so_far = 0.0;
        break;
    }
    if (slot_ >= 0 && !exit_callback) {
        // A process that dies in the middle leaves no slot behind.
        pg::guard([] { before_shmem_exit(free_slot, 0); });
        exit_callback = true;
    }
}

ProgressSlot::~ProgressSlot() {
    if (slot_ >= 0)
        free_slot(0, 0);
}

void ProgressSlot::analysing(std::size_t done, std::size_t total) {
    if (slot_ < 0)
        return;
    slots[slot_].done = static_cast<std::int64_t>(done);
    slots[slot_].total = static_cast<std::int64_t>(total);
}

void ProgressSlot::update(const SelectionProgress& progress, std::uint64_t planner_calls) {
    if (slot_ < 0)
        return;
    Slot& slot = slots[slot_];
    slot.phase = static_cast<int>(progress.phase);
    slot.done = static_cast<std::int64_t>(progress.done);
    slot.total = static_cast<std::int64_t>(progress.statements);
    slot.candidates = static_cast<std::int64_t>(progress.candidates);
    slot.chosen = static_cast<std::int64_t>(progress.chosen);
    slot.planner_calls = static_cast<std::int64_t>(planner_calls);
    slot.cost_before = progress.cost_before;
    slot.cost_so_far = progress.cost_so_far;
}

bool ProgressSlot::asked_to_stop() const {
    return slot_ >= 0 && slots[slot_].stop;
}

} // namespace citadel::advisor

namespace {

namespace pg = citadel::pg;
using namespace citadel::advisor;

} // namespace

CITADEL_FUNCTION(citadel_advisor_progress) {
    pg::ResultSet rows(fcinfo);
    for (int i = 0; slots != nullptr && i < slot_count; ++i) {
        const Slot& slot = slots[i];
        const int pid = slot.pid;
        if (pid == 0 || slot.database != MyDatabaseId)
            continue;
        rows.row({pg::arg(static_cast<std::int32_t>(pid)), pg::arg_oid(slot.user), pg::arg_timestamptz(slot.started_at),
                  pg::arg(phase_name(slot.phase)), pg::arg(slot.done.load()), pg::arg(slot.total.load()),
                  pg::arg(slot.candidates.load()), pg::arg(slot.planner_calls.load()), pg::arg(slot.chosen.load()),
                  pg::arg(slot.cost_before.load()), pg::arg(slot.cost_so_far.load())});
    }
    return static_cast<Datum>(0);
}

CITADEL_FUNCTION(citadel_stop_advisor) {
    const int pid = PG_GETARG_INT32(0);
    bool found = false;
    for (int i = 0; slots != nullptr && i < slot_count; ++i) {
        Slot& slot = slots[i];
        if (pid == 0 || slot.pid != pid || slot.database != MyDatabaseId)
            continue;
        const Oid owner = slot.user;
        if (!pg::guard([owner] { return has_privs_of_role(GetUserId(), owner); }))
            pg::raise(ERRCODE_INSUFFICIENT_PRIVILEGE,
                      "must be a member of the role whose advisor is running to stop it");
        slot.stop = true;
        found = true;
    }
    PG_RETURN_BOOL(found);
}
