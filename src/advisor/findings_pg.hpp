// Gathers the facts that the rules of findings.hpp judge, and keeps what they say.
#pragma once

#include "advisor/findings.hpp"
#include "advisor/recommend_pg.hpp"

#include <vector>

namespace citadel::advisor {

// Everything that the rules have to say about this workload, heaviest first. Reads catalogues, the history and, for
// correlated columns, a bounded sample of the rows of the tables, each as the table's owner. Locks taken for the
// samples are gone when it returns.
std::vector<Finding> find_advice(const std::vector<WorkloadStatement>& workload, const Advice& advice);

// Brings citadel.advice up to date: new rows, open ones found again, and those not found again closed, except where
// they concern statements or tables that could not be examined this time.
void store_advice(const std::vector<Finding>& findings, const std::vector<WorkloadStatement>& workload,
                  const Advice& advice);

} // namespace citadel::advisor
