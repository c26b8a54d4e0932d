// One statement, planned with unknown parameters and with sets of known values, is one set of uses.
#pragma once

#include "advisor/model.hpp"

#include <vector>

namespace citadel::advisor {

// What the statement's tables were used for when it was planned generically, and with each set of known values.
struct Regimes {
    std::vector<RelationUse> generic; // empty: could not be planned so
    std::vector<std::vector<RelationUse>> known;
};

// The uses to find candidates for: those of all regimes together. Searches that only a known value makes possible
// (LIKE) are kept. A predicate is kept where it holds whatever the values are, or was the same in nearly all known
// sets, of which there must be two at least: `agreement` of them.
std::vector<RelationUse> merged(const Regimes& regimes, double agreement = 0.9);

} // namespace citadel::advisor
