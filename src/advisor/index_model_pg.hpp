// From the catalogues and a sample of the table to a size model.
#pragma once

#include "advisor/index_size.hpp"
#include "advisor/table_sample_pg.hpp"
#include "advisor/what_if_pg.hpp"

#include "pg/server.hpp"

#include <functional>

extern "C" {
#include "nodes/pathnodes.h"
}

namespace citadel::advisor {

// What a size model is made from.
struct ModelledTable {
    Oid table = InvalidOid;
    double rows = 0.0; // as the planner estimates them
    BlockNumber pages = 0;
    std::function<TableSample*()> sample; // reads it at first need; nullptr: there is none to be had
};

// How large the index on that table (its own, or a partition) will be for a number of rows of the table. `form` is its
// description there (describe_index). Statistics are enough for most B-trees; partial ones, expressions, keys whose
// columns depend on each other, and GIN and GiST are measured in a sample.
std::function<IndexSize(double)> size_model(const HypotheticalIndex& index, const IndexOptInfo& form,
                                            const ModelledTable& table);

} // namespace citadel::advisor
