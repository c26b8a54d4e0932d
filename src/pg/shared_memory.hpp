// Shared memory: rooms say at preload what they need, and get it when the server starts.
#pragma once

#include <cstddef>

namespace citadel::pg {

// One piece of shared memory of a room. `size` is asked after all settings are known; `attach` is called in every
// process that starts up shared memory, with `fresh` true exactly once, to initialise it. No pointer of a process may
// be stored inside. `lwlocks` asks for a named LWLock tranche with that many locks.
struct SharedMemoryPart {
    const char* name;
    std::size_t (*size)();
    void (*attach)(void* memory, bool fresh);
    int lwlocks;
};

// At preload only, before the server has sized its shared memory. At most 16 parts.
void register_shared_memory(const SharedMemoryPart& part);

// Chains shmem_request_hook and shmem_startup_hook; at preload, after all parts are registered.
void install_shared_memory_hooks();

} // namespace citadel::pg
