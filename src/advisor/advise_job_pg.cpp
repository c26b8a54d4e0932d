#include "advisor/advise_job.hpp"

#include "advisor/findings_pg.hpp"
#include "advisor/json.hpp"
#include "advisor/recommend_pg.hpp"
#include "advisor/workload_pg.hpp"
#include "capture/redact_plan.hpp"
#include "jobs/jobs.hpp"
#include "pg/clock.hpp"
#include "pg/memory.hpp"
#include "pg/spi.hpp"
#include "settings/settings.hpp"

namespace citadel::advisor {

namespace {

// Plans before and after are stored of that many statements an index.
constexpr std::size_t evidence_statements = 5;

// A plan whose constants could not be taken out is not kept.
std::string plan_or_null(const std::string& plan) {
    const std::string redacted = plan.empty() ? plan : capture::redact_plan(plan);
    return redacted.empty() ? "null" : redacted;
}

std::string evidence_of(const Recommendation& found, const std::vector<WorkloadStatement>& workload) {
    std::vector<std::string> statements;
    for (std::size_t i = 0; i < found.helped.size() && i < evidence_statements; ++i) {
        const Beneficiary& helped = found.helped[i];
        const WorkloadStatement& statement = workload[helped.statement];
        statements.push_back(JsonObject()
                                 .add("query_id", statement.query_id)
                                 .add("user_id", static_cast<std::int64_t>(statement.user))
                                 .add("calls", statement.calls)
                                 .add("load_ms", statement.load_ms)
                                 .add("cost_before", helped.cost_before)
                                 .add("cost_after", helped.cost_after)
                                 .add("planned_with", helped.known_values ? "known values" : "unknown values")
                                 .raw("plan_before", plan_or_null(helped.plan_before))
                                 .raw("plan_after", plan_or_null(helped.plan_after))
                                 .text());
    }
    return JsonObject()
        .raw("build_note", found.build_note.empty() ? "null" : json_text(found.build_note))
        .raw("statements", json_array(statements))
        .text();
}

// Stores one recommendation: a new row, or the open one for the same columns brought up to date. Returns its id.
std::int64_t store(pg::Spi& spi, const Recommendation& found, const std::vector<WorkloadStatement>& workload) {
    const std::vector<pg::Arg> values = {
        pg::arg_oid(found.index.relation),
        pg::arg(found.definition),
        pg::arg(static_cast<std::int64_t>(found.bytes)),
        pg::arg(found.cost_before),
        pg::arg(found.cost_after),
        pg::arg(found.cost_before > 0.0 ? 1.0 - found.cost_after / found.cost_before : 0.0),
        pg::arg(found.write_cost),
        pg::arg(static_cast<std::int32_t>(found.helped.size())),
        pg::arg(found.reason),
        pg::arg_as(JSONBOID, evidence_of(found, workload)),
        pg::arg(access_method_name(found.index.method)),
    };
    // The same index is the same columns of the same table, whatever its name would be.
    const pg::Rows rows = spi.query(R"(
        WITH target AS (
            SELECT c.oid, n.nspname::text AS schema_name, c.relname::text AS relation_name
            FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = $1
        ), updated AS (
            UPDATE citadel.index_recommendation r
            SET relation_oid = $1, definition = $2, size_bytes = $3, cost_before = $4, cost_after = $5, improvement = $6,
                write_cost = $7, queries_helped = $8, reason = $9, evidence = $10, last_found = pg_catalog.now()
            FROM target t
            WHERE r.schema_name = t.schema_name AND r.relation_name = t.relation_name AND r.status = 'open'
              AND pg_catalog.substring(r.definition, ' USING .*$') = pg_catalog.substring($2, ' USING .*$')
            RETURNING r.id
        ), inserted AS (
            INSERT INTO citadel.index_recommendation (relation_oid, schema_name, relation_name, definition, access_method,
                size_bytes, cost_before, cost_after, improvement, write_cost, queries_helped, reason, evidence)
            SELECT $1, t.schema_name, t.relation_name, $2, $11, $3, $4, $5, $6, $7, $8, $9, $10
            FROM target t WHERE NOT EXISTS (SELECT FROM updated)
            RETURNING id
        )
        SELECT id FROM updated UNION ALL SELECT id FROM inserted ORDER BY id LIMIT 1)",
                                    values);
    if (rows.empty())
        return 0; // the table was dropped meanwhile
    const std::int64_t id = rows.int64(0, 0);
    spi.execute("DELETE FROM citadel.index_recommendation_query WHERE recommendation_id = $1", {pg::arg(id)});
    for (const Beneficiary& helped : found.helped) {
        const WorkloadStatement& statement = workload[helped.statement];
        spi.execute("INSERT INTO citadel.index_recommendation_query VALUES ($1, $2, $3, $4, $5)",
                    {pg::arg(id), pg::arg(statement.query_id), pg::arg_oid(statement.user), pg::arg(helped.cost_before),
                     pg::arg(helped.cost_after)});
    }
    return id;
}

std::string id_list(const std::vector<std::int64_t>& ids) {
    std::string list = "{";
    for (const std::int64_t id : ids)
        list += (list.size() > 1 ? "," : "") + std::to_string(id);
    return list + "}";
}

// Open recommendations that this run did not find again: their index exists now, or they are no longer worth having.
// Nothing can be said of those that help a statement which could not be examined this time; they stay, unless their
// table is gone.
void close_vanished(pg::Spi& spi, const std::vector<std::int64_t>& found, const CapturedWorkload& workload,
                    const Advice& advice) {
    std::vector<std::int64_t> queries;
    std::vector<std::int64_t> users;
    for (const SkippedStatement& skipped : advice.skipped) {
        queries.push_back(workload.statements[skipped.statement].query_id);
        users.push_back(workload.statements[skipped.statement].user);
    }
    spi.execute(R"(
        WITH existing AS (
            SELECT n.nspname, c.relname,
                   pg_catalog.substring(citadel.index_definition(i.indexrelid), ' USING .*$') AS columns
            FROM pg_catalog.pg_index i
            JOIN pg_catalog.pg_class c ON c.oid = i.indrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
            WHERE i.indisvalid AND (n.nspname, c.relname) IN
                (SELECT w.schema_name, w.relation_name FROM citadel.index_recommendation w WHERE w.status = 'open')
        ), judged AS (
            SELECT r.id,
                   EXISTS (SELECT FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
                           WHERE n.nspname = r.schema_name AND c.relname = r.relation_name) AS table_exists,
                   CASE WHEN r.action = 'drop'
                        THEN NOT EXISTS (SELECT FROM pg_catalog.pg_class c WHERE c.oid = r.index_oid)
                        ELSE EXISTS (SELECT FROM existing e,
                                LATERAL (SELECT pg_catalog.substring(r.definition, ' USING .*$'),
                                                pg_catalog.rtrim(pg_catalog.substring(r.definition, ' USING .*$'), ')'))
                                    AS wanted (columns, start)
                                WHERE e.nspname = r.schema_name AND e.relname = r.relation_name
                                  AND (e.columns = wanted.columns OR pg_catalog.starts_with(e.columns, wanted.start || ',')
                                       OR pg_catalog.starts_with(e.columns, wanted.start || ') INCLUDE ')))
                   END AS applied,
                   EXISTS (SELECT FROM citadel.index_recommendation_query q
                           JOIN ROWS FROM (pg_catalog.unnest($2::bigint[]), pg_catalog.unnest($3::bigint[])) AS s (query_id, user_id)
                             ON q.query_id = s.query_id AND q.user_id::bigint = s.user_id
                           WHERE q.recommendation_id = r.id)
                   OR EXISTS (SELECT FROM existing e -- locked just now
                              WHERE e.nspname = r.schema_name AND e.relname = r.relation_name AND e.columns IS NULL)
                       AS unexamined
            FROM citadel.index_recommendation r WHERE r.status = 'open' AND r.id <> ALL ($1)
        )
        UPDATE citadel.index_recommendation r
        SET status = CASE WHEN j.applied AND j.table_exists THEN 'applied' ELSE 'obsolete' END
        FROM judged j
        WHERE j.id = r.id AND (j.applied OR NOT j.unexamined OR NOT j.table_exists))",
                {pg::arg_as(INT8ARRAYOID, id_list(found)), pg::arg_as(INT8ARRAYOID, id_list(queries)),
                 pg::arg_as(INT8ARRAYOID, id_list(users))});
}

