// What the server-facing files of capture share: the buffer, this process's place in it, and its scratch memory.
#pragma once

#include "pg/server.hpp"

#include "capture/buffer.hpp"
#include "capture/normalize.hpp"
#include "capture/store.hpp"

#include <cstddef>
#include <cstdint>

namespace citadel::capture {

// nullptr unless preloaded and the server's shared memory has been set up.
Buffer* shared_buffer();
void register_buffer(); // at preload

// Index of this backend's database among the captured ones, -1 when nobody reads it. A comparison on the fast path.
int captured_database();

// This backend's slot for the wait sampler, nullptr for processes without one.
BackendSlot* my_slot();

// Wakes the reader of a database.
void wake_reader(const Database& database);

// Memory of this process for the slow path, allocated with the process: a hook must not ask for any. Used by one
// capture at a time, and nothing that uses it runs statements.
struct Scratch {
    static constexpr std::size_t text_size = 16 * 1024;
    static constexpr std::size_t plan_size = Store::longest_text;
    static constexpr std::size_t parameters_size = 4 * 1024;
    static constexpr std::size_t max_literals = 256;
    char text[text_size];
    char plan[plan_size];
    char parameters[parameters_size];
    Span literals[max_literals];
};
Scratch& scratch();

// A database without a reader is still captured for this long (microseconds): the next one may be starting.
inline constexpr std::int64_t reader_patience = 120'000'000;

} // namespace citadel::capture
