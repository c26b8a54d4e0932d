// Which plans of a statement to ask for before any search: from the best one down to today's, each with what it needs.
// For selection.cpp and its parts.
#pragma once

#include "advisor/selection_context.hpp"

#include <cstddef>
#include <vector>

namespace citadel::advisor {

class PlanSampler {
  public:
    using Items = CostCache::Items;

    explicit PlanSampler(SelectionContext& context) : context_(context), cache_(context.cache) {}

    // Everything of a statement's on offer.
    const Items& with_all(std::size_t s) const { return cache_.items_of(s); }
    // Plans for when existing indexes have gone: those in use one by one, then all of them, until none is in use.
    void without_existing(std::size_t s);
    // Plans for when a longer index has taken the place of an existing one that a statement uses.
    void with_substitutes();
    void sample(std::size_t s);
    // Plans with `offered` on top of `set`, then without what that used, and so on.
    void peel(std::size_t s, const Items& set, Items offered, int levels);
    // The best plan, and those without each of its indexes.
    void without_each(std::size_t s, const Items& set);
    // What of a sorted list concerns the statement.
    Items concerning(std::size_t s, const Items& items) const;

    static constexpr int levels_down = 3; // plans made by taking away what the one before used

  private:
    // Does the statement's plan tell of each index what others would cost in its place (those of correlated subqueries
    // do not)? Then plans that join in another way are all that is to be found out.
    bool tells_others(const CostCache::Plan& plan) const;
    // The plan, and those in which one place after the other is served by none of the indexes that could: the joins are
    // others then, and different indexes may matter.
    void without_places(std::size_t s, const Items& set, int depth);
    // Plans with ever smaller indexes: what a tight budget can have.
    void shrink(std::size_t s, const Items& set, Items offered);

    SelectionContext& context_;
    CostCache& cache_;
};

} // namespace citadel::advisor
