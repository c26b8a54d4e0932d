// Policies as they are stored.
#pragma once

#include "lifecycle/model.hpp"
#include "pg/server.hpp"

namespace citadel::lifecycle {

// One row of citadel.lifecycle_policy as it is now, with its table followed: renamed, re-owned, found again by name in
// a restored database.
struct StoredPolicy {
    Policy policy;
    bool active = false;
    // The table cannot be found any more; policy.relation is InvalidOid then.
    bool gone = false;
    std::string stored_schema, stored_name; // as stored, where it differs from what the table is called now
    bool renamed = false;
    std::string error; // why the row makes no sense; empty: it does
};

// The table's name, quoted.
std::string relation_name(const Policy& policy);

// All of them, or those in `ids` (when not empty), ordered by id. Reads as the current user: a superuser.
std::vector<StoredPolicy> load_policies(const std::vector<std::int64_t>& ids = {});

// Writes down the name that the table has now; also in pg_partman, which knows tables by name.
void note_new_name(const StoredPolicy& stored);
// Suspends it, because its table is gone.
void suspend_gone(const StoredPolicy& stored);

// This server's system identifier, and whether a row with that home is at home here.
std::int64_t system_identifier();

const char* expiry_name(OnExpiry on_expiry);

} // namespace citadel::lifecycle
