// What the server knows about whether an existing index may go, and how to say that it should.
#pragma once

#include "advisor/drops.hpp"
#include "advisor/selection.hpp"

#include <string>

namespace citadel::advisor {

// Standbys read with the same indexes, and do not tell us which: while one exists, nothing is dropped. A replication
// connection of a logical subscriber is none.
bool standbys_exist();

// DROP INDEX [CONCURRENTLY] ..., and why.
std::string drop_statement(const Drop& drop);
std::string drop_reason(const Drop& drop);

} // namespace citadel::advisor
