// From the catalogues to the size model: what a B-tree over these columns of a table would weigh.
#pragma once

#include "advisor/index_size.hpp"

#include "pg/server.hpp"

#include <vector>

namespace citadel::advisor {

// Size inputs for an index on `relation` with `rows` rows: widths, null fractions and distinct values from
// pg_statistic, the server's defaults where the table was never analysed. `columns` are key columns, then included
// ones.
SizedIndex sized_index(Oid relation, double rows, const std::vector<AttrNumber>& key,
                       const std::vector<AttrNumber>& included, bool unique);

} // namespace citadel::advisor
