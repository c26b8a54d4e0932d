#include "pg/server.hpp"

#include "audit/audit.hpp"
#include "jobs/hours.hpp"
#include "jobs/jobs.hpp"
#include "maintenance/inspect.hpp"
#include "maintenance/tables_pg.hpp"
#include "pg/clock.hpp"
#include "pg/fault.hpp"
#include "pg/spi.hpp"
#include "settings/settings.hpp"

#include <map>

namespace citadel::maintenance {

namespace {

constexpr TimestampTz longest_us = 15 * USECS_PER_MINUTE; // a run begins nothing new after that
constexpr const char* job_actor = "job maintain";

struct Table {
    Oid oid = InvalidOid;
    std::string schema, name;
    TableFacts facts;
};

// --- facts

// Scans in plans of the last week whose rows came in more than ten times as expected, for each table the worst one.
std::map<Oid, EstimateError> estimate_errors() {
    pg::Spi spi;
    const pg::Rows rows = spi.query(R"(
        SELECT DISTINCT ON (n.relation) n.relation, p.query_id, n.plan_rows, n.actual_rows,
            (extract(epoch FROM p.captured_at - timestamptz '2000-01-01 00:00+00') * 1000000)::bigint
        FROM (SELECT q.* FROM citadel.plan q WHERE q.has_row_counts AND q.captured_at > $1
              ORDER BY q.captured_at DESC LIMIT 2000) p
        LEFT JOIN citadel.statement s ON s.query_id = p.query_id AND s.user_id = p.user_id,
            LATERAL citadel.plan_nodes(p.plan, s.search_path) n
        WHERE n.relation IS NOT NULL AND n.loops > 0 AND NOT n.below_limit
          AND n.actual_rows >= 10 * greatest(n.plan_rows, 1)
        ORDER BY n.relation, n.actual_rows / greatest(n.plan_rows, 1) DESC)",
                                    {pg::arg_timestamptz(pg::now() - 7 * USECS_PER_DAY)});
    std::map<Oid, EstimateError> found;
    for (std::size_t i = 0; i < rows.size(); ++i)
        found[rows.oid(i, 0)] = {rows.int64(i, 1), rows.float8(i, 2), rows.float8(i, 3), rows.int64(i, 4)};
    return found;
}

// Leaf tables with what the server counts of them, and partitioned tables with the sum of their leaves' rows.
std::vector<Table> tables() {
    const std::map<Oid, EstimateError> errors = estimate_errors();
    pg::Spi spi;
    // After a crash the counters are gone: of a table that was never analyzed only its size is known then.
    const pg::Rows rows = spi.query(R"(
        WITH leaf AS (
            SELECT c.oid, CASE WHEN c.reltuples < 0 AND pg_stat_get_live_tuples(c.oid) = 0
                THEN coalesce(citadel.relation_bytes(c.oid, true), 0) / 8192.0 * 60
                ELSE greatest(c.reltuples, pg_stat_get_live_tuples(c.oid), 0) END::float8 AS rows
            FROM pg_class c WHERE c.relkind IN ('r', 'm')
        ), total AS (
            SELECT t.root AS oid, sum(l.rows) AS rows
            FROM citadel.partition_tree(ARRAY(SELECT c.oid FROM pg_class c WHERE c.relkind = 'p')) t
            JOIN leaf l ON l.oid = t.relation GROUP BY t.root
        )
        SELECT c.oid, n.nspname, c.relname, format('%I.%I', n.nspname, c.relname), c.relkind = 'p',
            coalesce(l.rows, t.rows, 0)::float8, greatest(c.reltuples, 0)::float8,
            pg_stat_get_mod_since_analyze(c.oid)::float8, EXISTS (SELECT FROM pg_statistic s WHERE s.starelid = c.oid),
            (extract(epoch FROM greatest(pg_stat_get_last_analyze_time(c.oid), pg_stat_get_last_autoanalyze_time(c.oid))
                                - timestamptz '2000-01-01 00:00+00') * 1000000)::bigint,
            pg_stat_get_dead_tuples(c.oid)::float8, coalesce(citadel.relation_bytes(c.oid, true), 0)::float8,
            coalesce(b.bloat_bytes, 0)::float8,
            CASE WHEN c.relfrozenxid <> '0'::xid THEN age(c.relfrozenxid) ELSE 0 END::float8,
            least(coalesce((SELECT o.option_value::float8 FROM pg_options_to_table(c.reloptions) o
                            WHERE o.option_name = 'autovacuum_freeze_max_age'), 'infinity'),
                  current_setting('autovacuum_freeze_max_age')::float8)
        FROM pg_class c
        JOIN pg_namespace n ON n.oid = c.relnamespace
        LEFT JOIN leaf l ON l.oid = c.oid
        LEFT JOIN total t ON t.oid = c.oid
        LEFT JOIN citadel.heap_bloat(NULL) b ON b.leaf = c.oid
        WHERE c.relkind IN ('r', 'm', 'p') AND c.relpersistence <> 't'
          AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'citadel')
          AND (c.relkind <> 'm' OR c.relispopulated))");
    std::vector<Table> found;
    for (std::size_t i = 0; i < rows.size(); ++i) {
        Table table{rows.oid(i, 0), rows.text(i, 1), rows.text(i, 2), {}};
        TableFacts& facts = table.facts;
        facts.name = rows.text(i, 3);
        facts.partitioned = rows.boolean(i, 4);
        facts.rows = rows.float8(i, 5);
        facts.rows_at_analyze = rows.float8(i, 6);
        facts.modified = rows.float8(i, 7);
        facts.analyzed = rows.boolean(i, 8);
        if (!rows.is_null(i, 9))
            facts.analyzed_us = rows.int64(i, 9);
        facts.dead_rows = rows.float8(i, 10);
        facts.bytes = rows.float8(i, 11);
        facts.bloat_bytes = rows.float8(i, 12);
        facts.xid_age = rows.float8(i, 13);
        facts.freeze_max_age = rows.float8(i, 14);
        if (const auto error = errors.find(table.oid); error != errors.end())
            facts.worst_error = error->second;
        found.push_back(std::move(table));
    }
    return found;
}

