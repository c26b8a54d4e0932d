// Reads the facts of a regression: the figures of its plans (regression_evidence() in SQL), what those plans read, and
// what changed about that time. Everything that is read goes into the evidence as it is.
#include "pg/server.hpp"

#include "history/attribution_pg.hpp"

#include "history/arrays_pg.hpp"
#include "history/attribution_watch_pg.hpp"
#include "pg/clock.hpp"
#include "pg/spi.hpp"

namespace citadel::history {

namespace {

// DDL, settings and ANALYZE count from so long before the first slow minute.
constexpr TimestampTz before_it = 10 * USECS_PER_MINUTE;
constexpr TimestampTz role_setting_before = USECS_PER_HOUR; // new sessions alone get it
constexpr TimestampTz three_hours = 3 * USECS_PER_HOUR;

// The nodes of both plans that read a table or an index.
constexpr const char* nodes = R"(
    WITH node AS MATERIALIZED (
        SELECT p.plan_id, n.node
        FROM (SELECT DISTINCT ON (plan_id) plan_id, plan FROM citadel.plan
              WHERE query_id = $1 AND plan_id IN ($2, $3) ORDER BY plan_id, captured_at DESC) AS p,
            LATERAL (SELECT jsonb_path_query(p.plan,
                'strict $.** ? (exists (@."Relation Name") || exists (@."Index Name") || exists (@."Node Type"))'
            )) AS n (node)
    ), touched AS MATERIALIZED (
        SELECT DISTINCT citadel.plan_relation(node ->> 'Schema', node ->> 'Relation Name', NULL) AS oid
        FROM node WHERE node ? 'Relation Name'
    ) )";

std::string json_array(const pg::Rows& rows, std::size_t column) {
    std::string array = "[";
    for (std::size_t i = 0; i < rows.size(); ++i)
        array += (i > 0 ? "," : "") + rows.text(i, column);
    return array + "]";
}

class Reading {
  public:
    Reading(std::int64_t query_id, TimestampTz since, TimestampTz now)
        : query_id_(pg::arg(query_id)), since_(since), now_(now) {}

    // What made a difference happened after it had last been as usual: not before the second to last minute in which it
    // ran (a minute with few runs is judged together with the next one).
    void find_start() {
        const pg::Rows row =
            spi_.query(R"(
            SELECT floor(extract(epoch FROM greatest($3, coalesce(min(m.at), $3)) - '2000-01-01 00:00+00'::timestamptz)
                         * 1000000)::bigint
            FROM (SELECT at FROM citadel.statement_minute WHERE query_id = $1 AND at < $2 AND at >= $3
                  GROUP BY at ORDER BY at DESC LIMIT 2) AS m)",
                       {query_id_, pg::arg_timestamptz(since_), pg::arg_timestamptz(since_ - before_it)});
        start_ = row.int64(0, 0);
    }

