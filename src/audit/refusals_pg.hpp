// Refusals on their way from shared memory into the log.
#pragma once

namespace citadel::audit {

// Whether this database has any to write.
bool refusals_noted();
// Appends them in the current transaction; they leave shared memory when it commits. The caller sees to it that only
// one process does this at a time.
void write_refusals();

} // namespace citadel::audit