// --- writing down

struct Found {
    std::string kind;
    Oid oid = InvalidOid;
    std::string schema, name, reason, statement, evidence = "{}";
    double urgency = 0;
    bool advice = false;
};

void note(std::int64_t run_id, const Found& found, TimestampTz now) {
    pg::Spi spi;
    spi.execute(R"(
        INSERT INTO citadel.maintenance_action AS a (run_id, kind, relation_oid, schema_name, relation_name, status,
            reason, statement, evidence, urgency, first_found, last_found)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $11)
        ON CONFLICT (kind, relation_oid) WHERE status IN ('proposed', 'advised') DO UPDATE
        SET run_id = $1, schema_name = $4, relation_name = $5, reason = $7, statement = $8, evidence = $9,
            urgency = $10, last_found = greatest(a.first_found, $11))",
                {pg::arg(run_id), pg::arg(found.kind), pg::arg_oid(found.oid), pg::arg_as(NAMEOID, found.schema),
                 pg::arg_as(NAMEOID, found.name), pg::arg(found.advice ? "advised" : "proposed"), pg::arg(found.reason),
                 pg::arg(found.statement), pg::arg_as(JSONBOID, found.evidence), pg::arg(found.urgency),
                 pg::arg_timestamptz(now)});
}

void note_tables(std::int64_t run_id, TimestampTz now) {
    for (const Table& table : tables())
        for (const Proposal& proposal : inspect(table.facts))
            note(run_id,
                 {kind_name(proposal.kind), table.oid, table.schema, table.name, proposal.reason, proposal.statement,
                  figures_json(proposal.figures), proposal.urgency, proposal.kind != Kind::analyze},
                 now);
}

