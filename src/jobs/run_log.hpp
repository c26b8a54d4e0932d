// The SQL of citadel.job_run_log, as launcher-side code needs it. Every function needs an open transaction.
#pragma once

#include "pg/error.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace citadel::jobs::run_log {

struct Run {
    std::int64_t run_id;
    std::string job_name;
};

// Runs marked as running whose row no live worker stands behind become failed (SQLSTATE 57P02).
void fail_vanished(Oid database);
// Queues a run of every job that is due and has none open.
void queue_due();
// The next queued run of each job that is not running and may run, oldest first.
std::vector<Run> startable();
// Milliseconds until the next job without an open run is due; nothing when none is scheduled.
std::optional<std::int64_t> milliseconds_to_next();
void fail_start(std::int64_t run_id, const std::string& reason);
// Drops old rows, keeping what citadel.job needs.
void forget_old(int retention_hours);
// Records this database's identity when nothing is recorded yet.
void record_identity();

struct Started {
    std::string job_name;
    std::optional<std::int64_t> max_runtime_ms;
};
// queued -> running with this process's pid; nothing when the run is no longer queued.
std::optional<Started> start(std::int64_t run_id);
void succeed(std::int64_t run_id);
void fail(std::int64_t run_id, const pg::Error& error);
void fail_timeout(std::int64_t run_id, std::int64_t max_runtime_ms);

} // namespace citadel::jobs::run_log
