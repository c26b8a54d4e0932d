// Which set of indexes is best, given the plans that are known: a search over sets that asks nobody for a cost.
//
// A statement's known plans say "with these indexes there it costs at most that". Under any set, the cheapest plan
// whose indexes are all there is the statement's cost: an upper bound of what the planner would say, and its very
// answer once the plans that matter are known (selection.cpp sees to that). So sets are compared by table look-ups, and
// thousands of them can be tried for one planner call.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <vector>

namespace citadel::advisor {

// An index in the search: one that might be created, or an existing one that might be dropped.
using Item = std::uint32_t;

struct KnownPlan {
    double cost = 0.0;
    std::vector<Item> used; // sorted; all of them must be there
};

struct SearchStatement {
    double weight = 1.0;
    double limit = std::numeric_limits<double>::infinity(); // a set under which it costs more is refused
    std::vector<KnownPlan> plans;                           // one of them uses nothing
    bool no_more_known = false;                             // than when the start of this search was searched for
};

struct SearchItem {
    double bytes = 0.0;        // counted against the budget unless it exists
    std::uint32_t group = 0;   // its relation, for the cost of writes
    bool existing = false;     // there from the start
    bool unused = false;       // existing: may go although nothing stands in for it
    std::vector<Item> covered; // what it stands in for: indexes whose key begins its own
};

struct SearchProblem {
    std::vector<SearchStatement> statements;
    std::vector<SearchItem> items;
    // What writes of a group cost with these of its items there (sorted), beyond those that are no item.
    std::function<double(std::uint32_t group, const std::vector<Item>& present)> write_cost;
    double budget_bytes = std::numeric_limits<double>::infinity();
    std::size_t max_created = std::numeric_limits<std::size_t>::max();
    double byte_price = 0.0; // what a created byte must bring at least
    double charge = 0.0;     // what having an index must bring at least
    // Look-ups at plans and bundles, after which it settles for what it has: the larger of the two.
    std::uint64_t least_operations = 100'000'000;
    std::uint64_t operations_per_statement = 1'000'000;
    bool thorough = true;       // with the neighbourhood search at random
    std::function<bool()> stop; // asked between steps; true: settle for the best so far
};

struct SearchAnswer {
    std::vector<char> present; // an item: is it there
    double objective = 0.0;    // weighted costs, writes, charges
    double read_cost = 0.0;    // weighted costs alone
    std::vector<Item> created; // in the order of choice
    bool budget_binding = false;
    std::uint64_t operations = 0;
};

// Greedy by plain gain, and where space is short by gain a byte, over plans (a plan's missing indexes are taken
// together, so indexes that pay only together are found), then large neighbourhood search (Shaw 1998): take out one,
// two or three indexes, or force one in that did not fit, fill up greedily, keep what is better. Deterministic. Starts
// from `start` as well if given.
SearchAnswer search_indexes(const SearchProblem& problem, const std::vector<char>* start = nullptr);

// The objective of a set; infinity when it breaks a rule.
double objective_of(const SearchProblem& problem, const std::vector<char>& present);

} // namespace citadel::advisor
