// Rows in the default partition: into a partition of their own, without any reader missing one.
#pragma once

#include "lifecycle/model.hpp"
#include "pg/server.hpp"

namespace citadel::lifecycle {

// Moves the rows of [lower, upper) out of the default partition into a new partition with these bounds. They are copied
// in batches while the new table is still detached and they stay where they are; then one short transaction compares,
// deletes and attaches. In the job alone; resumable. Returns the rows moved.
std::int64_t move_default_rows(const Policy& policy, Place lower, Place upper, std::int64_t& operation_id);

// Drops the default partition if it is empty; whether it did.
bool drop_default(const Policy& policy);

} // namespace citadel::lifecycle
