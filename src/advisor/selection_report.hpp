// From a set of indexes to an answer in steps: what each brings at its place, what goes, who pays.
#pragma once

#include "advisor/selection.hpp"
#include "advisor/selection_context.hpp"

#include <map>
#include <vector>

namespace citadel::advisor {

class SelectionReport {
  public:
    // `may_ask`: may costs still be asked for? Else what is known has to do.
    SelectionReport(SelectionContext& context, bool may_ask)
        : context_(context), cache_(context.cache), may_ask_(may_ask) {}

    Selection make(const SearchAnswer& answer);

  private:
    using Set = CostCache::Set;

    // One that another stands for is priced with the whole answer alone; in between it goes the way of the other.
    double cost(std::size_t statement, const Set& set);
    double asked_cost(std::size_t statement, const Set& set);
    double known_cost(std::size_t statement, const Set& set) const;
    double known_gain(const std::vector<Item>& items, Set& set, const std::vector<double>& now) const;
    std::vector<std::vector<Item>> ordered(const SearchAnswer& answer) const;
    // What is to be built together when nothing gains by itself.
    std::vector<Item> together(const std::vector<char>& left, Set& set, const std::vector<double>& now) const;
    double rank(const std::vector<Item>& items, double gain) const;
    // Of one table, or of all.
    Configuration changes(const std::vector<Item>& items, const Set& set) const;
    double writes(RelationId relation, const Set& set);
    Step step(Item item, const std::vector<Item>& group);
    Drop drop(Item item);
    void finish(Selection& selection);

    SelectionContext& context_;
    CostCache& cache_;
    const bool may_ask_;
    Set final_;                   // the answer
    std::vector<Item> concerned_; // there or gone by the answer, and what existed
    std::map<RelationId, std::vector<Item>> concerned_on_;
};

} // namespace citadel::advisor
