// Rows of citadel.lifecycle_operation: the state machine on disk.
#pragma once

#include "lifecycle/model.hpp"
#include "pg/error.hpp"

#include <optional>
#include <string>

namespace citadel::lifecycle::operation {

struct Row {
    std::int64_t id = 0;
    std::int64_t policy_id = 0;
    std::string kind, state;
    std::uint32_t subject = 0;
    std::string schema, name; // as they were when it began
    std::string lower_text, upper_text;
    Place lower = open_low, upper = open_high;
    std::string bound;      // 'FOR VALUES ...' before the detach
    std::string privileges; // what close_to_writers() took
    std::int64_t archive_id = 0;
    std::string destination; // of that archive; what the policy says now may be another
    std::int32_t attempts = 0;
};

// The open operation of this kind on the partition; a new one when there is none. In the current transaction.
Row open_expiry(const Policy& policy, std::uint32_t partition, Place lower, Place upper);
Row read(std::int64_t id);

// A new state; clears the failure. `done`, `undone` and `cancelled` end the operation. Raises 55000 when somebody asked
// for the expiry to be undone meanwhile, or ended it: what the current transaction did is to be rolled back.
void set_state(const Row& row, const char* state);
// The same, also in `row`.
void enter(Row& row, const char* state);
void set_not_before(const Row& row, std::int64_t not_before);
// Keys `privileges`, `bound` and so on of the column detail.
void set_detail(const Row& row, const char* key, const std::string& value);
void set_archive(const Row& row, std::int64_t archive_id);

// Back to `closed`, without the archive, whose copy was given up; counted, so that the pauses between copies grow.
void begin_anew(const Row& row);
// Notes a failure and when it is to be tried again: after a minute, doubling up to an hour.
void note_failure(std::int64_t id, const pg::Error& error);

} // namespace citadel::lifecycle::operation
