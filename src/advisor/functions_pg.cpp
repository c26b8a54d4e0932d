// citadel.recommend_indexes().
#include "advisor/drops_pg.hpp"
#include "advisor/recommend_pg.hpp"
#include "advisor/workload_pg.hpp"
#include "pg/boundary.hpp"
#include "pg/memory.hpp"
#include "pg/text.hpp"
#include "pg/tuplestore.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace {

namespace pg = citadel::pg;
using namespace citadel::advisor;

constexpr std::size_t max_notices = 20;

enum Parameter {
    workload_parameter,
    budget_parameter,
    width_parameter,
    weights_parameter,
    kinds_parameter,
    max_indexes_parameter,
    time_limit_parameter,
    drops_parameter
};

void notice(const std::string& message) {
    const char* text = message.c_str();
    pg::guard([text] { ereport(NOTICE, (errmsg("%s", text))); });
}

void report_skipped(const std::vector<WorkloadStatement>& workload, const Advice& advice, bool captured) {
    for (std::size_t i = 0; i < std::min(advice.skipped.size(), max_notices); ++i) {
        const SkippedStatement& skipped = advice.skipped[i];
        const std::string which =
            captured ? "statement with query_id " + std::to_string(workload[skipped.statement].query_id)
                     : "statement " + std::to_string(skipped.statement + 1);
        notice(which + " was not examined: " + skipped.reason);
    }
    if (advice.skipped.size() > max_notices)
        notice(std::to_string(advice.skipped.size() - max_notices) + " further statements were not examined");
    if (workload.empty())
        notice(captured ? "nothing was captured in the last 7 days" : "the workload holds no statement");
    else if (advice.examined == 0)
        notice("no statement could be examined");
}

void report_end(const std::vector<WorkloadStatement>& workload, const Advice& advice, bool captured) {
    if (advice.stopped)
        notice("stopped early: this is the best that was found until then");
    if (!advice.drops_withheld.empty())
        notice("no index is recommended to be dropped: " + advice.drops_withheld);
    if (advice.worst_hit && advice.worst_hit->cost_after > 1.05 * advice.worst_hit->cost_before) {
        const std::size_t worst = advice.worst_hit->statement;
        char costs[100];
        std::snprintf(costs, sizeof costs, ", its writes included: from cost %.2f to %.2f",
                      advice.worst_hit->cost_before, advice.worst_hit->cost_after);
        notice((captured ? "most hit is the statement with query_id " + std::to_string(workload[worst].query_id)
                         : "most hit is statement " + std::to_string(worst + 1)) +
               costs);
    }
}

// Everything but the workload itself.
AdviceRules rules_of(FunctionCallInfo fcinfo) {
    AdviceRules rules;
    if (!PG_ARGISNULL(budget_parameter)) {
        rules.budget_bytes = PG_GETARG_INT64(budget_parameter);
        if (*rules.budget_bytes < 0)
            pg::raise(ERRCODE_INVALID_PARAMETER_VALUE, "storage_budget_bytes must not be negative", {},
                      "Give the bytes that all recommended indexes may take together, or NULL for no limit.");
    }
    if (!PG_ARGISNULL(width_parameter))
        rules.max_key_columns = PG_GETARG_INT32(width_parameter);
    if (rules.max_key_columns < 1 || rules.max_key_columns > 32)
        pg::raise(ERRCODE_INVALID_PARAMETER_VALUE, "max_key_columns must be between 1 and 32");
    if (!PG_ARGISNULL(kinds_parameter)) {
        std::string unknown;
        const std::optional<IndexKinds> kinds =
            index_kinds(pg::text_array(PG_GETARG_ARRAYTYPE_P(kinds_parameter), "index_kinds"), unknown);
        if (!kinds)
            pg::raise(ERRCODE_INVALID_PARAMETER_VALUE, "unknown kind of index: \"" + unknown + "\"", {},
                      "index_kinds may hold btree, include, partial, expression, opclass, hash, brin, gin and gist.");
        rules.kinds = *kinds;
    }
    if (!PG_ARGISNULL(max_indexes_parameter)) {
        const std::int32_t wanted = PG_GETARG_INT32(max_indexes_parameter);
        if (wanted < 0)
            pg::raise(ERRCODE_INVALID_PARAMETER_VALUE, "max_indexes must not be negative");
        rules.max_indexes = static_cast<std::size_t>(wanted);
    }
    if (!PG_ARGISNULL(time_limit_parameter)) {
        rules.time_limit_ms = PG_GETARG_INT32(time_limit_parameter);
        if (*rules.time_limit_ms < 1)
            pg::raise(ERRCODE_INVALID_PARAMETER_VALUE, "time_limit_ms must be at least 1");
    }
    rules.consider_drops =
        PG_ARGISNULL(drops_parameter) ? PG_ARGISNULL(workload_parameter) : PG_GETARG_BOOL(drops_parameter);
    return rules;
}

