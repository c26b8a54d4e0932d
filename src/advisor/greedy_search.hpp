// A set grown one bundle at a time, the best first; what the rest can do without goes. For search.cpp alone.
#pragma once

#include "advisor/search_space.hpp"

#include <cstdint>
#include <vector>

namespace citadel::advisor {

class GreedySearch : protected SearchSpace {
  protected:
    explicit GreedySearch(const SearchProblem& problem);

    // Grown from none by plain gain; where space is short by gain a byte as well, and the better of the two.
    SearchState from_nothing();
    SearchState from(const std::vector<char>& start);
    // Until nothing gains and fits, and nothing is superfluous. `all`: a look at everything that is open, however many.
    void grow(SearchState& state, bool per_byte, bool all = false);
    void keep_better(SearchState& best, SearchState&& other) const;
    // By its caller, or because the work allowed is done.
    bool stopped();

    bool limited() const { return limited_; } // something did not fit
    bool budget_binding() const { return budget_binding_; }

  private:
    void adopt(SearchState& state, const std::vector<char>& present);
    double rank(const SearchState& state, double gained, const std::vector<Item>& flips, bool per_byte) const;
    // Adds the best bundle again and again, until none gains and fits. Lazy: kept values bound the present ones.
    void fill(SearchState& state, bool per_byte, bool all);
    // Takes out what the rest can do without, and existing ones that need not stay: of those that what has changed
    // since the last time concerns.
    bool prune(SearchState& state);
    static std::uint64_t allowance(const SearchProblem& problem);

    const std::uint64_t most_operations_;
    std::vector<std::uint32_t> open_; // that fill() has a look at
    bool budget_binding_ = false;
    bool limited_ = false;
    bool halted_ = false;
};

} // namespace citadel::advisor
