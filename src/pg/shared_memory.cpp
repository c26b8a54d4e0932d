#include "pg/shared_memory.hpp"

#include "pg/boundary.hpp"
#include "pg/guard.hpp"

extern "C" {
#include "storage/shmem.h"
}

#include <array>

namespace citadel::pg {

namespace {

constexpr int max_parts = 16;
std::array<SharedMemoryPart, max_parts> parts;
int part_count = 0;

shmem_request_hook_type previous_request = nullptr;
shmem_startup_hook_type previous_startup = nullptr;

void request() {
    if (previous_request != nullptr)
        previous_request();
    boundary([] {
        for (int i = 0; i < part_count; ++i) {
            const SharedMemoryPart& part = parts[i];
            const std::size_t bytes = part.size();
            guard([&part, bytes] {
                RequestAddinShmemSpace(bytes);
                if (part.lwlocks > 0)
                    RequestNamedLWLockTranche(part.name, part.lwlocks);
            });
        }
    });
}

void startup() {
    if (previous_startup != nullptr)
        previous_startup();
    boundary([] {
        LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
        for (int i = 0; i < part_count; ++i) {
            const SharedMemoryPart& part = parts[i];
            const std::size_t bytes = part.size();
            bool found = false;
            void* memory = guard([&] { return ShmemInitStruct(part.name, bytes, &found); });
            part.attach(memory, !found);
        }
        LWLockRelease(AddinShmemInitLock);
    });
}

} // namespace

void register_shared_memory(const SharedMemoryPart& part) {
    if (part_count == max_parts)
        raise(ERRCODE_INTERNAL_ERROR, "too many shared memory parts");
    parts[part_count++] = part;
}

void install_shared_memory_hooks() {
    previous_request = shmem_request_hook;
    shmem_request_hook = request;
    previous_startup = shmem_startup_hook;
    shmem_startup_hook = startup;
}

} // namespace citadel::pg
