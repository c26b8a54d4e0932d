// What the server knows about whether an existing index may go.
#pragma once

namespace citadel::advisor {

// Standbys read with the same indexes, and do not tell us which: while one exists, nothing is dropped. A replication
// connection of a logical subscriber is none.
bool standbys_exist();

} // namespace citadel::advisor
