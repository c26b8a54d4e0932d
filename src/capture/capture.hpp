// What capture gives to the rooms above it: the samples of this database, and once per statement its text and plan.
// The executor hooks fill a buffer in shared memory (buffer.hpp); the scheduler of each database empties its share.
#pragma once

#include "capture/latency_histogram.hpp"
#include "capture/sample.hpp"
#include "capture/statement_table.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace citadel::capture {

struct StatementText {
    uint64_t query_id;
    uint32_t user;
    std::string text; // normalised: literals are $n after the bind parameters
    std::string search_path;
    bool truncated;
};

struct PlanText {
    uint64_t query_id, plan_id;
    uint32_t user;
    std::string json; // EXPLAIN (FORMAT JSON), constants replaced by "?"
    bool has_row_counts;
};

struct ParameterSet {
    std::vector<std::string> literals; // source tokens in order, as they stood: 'x', 42
    std::vector<uint32_t> bind_types;
    std::vector<std::optional<std::string>> binds; // text form; none: NULL
};

struct Counters {
    uint64_t captured;               // samples put into the buffer
    uint64_t dropped_full;           // samples lost because the buffer was full
    uint64_t dropped_memory;         // texts, plans or parameter sets lost because there was no room for them
    uint64_t dropped_busy;           // the same, because another process had the entry
    uint64_t discarded;              // samples of databases that nobody reads any more
    uint64_t plans_captured;         // texts of plans taken
    uint64_t plans_failed;           // EXPLAIN failed or was too long
    uint64_t texts_truncated;        // statements longer than what is kept of them
    uint64_t evicted;                // remembered statements and plans that made room for others
    uint64_t repeated;               // findings of a statement repeated in one transaction
    uint64_t row_counts;             // runs that were instrumented to count rows per plan node
    uint64_t hook_errors;            // errors of our own, swallowed
    size_t buffer_used, buffer_size; // bytes
    size_t statements, plans;        // remembered at the moment
    // The fast path:
    size_t delta_bytes;                   // of shared memory
    size_t delta_entries, delta_capacity; // statements counted since the history last looked, and how many there may be
    uint64_t deltas_evicted;              // counted with the rest because there was no room
    uint64_t deltas_discarded;            // of databases that nobody reads any more
    uint64_t deltas_busy;                 // flushes put off because another process had the lock
};

// The runs of all statements since the last time.
struct CountedRuns {
    std::vector<SharedDelta> statements; // several may be of one key: their sum counts
    bool has_rest = false;               // those without a place of their own
    Figures rest;
    ErrorClasses rest_errors;
    LatencyHistogram rest_latencies;
};

// At preload: shared memory and hooks.
void install();

// The calling process becomes the one that reads this database's samples, and from now on slow statements of this
// database are captured; its latch is set when the buffer is half full. Cheap when it is that already: call it in each
// cycle, because a debugging session may have had the role meanwhile. Texts and plans taken by a reader before are
// handed out again to a new one.
void become_consumer();

// For the consumer alone (empty in any other process). drain: oldest first, appended to `out`; returns their number.
size_t drain(std::vector<Sample>& out);
// Whether samples take half of their room or more: what the consumer's latch was set for.
bool samples_half_full();
std::vector<StatementText> take_new_statements();
std::vector<PlanText> take_new_plans();

// For the consumer alone: what every statement of this database did, except in the minute (since 2000-01-01) that still
// runs; all_minutes: in that, too. Added to `out`.
inline constexpr uint32_t all_minutes = 0xffffffffU;
void take_counted_runs(uint32_t running_minute, CountedRuns& out);
// In any backend: what it has counted itself goes to shared memory now.
void flush_counted_runs();

// In any backend, of its own database; empty when parameters are not sampled or the statement is forgotten.
std::vector<ParameterSet> parameter_sets(uint64_t query_id, uint32_t user);

// The next run of this statement with this plan in this database, fast or slow, writes the plan down, unless it is
// known.
void write_plan_once(uint64_t query_id, uint64_t plan_id);

Counters counters();

// Wait sampling, called by the launcher: is a statement running past its threshold, and if so what are they waiting
// for?
bool wait_sampling_wanted();
void sample_waits();

// For the launcher, as often as it likes: once a second it looks at what capture costs, decides what is left out, and
// writes a line to the server's log when that changes (overhead.hpp).
void judge_overhead();

} // namespace citadel::capture
