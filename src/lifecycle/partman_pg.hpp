// pg_partman: registration and partitions ahead of time. Its retention is not used: it goes by start + interval and has
// been seen to drop partitions with younger rows in them.
#pragma once

#include "lifecycle/model.hpp"
#include "pg/server.hpp"

namespace citadel::lifecycle::partman {

// Whether pg_partman can make this partition: it is there, knows such an interval, and nothing of the owner's code
// would run as somebody else on the way. A table that it does not keep yet can only be registered while it has no
// partition.
bool can_make(const Policy& policy, Place lower, Place upper, bool table_is_empty);

// Has pg_partman make it, registering the table first where needed; in the current transaction, whose lock on the table
// keeps its definition as can_make() saw it. Which partitions exist afterwards is for the caller to look up.
void make(const Policy& policy, Place lower);

// What is wrong with how the set is configured there: retention, pg_partman_bgw.
std::vector<std::string> warnings(const Policy& policy);

// Its configuration goes by names: follow a rename, forget a table that is gone.
void rename(const std::string& old_schema, const std::string& old_name, const std::string& schema,
            const std::string& name);
void forget(const std::string& schema, const std::string& name);

} // namespace citadel::lifecycle::partman
