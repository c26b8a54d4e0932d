// From the catalogues and a sample of the table to a size model.
#pragma once

#include "advisor/index_size.hpp"
#include "advisor/what_if_pg.hpp"

#include "pg/server.hpp"

#include <functional>

extern "C" {
#include "nodes/pathnodes.h"
}

namespace citadel::advisor {

// How large the index on `table` (its own, or a partition) will be for a number of rows of that table. `form` is its
// description there (describe_index).
std::function<IndexSize(double)> size_model(const HypotheticalIndex& index, const IndexOptInfo& form, Oid table);

} // namespace citadel::advisor
