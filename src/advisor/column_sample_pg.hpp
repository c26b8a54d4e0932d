// How two columns of a table depend on each other, counted in a sample of its rows.
#pragma once

#include "advisor/findings.hpp"

#include <compare>
#include <optional>

namespace citadel::advisor {

struct ColumnPair {
    RelationId relation = 0;
    ColumnNumber first = 0; // the lower number
    ColumnNumber second = 0;
    friend auto operator<=>(const ColumnPair&, const ColumnPair&) = default;
};

// Nothing when the table is gone, small, too widely partitioned to be sampled, locked by somebody for longer than
// lock_timeout, or when its columns cannot be compared. Reads at most some 30,000 rows as the table's owner; the lock
// goes with the reading.
std::optional<CorrelationFacts> sample_pair(const ColumnPair& pair);

} // namespace citadel::advisor