// What is closed goes when the history does that it rests on.
void prune(pg::Spi& spi) {
    const std::vector<pg::Arg> age = {pg::arg(static_cast<std::int32_t>(settings::history_retention_min))};
    spi.execute(R"(
        WITH gone AS (
            DELETE FROM citadel.index_recommendation
            WHERE status <> 'open' AND last_found < pg_catalog.now() - pg_catalog.make_interval(mins => $1)
            RETURNING id
        )
        DELETE FROM citadel.index_recommendation_query WHERE recommendation_id IN (SELECT id FROM gone))",
                age);
    spi.execute("DELETE FROM citadel.advice WHERE status <> 'open' "
                "AND last_found < pg_catalog.now() - pg_catalog.make_interval(mins => $1)",
                age);
}

void log_run(pg::Spi& spi, std::int64_t run_id, TimestampTz started, const CapturedWorkload& workload,
             const Advice& advice) {
    const std::size_t known = workload.statements.size() + workload.left_out;
    spi.execute("DELETE FROM citadel.advisor_run_log WHERE run_id = $1", {pg::arg(run_id)});
    spi.execute("DELETE FROM citadel.advisor_skipped WHERE run_id = $1", {pg::arg(run_id)});
    spi.execute(
        "INSERT INTO citadel.advisor_run_log VALUES ($1, $2, pg_catalog.clock_timestamp(), $3, $4, $5, $6, $7, $8, $9)",
        {pg::arg(run_id), pg::arg_timestamptz(started), pg::arg(static_cast<std::int32_t>(known)),
         pg::arg(static_cast<std::int32_t>(advice.examined)), pg::arg(static_cast<std::int32_t>(advice.candidates)),
         pg::arg(static_cast<std::int64_t>(advice.planner_calls)),
         pg::arg(static_cast<std::int32_t>(advice.recommendations.size())), pg::arg(advice.cost_before),
         pg::arg(advice.cost_after)});
    for (const SkippedStatement& skipped : advice.skipped) {
        const WorkloadStatement& statement = workload.statements[skipped.statement];
        spi.execute(
            "INSERT INTO citadel.advisor_skipped VALUES ($1, $2, $3, $4)",
            {pg::arg(run_id), pg::arg(statement.query_id), pg::arg_oid(statement.user), pg::arg(skipped.reason)});
    }
    if (workload.left_out > 0)
        spi.execute(
            "INSERT INTO citadel.advisor_skipped VALUES ($1, 0, 0, $2)",
            {pg::arg(run_id), pg::arg("it is not among the heaviest " + std::to_string(workload.statements.size()) +
                                      " (" + std::to_string(workload.left_out) + " statements in all)")});
    spi.execute(R"(DELETE FROM citadel.advisor_skipped WHERE run_id NOT IN
                   (SELECT run_id FROM citadel.advisor_run_log ORDER BY run_id DESC LIMIT 20))");
    spi.execute(R"(DELETE FROM citadel.advisor_run_log WHERE run_id NOT IN
                   (SELECT run_id FROM citadel.advisor_run_log ORDER BY run_id DESC LIMIT 1000))");
}

