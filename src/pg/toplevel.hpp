// Statements that insist on being alone in their transaction, run from a worker without libpq.
#pragma once

#include "pg/server.hpp"

#include <string>

namespace citadel::pg {

// Runs one statement as a client's top-level statement: CREATE INDEX CONCURRENTLY, ALTER TABLE ... DETACH PARTITION
// CONCURRENTLY, VACUUM, CALL of a procedure that commits. Must be called outside a transaction; starts and commits its
// own. Raises the statement's error with the transaction aborted; 42601 when the text holds several statements.
// With `user`, what the statement does up to its first commit is done as that role, in a security-restricted operation;
// a statement that commits in between goes on as the caller.
void run_top_level(const std::string& sql, Oid user = InvalidOid);

} // namespace citadel::pg
