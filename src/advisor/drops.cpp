#include "advisor/drops.hpp"

namespace citadel::advisor {

namespace {

bool may_go(const ExistingIndex& index) {
    return index.comparable && !index.constraint && !index.unique;
}

} // namespace

Candidate as_candidate(RelationId relation, const ExistingIndex& index) {
    return Candidate{relation, index.method, index.key, index.included, index.predicate};
}

std::vector<DroppableIndex> droppable_indexes(RelationId relation, const std::vector<ExistingIndex>& existing) {
    std::vector<DroppableIndex> found;
    for (const ExistingIndex& index : existing) {
        if (!may_go(index))
            continue;
        DroppableIndex droppable{index, as_candidate(relation, index), false, DropReason::redundant, 0};
        for (const ExistingIndex& other : existing) {
            if (may_go(other) || !other.comparable || !other.valid)
                continue;
            const Candidate stays = as_candidate(relation, other);
            if (!subsumes(stays, droppable.as_candidate))
                continue;
            droppable.freely = true;
            droppable.covered_by = other.id;
            droppable.reason = subsumes(droppable.as_candidate, stays) ? DropReason::duplicate : DropReason::redundant;
            break;
        }
        if (!index.valid || index.unused) {
            droppable.freely = true;
            droppable.reason = index.valid ? DropReason::unused : DropReason::invalid;
        }
        found.push_back(std::move(droppable));
    }
    return found;
}

} // namespace citadel::advisor
