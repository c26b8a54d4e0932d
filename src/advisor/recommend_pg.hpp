// From a workload to recommendations: analyse, select, explain the choice.
#pragma once

#include "advisor/planner_costs_pg.hpp"
#include "advisor/recommendation.hpp"
#include "advisor/selection.hpp"

#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace citadel::advisor {

struct AdviceRules {
    int max_key_columns = 3;
    std::optional<std::int64_t> budget_bytes;
    IndexKinds kinds;
    std::size_t max_indexes = std::numeric_limits<std::size_t>::max();
    std::optional<int> time_limit_ms;        // then the best so far
    bool cancel_is_stop = false;             // a cancel during the search means: settle for the best so far
    bool consider_drops = false;             // existing indexes too
    std::size_t evidence_statements = 0;     // plans before and after are taken of that many statements an index
    std::map<RelationId, WriteRates> writes; // counted in the time of the workload
};

struct SkippedStatement {
    std::size_t statement = 0; // position in the workload
    std::string reason;
};

// What the rules for other advice want to know of a statement that was examined.
struct ExaminedStatement {
    std::size_t statement = 0; // position in the workload
    StatementNotes notes;
    std::vector<RelationUse> relations;
};

// An index that was not considered: see PlannerCosts::Withheld. `statements` are positions in the workload.
struct WithheldIndex {
    RelationId relation = 0;
    std::string function;
    bool code_of_others = false;
    std::vector<std::size_t> statements;
};

struct Advice {
    std::vector<Recommendation> recommendations;
    std::vector<SkippedStatement> skipped;
    std::vector<ExaminedStatement> examined_statements;
    std::vector<WithheldIndex> withheld;
    std::size_t examined = 0;
    double cost_before = 0.0;
    double cost_after = 0.0;
    std::size_t candidates = 0;
    std::uint64_t planner_calls = 0;
    bool budget_was_binding = false;
    bool stopped = false;       // by the time limit, a cancel or stop_advisor(): the best so far
    double write_cost = 0.0;    // what writes cost more with all of it
    double lower_bound = 0.0;   // no set of the indexes considered costs less to read with
    std::string drops_withheld; // why no existing index was considered for dropping although asked for; or empty
    std::optional<Beneficiary> worst_hit; // the statement that gets worst by the answer, its writes included
};

// Costs are in planner units. A statement's share of them is its share of the measured load where that is known, else
// its calls times its planned cost. Nothing is created. Raises on cancel; a statement that fails is skipped with a
// reason.
Advice recommend(const std::vector<WorkloadStatement>& workload, const AdviceRules& rules);

} // namespace citadel::advisor
