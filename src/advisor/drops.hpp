// Which existing indexes may go.
#pragma once

#include "advisor/model.hpp"

#include <cstdint>
#include <optional>
#include <vector>

namespace citadel::advisor {

enum class DropReason : std::uint8_t {
    unused,    // nobody scanned it for long
    invalid,   // left behind by a failed CREATE INDEX CONCURRENTLY: maintained, never read
    duplicate, // another index is the same
    redundant, // a longer index does what it does
};

// An existing index that a selection may drop. Never one that is unique, or that a constraint, a replica identity or
// CLUSTER rests on, or that the model cannot compare with others.
struct DroppableIndex {
    ExistingIndex index;
    Candidate as_candidate;
    // Needs no substitute: unused, invalid, or covered by an index that stays.
    bool freely = false;
    DropReason reason = DropReason::redundant;
    IndexId covered_by = 0; // an index that stays
};

std::vector<DroppableIndex> droppable_indexes(RelationId relation, const std::vector<ExistingIndex>& existing);

// An existing index as one that might be created.
Candidate as_candidate(RelationId relation, const ExistingIndex& index);

} // namespace citadel::advisor
