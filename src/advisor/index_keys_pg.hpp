// What an operator class makes of values: the entries of a GIN index, the keys of a GiST index.
#pragma once

#include "advisor/key_frequency.hpp"
#include "advisor/table_sample_pg.hpp"

#include "pg/server.hpp"

#include <vector>

extern "C" {
#include "nodes/pathnodes.h"
}

namespace citadel::advisor {

struct ExtractedEntries {
    std::vector<SeenKey> keys; // each distinct entry of each row
    double rows = 0.0;         // how many rows were looked at
    bool keys_by_reference = true;
    double longest = 0.0; // bytes of an entry
};

// The entries of one column of a GIN index over the rows marked in `matching` (nullptr: all), by the operator class's
// extractValue function; of rows with many entries, fewer are looked at. Raises what that raises.
ExtractedEntries gin_entries(const SampledValues& values, const std::vector<bool>* matching, const IndexOptInfo& form,
                             int column, Oid operator_class);

// Mean bytes of a GiST leaf key after the operator class's compress function, with alignment; 0 without rows. `longest`
// is raised to those of the longest.
double gist_key_bytes(const SampledValues& values, const std::vector<bool>* matching, const IndexOptInfo& form,
                      int column, Oid operator_class, double* longest);

} // namespace citadel::advisor