// Invalid indexes that nobody is building. Ours is one that a conversion made, under the name that it alone gives
// (citadel_key_OPERATION_KEY), on the table of that operation, which has ended; while it goes on it cleans up itself.
// Everything else may be somebody's work in progress, or wanted for what it is called: advice.
void note_indexes(std::int64_t run_id, TimestampTz now) {
    pg::Spi spi;
    const pg::Rows rows = spi.query(R"(
        SELECT k.oid, n.nspname, k.relname, format('%I.%I', n.nspname, k.relname), i.indrelid::regclass::text,
            EXISTS (SELECT FROM citadel.lifecycle_operation o
                    WHERE o.kind = 'convert' AND o.subject_oid = i.indrelid AND o.finished_at IS NOT NULL
                      AND k.relname ~ ('^citadel_key_' || o.operation_id || '_[0-9]+$'))
        FROM pg_index i
        JOIN pg_class k ON k.oid = i.indexrelid
        JOIN pg_namespace n ON n.oid = k.relnamespace
        JOIN pg_class t ON t.oid = i.indrelid
        WHERE NOT i.indisvalid AND t.relkind IN ('r', 'm') AND t.relpersistence <> 't'
          AND n.nspname NOT IN ('pg_catalog', 'pg_toast')
          AND NOT EXISTS (SELECT FROM pg_stat_progress_create_index p WHERE p.relid = i.indrelid)
          AND NOT EXISTS (SELECT FROM pg_locks l
                          WHERE l.relation = i.indrelid AND l.mode = 'ShareUpdateExclusiveLock' AND l.granted))");
    for (std::size_t i = 0; i < rows.size(); ++i) {
        const bool ours = rows.boolean(i, 5);
        Found found;
        found.kind = ours ? "drop_index" : "invalid_index";
        found.oid = rows.oid(i, 0);
        found.schema = rows.text(i, 1);
        found.name = rows.text(i, 2);
        found.reason = ours ? "invalid: a conversion of " + rows.text(i, 4) + " that has ended left it"
                            : "invalid: a CREATE INDEX CONCURRENTLY or REINDEX of " + rows.text(i, 4) +
                                  " did not finish; it is written to and serves no query. REINDEX INDEX CONCURRENTLY "
                                  "would finish it";
        found.statement = "DROP INDEX CONCURRENTLY " + rows.text(i, 3);
        found.advice = !ours;
        note(run_id, found, now);
    }
}

// --- doing

struct Action {
    std::int64_t id = 0;
    std::string kind, statement;
    Oid oid = InvalidOid;
    std::int64_t found_us = 0;
};

bool allowed_now() {
    const std::string text = settings::maintenance_hours == nullptr ? "" : settings::maintenance_hours;
    const auto hours = jobs::parse_hours(text);
    if (!hours)
        return text.empty();
    pg::Spi spi;
    const std::int64_t of_day =
        spi.query("SELECT (extract(epoch FROM ($1 AT TIME ZONE current_setting('TimeZone'))::time) * "
                  "1000000)::bigint",
                  {pg::arg_timestamptz(pg::now())})
            .int64(0, 0);
    return jobs::within_hours(*hours, of_day);
}

// What was proposed by this run and did not fail three times in a day; indexes first, they cost nothing.
std::vector<Action> proposed(std::int64_t run_id) {
    pg::Spi spi;
    const pg::Rows rows = spi.query(R"(
        SELECT a.action_id, a.kind, a.statement, a.relation_oid,
            (extract(epoch FROM a.last_found - timestamptz '2000-01-01 00:00+00') * 1000000)::bigint
        FROM citadel.maintenance_action a
        WHERE a.status = 'proposed' AND a.run_id = $1
          AND (SELECT count(*) FROM citadel.maintenance_action f
               WHERE f.relation_oid = a.relation_oid AND f.kind = a.kind AND f.status = 'failed'
                 AND f.started_at > $2) < 3
        ORDER BY a.kind = 'analyze', a.urgency DESC, a.action_id)",
                                    {pg::arg(run_id), pg::arg_timestamptz(pg::now() - USECS_PER_DAY)});
    std::vector<Action> actions;
    for (std::size_t i = 0; i < rows.size(); ++i)
        actions.push_back({rows.int64(i, 0), rows.text(i, 1), rows.text(i, 2), rows.oid(i, 3), rows.int64(i, 4)});
    return actions;
}

