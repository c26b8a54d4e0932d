// From what the fast path counted to the rows of a minute: grouped by statement, ranked by time, the rest together.
// Server-free.
#pragma once

#include "capture/statement_table.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace citadel::history {

struct BucketRow {
    capture::DeltaKey key; // query_id 0: the rest of its minute
    capture::Figures figures;
    capture::ErrorClasses errors;
    std::string latency; // serial form
};

// At most `most` rows of statements of their own, those with the most time, and one for the rest of each minute in
// which there is one. `rest` (nullptr: nothing) is added to the rest of its minute.
std::vector<BucketRow> bucket_rows(std::vector<capture::SharedDelta> taken, const BucketRow* rest, std::size_t most);

enum class Step { hour, day };
const char* step_name(Step step);
// As an interval: a day of UTC has 24 hours, '1 day' is what the time zone makes of it.
const char* step_length(Step step);

// The statements that sum up one bucket of `step`: $1 timestamptz its begin, $2 bigint how many rows it may have
// besides the rest. First what was summed up before is removed: a bucket may get more runs later.
std::string clear_bucket_sql(Step step);
std::string sum_up_sql(Step step);
// Begins of the buckets with something to sum up, microseconds since 2000-01-01: $1 timestamptz from, $2 timestamptz
// to; oldest first.
std::string buckets_to_sum_up_sql(Step step);

} // namespace citadel::history
