// Workload compression: statements of one shape are examined together, as one that stands for the load of all.
#pragma once

#include "advisor/model.hpp"

#include <cstdint>
#include <vector>

namespace citadel::advisor {

// Two numbers are alike when they lie within so much of each other: selectivities, and costs.
constexpr double alike_within = 1.2;

struct Folding {
    std::vector<std::size_t> leader; // a statement: the one that stands for it, perhaps itself
    std::vector<double> weight;      // a leader: what its cost counts for, so that the load stays the same; others 0
    std::size_t leaders = 0;

    bool leads(std::size_t statement) const { return leader[statement] == statement; }
};

// What a statement could use an index for: relations, columns, kinds and selectivities of clauses, arms, orders,
// columns needed, writes. Equal numbers are one shape. Values of constants are no part of it, beyond how many rows they
// find.
std::vector<std::uint64_t> shape_of(const StatementUse& statement);

// Nothing is folded.
Folding unfolded(const std::vector<StatementUse>& statements);

// The plan of a statement with everything on offer.
struct BestPlan {
    double cost = 0.0;
    std::vector<std::uint32_t> used; // the numbers of its indexes
};

// Statements of one shape that cost about the same today, and with everything on offer, by the same indexes. The leader
// is the one whose cost is nearest to their mean.
Folding fold(const std::vector<StatementUse>& statements, const std::vector<double>& today,
             const std::vector<BestPlan>& best);

} // namespace citadel::advisor