// The relation as it is now: its owner, and the name that the statement needs; nothing when it is gone or something
// else.
std::optional<Oid> owner_of(const Action& action) {
    pg::Spi spi;
    const pg::Rows rows = spi.query("SELECT c.relowner, format('%I.%I', n.nspname, c.relname) FROM pg_class c JOIN "
                                    "pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = $1",
                                    {pg::arg_oid(action.oid)});
    if (rows.empty() || action.statement.find(rows.text(0, 1)) == std::string::npos)
        return std::nullopt;
    return rows.oid(0, 0);
}

bool analyzed_since(Oid oid, TimestampTz time) {
    pg::Spi spi;
    return spi
        .query(
            "SELECT coalesce(greatest(pg_stat_get_last_analyze_time($1), pg_stat_get_last_autoanalyze_time($1)) >= $2, "
            "false)",
            {pg::arg_oid(oid), pg::arg_timestamptz(time)})
        .boolean(0, 0);
}

void set_status(const Action& action, const char* status, const std::string& error = {}) {
    pg::Spi spi;
    spi.execute(
        "UPDATE citadel.maintenance_action SET status = $2, finished_at = $3, error = nullif($4, '') WHERE action_id = "
        "$1",
        {pg::arg(action.id), pg::arg(status), pg::arg_timestamptz(pg::now()), pg::arg(error)});
}

void audit_drop(audit::Entry entry, const char* outcome, const std::string& reason = {}) {
    entry.outcome = outcome;
    entry.actor = job_actor;
    entry.reason = reason;
    audit::append(entry);
}

// As the owner, restricted: an index expression or a statistics object over one runs its owner's functions.
void perform(const Action& action) {
    const std::optional<Oid> owner = owner_of(action);
    const bool analyze = action.kind == "analyze";
    if (!owner || (analyze && analyzed_since(action.oid, action.found_us)))
        return set_status(action, "closed");
    const TimestampTz start = GetCurrentTimestamp();
    const audit::Entry entry = audit::about("drop_invalid_index", action.oid);
    {
        pg::Spi spi;
        spi.execute("UPDATE citadel.maintenance_action SET started_at = $2 WHERE action_id = $1",
                    {pg::arg(action.id), pg::arg_timestamptz(pg::now())});
        if (!analyze)
            audit_drop(entry, audit::outcome::started);
    }
    std::string failure;
    try {
        pg::fault_point("maintain.action");
        // Does not wait behind a lock; whether it was skipped is seen afterwards.
        jobs::run_outside(analyze ? "ANALYZE (SKIP_LOCKED)" + action.statement.substr(std::string("ANALYZE").size())
                                  : action.statement,
                          *owner);
        if (analyze && !analyzed_since(action.oid, start))
            failure = "the table is locked";
    } catch (const pg::Error& error) {
        if (error.is_intervention())
            throw;
        failure = error.what();
    }
    if (!analyze)
        audit_drop(entry, failure.empty() ? audit::outcome::done : audit::outcome::failed, failure);
    set_status(action, failure.empty() ? "done" : "failed", failure);
    jobs::checkpoint();
}

void act(std::int64_t run_id) {
    const TimestampTz begun = pg::now();
    {
        pg::Spi spi;
        spi.execute("SELECT set_config('vacuum_cost_delay', $1, false)",
                    {pg::arg(std::to_string(settings::maintenance_cost_delay_ms))});
    }
    const std::vector<Action> actions = proposed(run_id);
    jobs::checkpoint();
    for (const Action& action : actions) {
        if (settings::maintenance != settings::maintenance_act || !allowed_now() || pg::now() > begun + longest_us)
            return;
        perform(action);
    }
}

} // namespace

void look_after_tables(std::int64_t run_id) {
    if (settings::maintenance == settings::maintenance_off)
        return;
    const TimestampTz now = pg::now();
    note_tables(run_id, now);
    note_indexes(run_id, now);
    {
        pg::Spi spi;
        spi.execute("UPDATE citadel.maintenance_action SET status = 'closed' WHERE status IN ('proposed', 'advised') "
                    "AND run_id "
                    "<> $1",
                    {pg::arg(run_id)});
    }
    jobs::checkpoint();
    if (settings::maintenance == settings::maintenance_act)
        act(run_id);
}

} // namespace citadel::maintenance
