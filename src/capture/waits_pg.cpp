// What slow statements wait for, seen from outside: the launcher looks at them every 100 ms.
#include "pg/server.hpp"

#include "capture/capture.hpp"
#include "capture/overhead_pg.hpp"
#include "capture/shared_pg.hpp"
#include "pg/compat.hpp"
#include "pg/preload.hpp"

extern "C" {
#include "storage/proc.h"
}

namespace citadel::capture {

namespace {

WaitClass class_of(uint32 wait_event_info) {
    switch (wait_event_info & 0xFF000000U) {
    case 0:
        return wait_cpu;
    case PG_WAIT_LWLOCK:
        return wait_lwlock;
    case PG_WAIT_LOCK:
        return wait_lock;
    case PG_WAIT_BUFFERPIN:
        return wait_buffer_pin;
    case PG_WAIT_ACTIVITY:
        return wait_activity;
    case PG_WAIT_CLIENT:
        return wait_client;
    case PG_WAIT_IPC:
        return wait_ipc;
    case PG_WAIT_TIMEOUT:
        return wait_timeout;
    case PG_WAIT_IO:
        return wait_io;
    default:
        return wait_extension; // extensions, and what later versions add
    }
}

bool is_slow(const BackendSlot& slot, std::int64_t now) {
    const std::int64_t slow_at = slot.slow_at.load(std::memory_order_acquire);
    return slow_at != 0 && now >= slow_at;
}

} // namespace

bool wait_sampling_wanted() {
    if (shared_buffer() == nullptr || shed_level() >= shed_waits)
        return false;
    const std::int64_t now = GetCurrentTimestamp();
    for (int i = 0; i < shared_buffer()->backends(); ++i)
        if (is_slow(shared_buffer()->backend(i), now))
            return true;
    return false;
}

// The slot's number is its process's place among all processes: no pointer is shared, and a process that has gone in
// between costs one wrong count at most.
void sample_waits() {
    if (shared_buffer() == nullptr)
        return;
    const std::int64_t now = GetCurrentTimestamp();
    for (int i = 0; i < shared_buffer()->backends(); ++i) {
        BackendSlot& slot = shared_buffer()->backend(i);
        if (!is_slow(slot, now))
            continue;
        const std::uint64_t generation = slot.generation.load(std::memory_order_relaxed);
        const volatile PGPROC* process = &ProcGlobal->allProcs[i];
        const WaitClass wait = class_of(process->wait_event_info);
        if (slot.counted_generation.load(std::memory_order_relaxed) != generation) {
            for (auto& count : slot.waits)
                count.store(0, std::memory_order_relaxed);
            slot.counted_generation.store(generation, std::memory_order_release);
        }
        slot.waits[wait].fetch_add(1, std::memory_order_relaxed);
    }
}

} // namespace citadel::capture
