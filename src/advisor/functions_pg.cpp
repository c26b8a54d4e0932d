// citadel.recommend_indexes().
#include "advisor/recommend_pg.hpp"
#include "advisor/workload_pg.hpp"
#include "pg/boundary.hpp"
#include "pg/memory.hpp"
#include "pg/text.hpp"
#include "pg/tuplestore.hpp"

#include <algorithm>

namespace {

namespace pg = citadel::pg;
using namespace citadel::advisor;

constexpr std::size_t max_notices = 20;

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

} // namespace

CITADEL_FUNCTION(citadel_recommend_indexes) {
    AdviceRules rules;
    if (!PG_ARGISNULL(1)) {
        rules.budget_bytes = PG_GETARG_INT64(1);
        if (*rules.budget_bytes < 0)
            pg::raise(ERRCODE_INVALID_PARAMETER_VALUE, "storage_budget_bytes must not be negative", {},
                      "Give the bytes that all recommended indexes may take together, or NULL for no limit.");
    }
    if (!PG_ARGISNULL(2))
        rules.max_key_columns = PG_GETARG_INT32(2);
    if (rules.max_key_columns < 1 || rules.max_key_columns > 32)
        pg::raise(ERRCODE_INVALID_PARAMETER_VALUE, "max_key_columns must be between 1 and 32");

    pg::ResultSet rows(fcinfo);
    Advice advice;
    {
        const pg::MemoryScope scratch("recommend indexes");
        const bool captured = PG_ARGISNULL(0);
        std::vector<WorkloadStatement> workload;
        if (captured) {
            CapturedWorkload found = captured_workload();
            workload = std::move(found.statements);
            if (found.left_out > 0)
                notice(std::to_string(found.left_out) + " lighter statements were left out");
            rules.written_rows = written_rows();
        } else {
            for (std::string& text : pg::text_array(PG_GETARG_ARRAYTYPE_P(0), "workload")) {
                WorkloadStatement statement;
                statement.text = std::move(text);
                workload.push_back(std::move(statement));
            }
        }
        advice = recommend(workload, rules);
        report_skipped(workload, advice, captured);
    }
    for (const Recommendation& found : advice.recommendations) {
        const double improvement = found.cost_before > 0.0 ? 1.0 - found.cost_after / found.cost_before : 0.0;
        rows.row({pg::arg_as(REGCLASSOID, std::to_string(found.index.relation)), pg::arg(found.definition),
                  pg::arg("btree"), pg::arg(static_cast<std::int64_t>(found.bytes)), pg::arg(found.cost_before),
                  pg::arg(found.cost_after), pg::arg(improvement), pg::arg(found.write_cost),
                  pg::arg(static_cast<std::int32_t>(found.helped.size())),
                  pg::arg(found.build_note.empty() ? found.reason : found.reason + ". " + found.build_note)});
    }
    return static_cast<Datum>(0);
}
