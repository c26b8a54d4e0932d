// The planner's description of an index that does not exist.
#pragma once

#include "advisor/index_size.hpp"
#include "advisor/what_if_pg.hpp"

#include "pg/server.hpp"

#include <cstddef>

extern "C" {
#include "nodes/pathnodes.h"
}

namespace citadel::advisor {

// The index on `table`, its own table or a partition of it, as get_relation_info() would describe a real one: in the
// current memory context, table number 1, without relation, sizes and number. Raises what CREATE INDEX raises when the
// partition lacks a column.
IndexOptInfo* describe_index(const HypotheticalIndex& index, Oid table);

// A copy for one planner call, to be called under a guard.
IndexOptInfo* copy_for_planner(const IndexOptInfo* form, RelOptInfo* relation, Oid oid, const IndexSize& size);

// An index on these expressions (varno 1) that no path can use, for the statistics that come with it. Under a guard.
IndexOptInfo* describe_carrier(const Node* const* expressions, std::size_t count, RelOptInfo* relation, Oid oid);

} // namespace citadel::advisor
