// What the files about plain tables share.
#pragma once

#include "lifecycle/model.hpp"
#include "lifecycle/operation_pg.hpp"
#include "pg/server.hpp"

#include <string>
#include <utility>
#include <vector>

namespace citadel::lifecycle::plain {

// Why the rows of the table cannot be moved away in batches; empty: they can.
std::string keep_obstacle(const Policy& policy);

// Why the table cannot become a partitioned one; empty: it can. The first reason found, with the object's name.
std::string convert_obstacle(const Policy& policy);

// The regular period that holds the place.
std::pair<Place, Place> period_of(const Policy& policy, const Zone& zone, Place place);

// "column >= 'lower' AND column < 'upper'", without the ends that are open.
std::string range_condition(const Policy& policy, Place lower, Place upper);

// schema.name, quoted.
std::string table_name(const Policy& policy);

// Columns that can be written, in their order, quoted.
std::string writable_columns(Oid table);

// The name of an index that has the time column first and serves a range scan; empty when there is none.
std::string time_index(const Policy& policy);

// Microseconds since some point, never going back.
std::int64_t monotonic_us();

// True when the operation has ended; false: it has to wait, or the policy was changed.
bool move_rows(const Policy& policy, const Zone& zone, operation::Row row);
void convert(const Policy& policy, const Zone& zone, operation::Row row);
void split(const Policy& policy, const Zone& zone, operation::Row row);

} // namespace citadel::lifecycle::plain
