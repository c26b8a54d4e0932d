#include "capture/shared_pg.hpp"

#include "pg/compat.hpp"
#include "pg/shared_memory.hpp"
#include "settings/settings.hpp"

extern "C" {
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/proc.h"
}

namespace citadel::capture {

namespace {

Buffer* buffer = nullptr;
Scratch scratch_memory;

std::size_t wanted_bytes() {
    return static_cast<std::size_t>(settings::capture_buffer_kb) * 1024;
}

// Shared memory comes aligned to a cache line or more (ShmemAlloc), whatever its size.
std::size_t buffer_size() {
    return Buffer::size_for(wanted_bytes(), MaxBackends);
}

void attach(void* memory, bool fresh) {
    buffer = fresh ? Buffer::create(memory, wanted_bytes(), MaxBackends) : static_cast<Buffer*>(memory);
}

BackendSlot* own_slot = nullptr;

// A session that is terminated in the middle of a statement never says that it has ended.
void slot_is_left(int, Datum) {
    own_slot->slow_at.store(0, std::memory_order_relaxed);
}

} // namespace

Buffer* shared_buffer() {
    return buffer;
}
Scratch& scratch() {
    return scratch_memory;
}

void register_buffer() {
    pg::register_shared_memory({"citadel_opt capture", buffer_size, attach, 0});
}

int captured_database() {
    static std::uint32_t seen_generation = 0;
    static int index = -1;
    const std::uint32_t generation = buffer->generation();
    if (generation != seen_generation) {
        seen_generation = generation;
        index = OidIsValid(MyDatabaseId) ? buffer->find_database(MyDatabaseId) : -1;
    }
    return index;
}

// A process keeps its number as long as it lives.
BackendSlot* my_slot() {
    if (own_slot == nullptr) {
        const int number = pg::my_proc_number();
        own_slot = number >= 0 && number < buffer->backends() ? &buffer->backend(number) : nullptr;
        if (own_slot != nullptr)
            before_shmem_exit(slot_is_left, 0);
    }
    return own_slot;
}

// A process may have taken over the number of a reader that has gone: then it wakes up for nothing.
void wake_reader(const Database& database) {
    const std::int32_t number = database.consumer.load(std::memory_order_acquire);
    if (number >= 0 && number < static_cast<std::int32_t>(ProcGlobal->allProcCount))
        SetLatch(&ProcGlobal->allProcs[number].procLatch);
}

} // namespace citadel::capture
