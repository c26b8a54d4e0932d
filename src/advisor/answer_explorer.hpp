// Plans around an answer of the search: with it, with one index less, one more, longer ones. For selection.cpp.
#pragma once

#include "advisor/plan_sampler.hpp"
#include "advisor/selection_context.hpp"

#include <set>
#include <utility>
#include <vector>

namespace citadel::advisor {

class AnswerExplorer {
  public:
    AnswerExplorer(SelectionContext& context, PlanSampler& sampler)
        : context_(context), cache_(context.cache), sampler_(sampler) {}

    // Longer versions of what was chosen, and one in the place of two: all on offer at once.
    void extend(SearchAnswer& answer);
    // The plans with the answer, with one index less, with one more. Returns what the answer costs with charges;
    // infinity when a statement gets worse by more than is allowed.
    double explore(const SearchAnswer& answer);

  private:
    using Items = CostCache::Items;

    // Candidates that some plan uses, on top of the answer and in place of what they stand in for: the most promising
    // of those whose gain is not known yet. `now`: a statement: its cost with the answer.
    void one_more(const SearchAnswer& answer, const std::vector<double>& now);
    // A statement's items with one more, and without what that stands in for.
    Items instead(Items there, Item item) const;

    SelectionContext& context_;
    CostCache& cache_;
    PlanSampler& sampler_;
    std::set<std::pair<Item, Item>> extended_; // and merged
};

} // namespace citadel::advisor