// The statements of the array, as often as `weights` says.
std::vector<WorkloadStatement> given_workload(FunctionCallInfo fcinfo) {
    std::vector<WorkloadStatement> workload;
    for (std::string& text : pg::text_array(PG_GETARG_ARRAYTYPE_P(workload_parameter), "workload")) {
        WorkloadStatement statement;
        statement.text = std::move(text);
        workload.push_back(std::move(statement));
    }
    if (PG_ARGISNULL(weights_parameter))
        return workload;
    const std::vector<double> weights = pg::float8_array(PG_GETARG_ARRAYTYPE_P(weights_parameter), "weights");
    if (weights.size() != workload.size())
        pg::raise(ERRCODE_INVALID_PARAMETER_VALUE, "weights must have as many elements as workload");
    for (std::size_t i = 0; i < workload.size(); ++i) {
        if (!(weights[i] >= 0.0) || std::isinf(weights[i]))
            pg::raise(ERRCODE_INVALID_PARAMETER_VALUE, "weights must be finite and not negative");
        workload[i].calls = weights[i];
    }
    return workload;
}

} // namespace

CITADEL_FUNCTION(citadel_recommend_indexes) {
    AdviceRules rules = rules_of(fcinfo);
    if (PG_ARGISNULL(workload_parameter) && !PG_ARGISNULL(weights_parameter))
        pg::raise(ERRCODE_INVALID_PARAMETER_VALUE, "weights need a workload", {},
                  "What was captured is weighted by its measured load.");
    pg::ResultSet rows(fcinfo);
    Advice advice;
    {
        const pg::MemoryScope scratch("recommend indexes");
        const bool captured = PG_ARGISNULL(workload_parameter);
        std::vector<WorkloadStatement> workload;
        if (captured) {
            CapturedWorkload found = captured_workload();
            workload = std::move(found.statements);
            if (found.left_out > 0)
                notice(std::to_string(found.left_out) + " lighter statements were left out");
            rules.writes = measured_writes();
        } else {
            workload = given_workload(fcinfo);
        }
        rules.cancel_is_stop = true;
        advice = recommend(workload, rules);
        report_skipped(workload, advice, captured);
        report_end(workload, advice, captured);
    }
    for (const Recommendation& found : advice.recommendations) {
        const double improvement = found.cost_before > 0.0 ? 1.0 - found.cost_after / found.cost_before : 0.0;
        rows.row({pg::arg_as(REGCLASSOID, std::to_string(found.index.relation)), pg::arg(found.definition),
                  pg::arg(access_method_name(found.index.method)), pg::arg(static_cast<std::int64_t>(found.bytes)),
                  pg::arg(found.cost_before), pg::arg(found.cost_after), pg::arg(improvement),
                  pg::arg(found.write_cost), pg::arg(static_cast<std::int32_t>(found.helped.size())),
                  pg::arg(found.build_note.empty() ? found.reason : found.reason + ". " + found.build_note),
                  pg::arg(action_name(found.action))});
    }
    return static_cast<Datum>(0);
}
