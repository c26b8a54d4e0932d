// The planner: what is to be done to a partitioned table now. A pure function of what was found; `preview` prints its
// result and the executor walks through it.
#pragma once

#include "lifecycle/model.hpp"

#include <string>
#include <vector>

namespace citadel::lifecycle {

// What is known of a table when its plan is made.
struct Facts {
    Policy policy;
    std::string relation; // schema.name, quoted
    std::vector<Partition> partitions;
    std::vector<Operation> open; // operations under way, of kind `expire`
    std::int64_t now = 0;        // microseconds since 2000-01-01 UTC
    std::optional<Place> newest; // integer column: its highest value
    Place highest = open_high;   // integer column: the highest value of its type
    // Places of rows in the default partition, one for each period that has any; without infinite ones.
    std::vector<Place> default_places;
    bool default_is_empty = true;
    std::string brake; // why rows are not moved now (replication lag, ...); empty: they may be
    // Text of a place for people, and of the bound in DDL.
    std::string (*place_text)(Place, const Policy&) = nullptr;
};

std::vector<Step> plan(const Facts& facts, const Zone& zone);

// Rows before this place have expired; nothing when none ever do.
std::optional<Place> cutoff(const Facts& facts, const Zone& zone);

// How far from now the partitions reach without a gap: the first place at or after now that none covers. open_high when
// there is no end; nothing when not even now is covered. For an integer column, from its highest value.
std::optional<Place> covered_until(const Facts& facts);

// Why nothing may be moved or dropped in a restored or cloned database, where the OIDs of what was going on may be
// those of other tables; empty where the policy is at home.
std::string not_at_home(const Policy& policy);

// Whether the policy's hours allow moving rows now.
bool hours_allow(const Policy& policy, std::int64_t now, const Zone& zone);
// What is said of rows of plain tables when they do not.
std::string outside_hours(const Policy& policy);

} // namespace citadel::lifecycle
