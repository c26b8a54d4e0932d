#include "advisor/stand_ins.hpp"

namespace citadel::advisor {

void StandIns::add(const Candidate& index) {
    const auto item = static_cast<Item>(indexes_.size());
    indexes_.push_back(index);
    covered_.emplace_back();
    covering_.emplace_back();
    const bool ordered = index.method == AccessMethod::btree || index.method == AccessMethod::hash;
    const KeyColumn first = ordered && !index.key.empty() ? index.key.front() : KeyColumn{};
    std::vector<Item>& family =
        families_[Family{index.relation, index.method, index.predicate, first.column, first.expression}];
    for (const Item other : family) {
        if (subsumes(index, indexes_[other])) {
            covered_[item].push_back(other);
            covering_[other].push_back(item);
        }
        if (subsumes(indexes_[other], index)) {
            covered_[other].push_back(item);
            covering_[item].push_back(other);
        }
    }
    family.push_back(item);
}

} // namespace citadel::advisor
