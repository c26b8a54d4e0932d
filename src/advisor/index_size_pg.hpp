// From the catalogues to the size model: what a B-tree over these columns of a table would weigh.
#pragma once

#include "advisor/index_size.hpp"

#include "pg/server.hpp"

extern "C" {
#include "nodes/pathnodes.h"
}

namespace citadel::advisor {

// Size inputs of an index on `table` with `rows` rows, described as the planner sees it: widths, null fractions and
// distinct values from pg_statistic, the server's defaults where the table was never analysed.
SizedIndex sized_index(Oid table, double rows, const IndexOptInfo& form);

} // namespace citadel::advisor