    void figures(Facts& facts) {
        const pg::Rows row = spi_.query(R"(
            SELECT e, e ->> 'plan_before', e ->> 'plan_after', e -> 'calls_before', e -> 'calls_after',
                e -> 'blocks_per_run_before', e -> 'blocks_per_run_after', e -> 'reads_per_run_before',
                e -> 'reads_per_run_after', e -> 'temp_blocks_per_run_before', e -> 'temp_blocks_per_run_after',
                e -> 'rows_per_run_before', e -> 'rows_per_run_after'
            FROM citadel.regression_evidence($1, $2) AS e)",
                                        {query_id_, pg::arg_timestamptz(since_)});
        evidence_ = row.text(0, 0);
        before_plan_ = pg::arg(row.int64(0, 1));
        after_plan_ = pg::arg(row.int64(0, 2));
        facts.other_plan = row.int64(0, 1) != row.int64(0, 2);
        facts.before = {row.float8(0, 3), row.float8(0, 5), row.float8(0, 7), row.float8(0, 9), row.float8(0, 11)};
        facts.since = {row.float8(0, 4), row.float8(0, 6), row.float8(0, 8), row.float8(0, 10), row.float8(0, 12)};
    }

    void plans(Facts& facts) {
        const pg::Rows row = spi_.query(std::string(nodes) + R"(
            SELECT coalesce(bool_or(plan_id = $2), false), coalesce(bool_or(plan_id = $3), false) FROM node)",
                                        {query_id_, before_plan_, after_plan_});
        facts.old_plan_known = row.boolean(0, 0);
        facts.plan_known = facts.old_plan_known || row.boolean(0, 1);
    }

    void tables(Facts& facts) {
        const pg::Rows rows = spi_.query(std::string(nodes) + R"(
            SELECT t.oid, t.name, t.rows, greatest(t.rows - t.net, 0), greatest(t.rows - t.net_of_a_day, 0), t.analyzed,
                t.modified, t.dead, t.has_statistics, to_jsonb(t)
            FROM (SELECT c.oid, format('%I.%I', n.nspname, c.relname) AS name,
                      coalesce(nullif(pg_stat_get_live_tuples(c.oid), 0), greatest(c.reltuples, 0)::float8) AS rows,
                      coalesce(d.net, 0) AS net, coalesce(d.net_of_a_day, 0) AS net_of_a_day,
                      greatest(c.reltuples, 0)::float8 AS analyzed,
                      pg_stat_get_mod_since_analyze(c.oid)::float8 AS modified,
                      pg_stat_get_dead_tuples(c.oid)::float8 AS dead,
                      EXISTS (SELECT FROM pg_statistic s WHERE s.starelid = c.oid) AS has_statistics,
                      c.relpages AS pages_then
                  FROM touched
                  JOIN pg_class c ON c.oid = touched.oid
                  JOIN pg_namespace n ON n.oid = c.relnamespace
                  LEFT JOIN (
                      SELECT relation, sum(rows_inserted - rows_deleted) FILTER (WHERE at >= $4)::float8 AS net,
                          sum(rows_inserted - rows_deleted)::float8 AS net_of_a_day
                      FROM citadel.table_delta
                      WHERE relation IN (SELECT oid FROM touched)
                        AND at > greatest($5, (SELECT min(m.at) FROM citadel.statement_minute m
                                               WHERE m.query_id = $1 AND m.at > $5))
                      GROUP BY relation) AS d ON d.relation = c.oid
                  WHERE n.nspname NOT IN ('pg_catalog', 'citadel')) AS t
            ORDER BY t.rows DESC)",
                                         {query_id_, before_plan_, after_plan_, pg::arg_timestamptz(start_),
                                          pg::arg_timestamptz(since_ - USECS_PER_DAY)},
                                         20);
        for (std::size_t i = 0; i < rows.size(); ++i) {
            TableFacts table;
            table.name = rows.text(i, 1);
            table.rows = rows.float8(i, 2);
            table.rows_before = rows.float8(i, 3);
            table.rows_a_day_before = rows.float8(i, 4);
            table.analyzed_rows = rows.float8(i, 5);
            table.modified = rows.float8(i, 6);
            table.dead = rows.float8(i, 7);
            table.has_statistics = rows.boolean(i, 8);
            if (const TimestampTz at = analyzed_at(rows.oid(i, 0)); at >= start_)
                table.analyzed_at = shown(at);
            facts.tables.push_back(table);
        }
        note("tables", rows, 9);
    }

    void indexes(Facts& facts) {
        const pg::Rows rows = spi_.query(std::string(nodes) + R"(
            SELECT u.name, u.exists, u.valid, u.pages, u.pages_then, to_jsonb(u)
            FROM (SELECT DISTINCT ON (w.name) w.name, x.oid IS NOT NULL AS exists,
                      coalesce(x.indisvalid, false) AS valid,
                      coalesce(citadel.relation_bytes(x.oid, true) / current_setting('block_size')::int, 0)::float8
                          AS pages,
                      coalesce(x.relpages, 0)::float8 AS pages_then
                  FROM (SELECT DISTINCT node ->> 'Index Name' AS name FROM node
                        WHERE plan_id = $2 AND node ? 'Index Name') AS w
                  LEFT JOIN LATERAL (
                      SELECT c.oid, i.indisvalid, c.relpages FROM pg_class c JOIN pg_index i ON i.indexrelid = c.oid
                      WHERE c.relname = w.name AND i.indrelid IN (SELECT oid FROM touched)) AS x ON true
                  ORDER BY w.name, x.indisvalid DESC) AS u)",
                                         {query_id_, before_plan_, after_plan_}, 20);
        for (std::size_t i = 0; i < rows.size(); ++i)
            facts.indexes.push_back(
                {rows.text(i, 0), rows.boolean(i, 1), rows.boolean(i, 2), rows.float8(i, 3), rows.float8(i, 4)});
        note("indexes_before", rows, 5);
    }

    void ddl(Facts& facts) {
        const pg::Rows rows = spi_.query(
            std::string(nodes) + R"(
            SELECT d.shown, d.command, d.action, d.object, d.table, d.is_index, d.is_trigger, d.used, to_jsonb(d)
            FROM (SELECT to_char(l.at, 'YYYY-MM-DD HH24:MI:SS') AS shown, l.at, l.user_id, l.command, l.action,
                      CASE WHEN l.kind IS NULL OR l.kind IN ('i', 'I')
                           THEN coalesce(l.object_name, l.object_class::text)
                           ELSE format('%I.%I', l.schema_name, l.object_name) END AS object,
                      (SELECT format('%I.%I', n.nspname, c.relname)
                       FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = l.relation) AS table,
                      coalesce(l.kind IN ('i', 'I'), false) AS is_index,
                      l.object_class IN ('pg_trigger'::regclass, 'pg_constraint'::regclass) AS is_trigger,
                      EXISTS (SELECT FROM node
                              WHERE node.plan_id = $3 AND node.node ->> 'Index Name' = l.object_name) AS used
                  FROM citadel.ddl_log l WHERE l.relation IN (SELECT oid FROM touched) AND l.at BETWEEN $4 AND $5
                  ORDER BY l.id DESC) AS d)",
            {query_id_, before_plan_, after_plan_, pg::arg_timestamptz(start_), pg::arg_timestamptz(now_)}, 20);
        for (std::size_t i = 0; i < rows.size(); ++i) {
            DdlFacts ddl;
            ddl.at = rows.text(i, 0);
            ddl.command = rows.text(i, 1);
            ddl.action = rows.text(i, 2);
            ddl.object = rows.text(i, 3);
            ddl.table = rows.text(i, 4);
            ddl.index = rows.boolean(i, 5);
            ddl.trigger = rows.boolean(i, 6);
            ddl.used_by_new_plan = rows.boolean(i, 7);
            facts.ddl.push_back(ddl);
        }
        note("ddl", rows, 8);
    }

    // Those of the server, of this database, and of roles that run the statement.
    void settings(Facts& facts) {
        const pg::Rows rows = spi_.query(R"(
            SELECT s.shown, s.setting, s.old_value, s.new_value, s.of, to_jsonb(s)
            FROM (SELECT to_char(l.at, 'YYYY-MM-DD HH24:MI:SS') AS shown, l.at, l.setting, l.old_value, l.new_value,
                      concat_ws(' in ', CASE WHEN l.role <> 0 THEN 'role ' || pg_get_userbyid(l.role) END,
                                CASE WHEN l.database <> 0 THEN 'database ' || current_database() END) AS of
                  FROM citadel.setting_log l
                  WHERE l.at BETWEEN CASE WHEN l.role = 0 AND l.database = 0 THEN $3 ELSE $4 END AND $5
                    AND (l.role = 0 OR l.role IN (SELECT m.user_id FROM citadel.statement_minute m
                                                  WHERE m.query_id = $1 AND m.at >= $2))
                  ORDER BY l.id DESC) AS s)",
                                         {query_id_, pg::arg_timestamptz(since_), pg::arg_timestamptz(start_),
                                          pg::arg_timestamptz(since_ - role_setting_before), pg::arg_timestamptz(now_)},
                                         20);
        for (std::size_t i = 0; i < rows.size(); ++i)
            facts.settings.push_back({rows.text(i, 0), rows.text(i, 1), rows.text(i, 2), rows.text(i, 3),
                                      rows.text(i, 4), effect_of(rows.text(i, 1))});
        note("settings", rows, 5);
    }

    // What the scheduler saw every few seconds, and what the launcher saw of slow runs every 100 ms.
    void waits(Facts& facts, std::int64_t query_id) {
        SeenWaits before = waits_between(query_id, since_ - three_hours, since_);
        SeenWaits since = waits_between(query_id, since_, PG_INT64_MAX);
        const pg::Rows rows =
            spi_.query(R"(
            SELECT s.ended_at < $2, sum(w.value::float8) / 10,
                coalesce(sum(w.value::float8) FILTER (WHERE w.key NOT IN ('cpu', 'Client', 'Activity')), 0) / 10,
                (array_agg(w.key ORDER BY w.value::float8 DESC)
                     FILTER (WHERE w.key NOT IN ('cpu', 'Client', 'Activity')))[1]
            FROM citadel.sample s, jsonb_each_text(s.waits) w
            WHERE s.query_id = $1 AND s.ended_at >= $3 GROUP BY 1)",
                       {query_id_, pg::arg_timestamptz(since_), pg::arg_timestamptz(since_ - three_hours)});
        for (std::size_t i = 0; i < rows.size(); ++i) {
            SeenWaits& part = rows.boolean(i, 0) ? before : since;
            if (rows.float8(i, 2) > part.waiting)
                part.most = rows.text(i, 3);
            part.seconds += rows.float8(i, 1);
            part.waiting += rows.float8(i, 2);
        }
        const auto share = [](const SeenWaits& seen) { return seen.seconds > 0 ? seen.waiting / seen.seconds : 0; };
        facts.waits = {before.seconds, since.seconds, share(before), share(since), since.most};
        evidence_parts_.push_back("jsonb_build_object('waits', jsonb_build_object('seconds_seen_before', " +
                                  std::to_string(before.seconds) + ", 'waiting_share_before', " +
                                  std::to_string(share(before)) + ", 'seconds_seen', " + std::to_string(since.seconds) +
                                  ", 'waiting_share', " + std::to_string(share(since)) + "))");
    }

    void restart(Facts& facts) {
        const pg::Rows row =
            spi_.query("SELECT to_char(s.at, 'YYYY-MM-DD HH24:MI:SS') FROM (SELECT pg_postmaster_start_time() + "
                       "(citadel.history_clock() - clock_timestamp()) AS at) AS s WHERE s.at >= $1",
                       {pg::arg_timestamptz(start_)});
        if (!row.empty())
            facts.restarted_at = row.text(0, 0);
    }

    std::string evidence(const std::vector<Finding>& findings) {
        TextArray causes, whys;
        for (const Finding& finding : findings) {
            causes.add(name_of(finding.cause));
            whys.add(finding.why);
        }
        std::vector<pg::Arg> arguments = {pg::arg(evidence_), causes.arg(), whys.arg()};
        std::string sql = "SELECT $1::jsonb || jsonb_build_object('causes', (SELECT jsonb_agg(jsonb_build_object("
                          "'cause', c, 'why', w) ORDER BY n) FROM unnest($2, $3) WITH ORDINALITY AS f (c, w, n)))";
        for (const std::string& part : evidence_parts_)
            sql += " || " + part;
        for (const auto& [name, array] : evidence_arrays_) {
            arguments.push_back(pg::arg(array));
            sql += " || jsonb_build_object('" + name + "', $" + std::to_string(arguments.size()) + "::jsonb)";
        }
        return spi_.query(sql, arguments).text(0, 0);
    }

  private:
    std::string shown(TimestampTz at) {
        return spi_.query("SELECT to_char($1, 'YYYY-MM-DD HH24:MI:SS')", {pg::arg_timestamptz(at)}).text(0, 0);
    }
    void note(const char* name, const pg::Rows& rows, std::size_t column) {
        evidence_arrays_.emplace_back(name, json_array(rows, column));
    }

    pg::Spi spi_;
    pg::Arg query_id_;
    pg::Arg before_plan_, after_plan_;
    TimestampTz since_, now_;
    TimestampTz start_ = 0;
    std::string evidence_;
    std::vector<std::string> evidence_parts_;
    std::vector<std::pair<std::string, std::string>> evidence_arrays_;
};

} // namespace

Attributed attribute_regression(std::int64_t query_id, TimestampTz since, TimestampTz now, double usual_ms, double ms) {
    Facts facts;
    facts.usual_ms = usual_ms;
    facts.ms = ms;
    Reading reading(query_id, since, now);
    reading.find_start();
    reading.figures(facts);
    reading.plans(facts);
    reading.tables(facts);
    reading.indexes(facts);
    reading.ddl(facts);
    reading.settings(facts);
    reading.waits(facts, query_id);
    reading.restart(facts);
    Attributed result{attribute(facts), {}};
    result.evidence = reading.evidence(result.findings);
    return result;
}

} // namespace citadel::history