void run_advise(std::int64_t run_id) {
    const pg::MemoryScope scratch("citadel_opt advise");
    const TimestampTz started = pg::now();
    {
        // Analysis locks the tables that it reads. It never queues for long behind somebody's DDL: the statement is
        // skipped then, with that reason.
        pg::Spi spi;
        spi.query("SELECT pg_catalog.set_config('lock_timeout', '500ms', true)");
    }
    const CapturedWorkload workload = captured_workload();
    AdviceRules rules;
    rules.evidence_statements = evidence_statements;
    rules.writes = measured_writes();
    const Advice advice = recommend(workload.statements, rules);
    const std::vector<Finding> findings = find_advice(workload.statements, advice);

    pg::Spi spi;
    std::vector<std::int64_t> found;
    for (const Recommendation& recommendation : advice.recommendations)
        if (const std::int64_t id = store(spi, recommendation, workload.statements); id != 0)
            found.push_back(id);
    // An empty history says nothing about yesterday's recommendations.
    if (advice.examined > 0)
        close_vanished(spi, found, workload, advice);
    store_advice(findings, workload.statements, advice);
    prune(spi);
    log_run(spi, run_id, started, workload, advice);
}

} // namespace

void register_advise_job() {
    jobs::register_job({"advise", "Finds indexes that would help the captured workload", "1 hour", false, run_advise,
                        [] { return settings::advise_interval_s; }});
}

} // namespace citadel::advisor
