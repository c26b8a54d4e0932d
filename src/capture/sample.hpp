// One finished slow statement, as it travels through shared memory. Plain data.
#pragma once

#include <cstdint>

namespace citadel::capture {

enum class Outcome : uint8_t { ok, error, cancelled, timeout };

// As citadel.sample.outcome says it.
inline const char* outcome_name(Outcome outcome) {
    switch (outcome) {
    case Outcome::ok:
        return "ok";
    case Outcome::error:
        return "error";
    case Outcome::cancelled:
        return "cancelled";
    case Outcome::timeout:
        return "timeout";
    }
    return "ok";
}

// Wait event classes by which sampled waits are counted; cpu: not waiting.
enum WaitClass : int {
    wait_lwlock,
    wait_lock,
    wait_buffer_pin,
    wait_activity,
    wait_client,
    wait_extension,
    wait_ipc,
    wait_timeout,
    wait_io,
    wait_cpu,
    wait_class_count
};

inline constexpr const char* wait_class_names[wait_class_count] = {
    "LWLock", "Lock", "BufferPin", "Activity", "Client", "Extension", "IPC", "Timeout", "IO", "cpu"};

struct Sample {
    enum class Kind : uint8_t { slow_statement, repeated_in_transaction } kind;
    Outcome outcome;
    bool nested;
    bool has_row_counts_armed; // this run counted rows per plan node
    uint32_t database, user;
    uint64_t query_id, plan_id;
    int sqlstate;                 // packed as the server does (MAKE_SQLSTATE), 0 for ok
    uint32_t repeats;             // calls, for repeated_in_transaction
    int64_t started_at, ended_at; // TimestampTz
    double duration_ms, jit_ms, io_ms;
    int64_t rows;
    int64_t shared_hit, shared_read, shared_dirtied, shared_written, local_read, temp_read, temp_written; // blocks
    uint64_t wal_bytes;
    uint32_t waits[wait_class_count]; // times seen waiting for that class, every 100 ms past the threshold
};

} // namespace citadel::capture
