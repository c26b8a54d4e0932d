#include "advisor/advise_job.hpp"

#include "advisor/confidence.hpp"
#include "advisor/findings_pg.hpp"
#include "advisor/recommend_pg.hpp"
#include "advisor/workload_pg.hpp"
#include "capture/redact_plan.hpp"
#include "jobs/jobs.hpp"
#include "pg/clock.hpp"
#include "pg/memory.hpp"
#include "pg/spi.hpp"
#include "settings/settings.hpp"
#include "text/json.hpp"

#include <map>
#include <set>

namespace citadel::advisor {

using text::json_array;
using text::json_rounded;
using text::json_text;
using text::JsonObject;

namespace {

// Plans before and after are stored of that many statements an index.
constexpr std::size_t evidence_statements = 5;

// What is known beside the recommendations.
struct RunFacts {
    const std::vector<WorkloadStatement>& workload;
    double load_ms = 0.0;
    std::set<RelationId> doubtful; // statistics missing or stale
    // Statements with counted rows: were they as planned, within a factor of ten?
    std::map<std::pair<std::int64_t, Oid>, bool> estimates;
};

RunFacts facts_of(const std::vector<WorkloadStatement>& workload, const std::vector<Finding>& findings) {
    RunFacts facts{workload, 0.0, {}, {}};
    for (const WorkloadStatement& statement : workload)
        facts.load_ms += statement.load_ms;
    for (const Finding& finding : findings)
        if (finding.kind == "missing_statistics" || finding.kind == "stale_statistics")
            facts.doubtful.insert(finding.relation);
    pg::Spi spi;
    const pg::Rows rows = spi.query(R"(
        SELECT p.query_id, p.user_id, pg_catalog.bool_and(NOT EXISTS (
                   SELECT FROM (SELECT pg_catalog.array_agg(n) AS nodes FROM citadel.plan_nodes(p.plan) n) AS tree,
                               LATERAL citadel.cause_row_estimate(tree.nodes)))
        FROM citadel.plan p WHERE p.has_row_counts GROUP BY 1, 2)");
    for (std::size_t i = 0; i < rows.size(); ++i)
        facts.estimates[{rows.int64(i, 0), rows.oid(i, 1)}] = rows.boolean(i, 2);
    return facts;
}

// A plan whose constants could not be taken out is not kept.
std::string plan_or_null(const std::string& plan) {
    const std::string redacted = plan.empty() ? plan : capture::redact_plan(plan);
    return redacted.empty() ? "null" : redacted;
}

Confidence confidence_in(const Recommendation& found, const RunFacts& facts) {
    ConfidenceFacts known;
    known.known_values = found.known_values_share;
    known.measured = found.measured_share;
    known.doubtful_statistics = facts.doubtful.count(found.index.relation) != 0;
    bool confirmed = false;
    bool wrong = false;
    for (const Beneficiary& helped : found.helped) {
        const WorkloadStatement& statement = facts.workload[helped.statement];
        const auto counted = facts.estimates.find({statement.query_id, statement.user});
        if (counted == facts.estimates.end())
            continue;
        confirmed = confirmed || counted->second;
        wrong = wrong || !counted->second;
    }
    known.estimates = wrong       ? ConfidenceFacts::Estimates::wrong
                      : confirmed ? ConfidenceFacts::Estimates::confirmed
                                  : ConfidenceFacts::Estimates::unseen;
    return confidence_of(known);
}

std::string statement_of(const Beneficiary& helped, const RunFacts& facts, bool with_plans) {
    const WorkloadStatement& statement = facts.workload[helped.statement];
    JsonObject json;
    json.add("query_id", statement.query_id).add("user_id", static_cast<std::int64_t>(statement.user));
    json.add("calls", statement.calls).add("load_ms", statement.load_ms);
    json.add("cost_before", helped.cost_before).add("cost_after", helped.cost_after);
    json.add("planned_with", helped.known_values ? "known values" : "unknown values");
    if (with_plans)
        json.raw("plan_before", plan_or_null(helped.plan_before)).raw("plan_after", plan_or_null(helped.plan_after));
    return json.text();
}

std::string evidence_of(const Recommendation& found, const Advice& advice, const RunFacts& facts,
                        const Confidence& confidence) {
    std::vector<std::string> statements;
    double load = 0.0;
    for (std::size_t i = 0; i < found.helped.size(); ++i) {
        load += facts.workload[found.helped[i].statement].load_ms;
        if (i < evidence_statements)
            statements.push_back(statement_of(found.helped[i], facts, true));
    }
    std::vector<std::string> alternatives;
    for (const Alternative& one : found.alternatives)
        alternatives.push_back(JsonObject()
                                   .add("definition", one.definition)
                                   .add("size_bytes", one.bytes)
                                   .add("share_of_gain", one.share_of_gain)
                                   .text());
    std::vector<std::string> reasons;
    for (const std::string& reason : confidence.reasons)
        reasons.push_back(json_text(reason));
    return JsonObject()
        .raw("build_note", found.build_note.empty() ? "null" : json_text(found.build_note))
        .raw("statements", json_array(statements))
        .raw("load_share", facts.load_ms > 0.0 ? json_rounded(load / facts.load_ms) : "null")
        .raw("alternatives", json_array(alternatives))
        .raw("confidence", JsonObject().add("value", confidence.value).raw("reasons", json_array(reasons)).text())
        .raw("existing_index", found.existing_name.empty() ? "null" : json_text(found.existing_name))
        .add("lower_bound", advice.lower_bound)
        .add("cost_of_all", advice.cost_after)
        .raw("worst_hit", advice.worst_hit ? statement_of(*advice.worst_hit, facts, false) : "null")
        .text();
}

// Stores one recommendation: a new row, or the open one for the same index brought up to date. Returns its id.
std::int64_t store(pg::Spi& spi, const Recommendation& found, const Advice& advice, const RunFacts& facts) {
    const Confidence confidence = confidence_in(found, facts);
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
        pg::arg_as(JSONBOID, evidence_of(found, advice, facts, confidence)),
        pg::arg(access_method_name(found.index.method)),
        pg::arg(action_name(found.action)),
        found.existing == 0 ? pg::null(OIDOID) : pg::arg_oid(found.existing),
        pg::arg(confidence.value),
    };
    // The same index is the same columns of the same table, whatever its name would be.
    const pg::Rows rows = spi.query(R"(
        WITH target AS (
            SELECT c.oid, n.nspname::text AS schema_name, c.relname::text AS relation_name
            FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = $1
        ), updated AS (
            UPDATE citadel.index_recommendation r
            SET relation_oid = $1, definition = $2, size_bytes = $3, cost_before = $4, cost_after = $5, improvement = $6,
                write_cost = $7, queries_helped = $8, reason = $9, evidence = $10, last_found = pg_catalog.now(),
                access_method = $11, action = $12, index_oid = $13, confidence = $14
            FROM target t
            WHERE r.schema_name = t.schema_name AND r.relation_name = t.relation_name AND r.status = 'open'
              AND (r.action = 'drop') = ($12 = 'drop')
              AND CASE WHEN $12 = 'drop' THEN r.index_oid = $13
                       ELSE pg_catalog.substring(r.definition, ' USING .*$') = pg_catalog.substring($2, ' USING .*$') END
            RETURNING r.id
        ), inserted AS (
            INSERT INTO citadel.index_recommendation (relation_oid, schema_name, relation_name, definition, access_method,
                size_bytes, cost_before, cost_after, improvement, write_cost, queries_helped, reason, evidence, action,
                index_oid, confidence)
            SELECT $1, t.schema_name, t.relation_name, $2, $11, $3, $4, $5, $6, $7, $8, $9, $10, $12, $13, $14
            FROM target t WHERE NOT EXISTS (SELECT FROM updated)
            RETURNING id
        )
        SELECT id FROM updated UNION ALL SELECT id FROM inserted ORDER BY id LIMIT 1)",
                                    values);
    if (rows.empty())
        return 0; // the table was dropped meanwhile
    const std::int64_t id = rows.int64(0, 0);
    spi.execute("UPDATE citadel.index_recommendation SET build_seconds = "
                "(SELECT pg_catalog.sum(s.estimated_seconds) FROM citadel.index_build_plan($1) s) WHERE id = $1",
                {pg::arg(id)});
    spi.execute("DELETE FROM citadel.index_recommendation_query WHERE recommendation_id = $1", {pg::arg(id)});
    for (const Beneficiary& helped : found.helped) {
        const WorkloadStatement& statement = facts.workload[helped.statement];
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
    rules.consider_drops = true;
    const Advice advice = recommend(workload.statements, rules);
    const std::vector<Finding> findings = find_advice(workload.statements, advice);

    const RunFacts facts = facts_of(workload.statements, findings);

    pg::Spi spi;
    std::vector<std::int64_t> found;
    for (const Recommendation& recommendation : advice.recommendations)
        if (const std::int64_t id = store(spi, recommendation, advice, facts); id != 0)
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
