// Which indexes stand in for which: those that do all that a shorter one does.
#pragma once

#include "advisor/model.hpp"
#include "advisor/search.hpp"

#include <map>
#include <tuple>
#include <vector>

namespace citadel::advisor {

class StandIns {
  public:
    // In the order of their numbers, each once.
    void add(const Candidate& index);
    std::size_t items() const { return covered_.size(); }
    // What the item stands in for; what stands in for it.
    const std::vector<Item>& covered(Item item) const { return covered_[item]; }
    const std::vector<Item>& covering(Item item) const { return covering_[item]; }

  private:
    // Only those that begin with the same column can stand in for each other; in GIN, GiST and BRIN the order of
    // columns means nothing.
    using Family = std::tuple<RelationId, AccessMethod, ExpressionId, ColumnNumber, ExpressionId>;
    std::map<Family, std::vector<Item>> families_;
    std::vector<Candidate> indexes_;
    std::vector<std::vector<Item>> covered_;
    std::vector<std::vector<Item>> covering_;
};

} // namespace citadel::advisor
