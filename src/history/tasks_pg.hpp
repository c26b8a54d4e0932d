// What the files of this room share; the ticks run in the scheduler, each in a transaction of its own.
#pragma once

#include "pg/server.hpp"

#include "history/buckets.hpp"

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace citadel::history {

// Whether CREATE EXTENSION ran in a restore of a dump that has not ended yet. Nothing is written meanwhile: our
// partitions and rows would collide with those of the dump, which comes first.
bool restore_in_progress();

// Runs `work` in a subtransaction; what became of it goes into citadel.snapshot_state. Returns false after an error,
// which is logged when it is not the one of last time. One source that fails does not stop the others.
bool record_source(const char* source, TimestampTz at, const std::function<void()>& work);

// Makes the partition of one of the partitioned tables for a day, indexed, unless it is there.
void ensure_partition(const char* table, std::int64_t day);
// The partitions of all tables for the day of `now` and the one after; looks only when a new day has begun.
void ensure_partitions_ahead(TimestampTz now);

// What the fast path counted -> minutes -> hours and days. Not the minute that still runs, unless `all`.
void store_counted_runs(bool all);
// At the end of its transaction, like drain_ended().
void counted_runs_ended(bool committed) noexcept;

// Looks in a minute that was stored for statements that have become slower.
void judge_rows(const std::vector<BucketRow>& rows);

void drain();              // capture buffer -> tables
void snapshot(bool asked); // counters -> deltas; asked: by citadel.collect()
// Measures tables and indexes once an hour, or `now_please`, and sums their minutes up to hours and days.
void follow_relations(TimestampTz now, bool now_please);
// At the end of the transaction in which drain() stored its samples: forgets them, or keeps them for the next one.
void drain_ended(bool committed) noexcept;

} // namespace citadel::history
