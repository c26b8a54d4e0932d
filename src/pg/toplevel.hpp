// Statements that insist on being alone in their transaction, run from a worker without libpq.
#pragma once

#include <string>

namespace citadel::pg {

// Runs one statement as a client's top-level statement: CREATE INDEX CONCURRENTLY, ALTER TABLE ... DETACH PARTITION
// CONCURRENTLY, VACUUM, CALL of a procedure that commits. Must be called outside a transaction; starts and commits its
// own. Raises the statement's error with the transaction aborted; 42601 when the text holds several statements.
void run_top_level(const std::string& sql);

} // namespace citadel::pg
