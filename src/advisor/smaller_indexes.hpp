// Of indexes that do as well, the smaller one: the last look at an answer. For selection.cpp.
#pragma once

#include "advisor/selection_context.hpp"

#include <vector>

namespace citadel::advisor {

class SmallerIndexes {
  public:
    explicit SmallerIndexes(SelectionContext& context) : context_(context), cache_(context.cache) {}

    // Gives a created index's place to a smaller one of its table where, by the planner's word, the statements that use
    // it cost the same: a thousandth more at most, and of that the share of its bytes that is saved. The search takes
    // whichever of equals it met first. `byte_price`: what a byte must bring anyway.
    void take(SearchAnswer& answer, double byte_price);

  private:
    struct User {
        std::size_t statement;
        double cost; // of one execution, with the answer
    };
    struct Allowed {
        double total; // weighted
        double bytes; // of the index
        double byte_price;
        double with(double smaller) const;
    };

    std::vector<User> users_of(Item item, const SearchAnswer& answer);
    // Smaller ones that could do, smallest first: by what is known of their plans, their statements cost no more than
    // is allowed.
    std::vector<Item> alternatives(Item item, const std::vector<User>& users, const SearchAnswer& answer,
                                   const Allowed& allowed);
    bool takes_over(Item smaller, Item item, const SearchAnswer& answer) const;
    // Asks the planner. `present`: with the smaller one instead.
    bool does_as_well(const std::vector<User>& users, const CostCache::Set& present, double most);

    SelectionContext& context_;
    CostCache& cache_;
};

} // namespace citadel::advisor
