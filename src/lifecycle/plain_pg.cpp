// Plain tables under a policy: what is to be done, and who does it.
#include "lifecycle/plain_pg.hpp"

#include "jobs/jobs.hpp"
#include "lifecycle/archive_pg.hpp"
#include "lifecycle/brake_pg.hpp"
#include "lifecycle/calendar.hpp"
#include "lifecycle/facts_pg.hpp"
#include "lifecycle/holds_pg.hpp"
#include "lifecycle/key_pg.hpp"
#include "lifecycle/plain_parts_pg.hpp"
#include "lifecycle/plan.hpp"
#include "lifecycle/policy_pg.hpp"
#include "pg/clock.hpp"
#include "pg/write_as.hpp"

#include <chrono>
#include <memory>

namespace citadel::lifecycle::plain {

std::int64_t monotonic_us() {
    return std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::steady_clock::now().time_since_epoch())
        .count();
}

std::string range_condition(const Policy& policy, Place lower, Place upper) {
    const std::string column = pg::quote_identifier(policy.column);
    std::string sql;
    if (lower != open_low)
        sql = column + " >= '" + place_text(lower, policy) + "'";
    if (upper != open_high)
        sql += (sql.empty() ? "" : " AND ") + column + " < '" + place_text(upper, policy) + "'";
    return sql.empty() ? column + " IS NOT NULL" : sql;
}

std::string writable_columns(Oid table, Generated generated) {
    pg::Spi spi;
    return spi
        .query("SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum) FROM pg_attribute WHERE attrelid = $1 "
               "AND attnum > 0 AND NOT attisdropped AND ($2 OR attgenerated = '')",
               {pg::arg_oid(table), pg::arg(generated == Generated::given)})
        .text(0, 0);
}

std::string time_index(const Policy& policy) {
    pg::Spi spi;
    const pg::Rows rows = spi.query(
        "SELECT k.relname FROM pg_index i JOIN pg_class k ON k.oid = i.indexrelid JOIN pg_am m ON m.oid = k.relam "
        "JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0] WHERE i.indrelid = $1 AND m.amname "
        "= 'btree' AND i.indisvalid AND i.indisready AND i.indpred IS NULL AND a.attname = $2 ORDER BY i.indnatts, "
        "k.oid LIMIT 1",
        {pg::arg_oid(policy.relation), pg::arg(policy.column)});
    return rows.empty() ? std::string() : rows.text(0, 0);
}

namespace {

// The place of a column's value, from SQL: as an expression over it.
std::string place_expression(const Policy& policy) {
    const std::string column = pg::quote_identifier(policy.column);
    switch (policy.kind) {
    case ColumnKind::integer:
        return column + "::bigint";
    case ColumnKind::date:
        return "((" + column + " - '2000-01-01'::date)::bigint * 86400000000)";
    case ColumnKind::timestamp:
        return "((extract(epoch FROM " + column + " - '2000-01-01 00:00:00'::timestamp) * 1000000)::bigint)";
    case ColumnKind::timestamptz:
        break;
    }
    return "((extract(epoch FROM " + column + " - '2000-01-01 00:00:00+00'::timestamptz) * 1000000)::bigint)";
}

} // namespace

std::optional<Place> edge(const Policy& policy, const std::string& table, const std::string& condition, bool newest) {
    const std::string column = pg::quote_identifier(policy.column);
    const std::string finite = policy.kind == ColumnKind::integer
                                   ? column + " IS NOT NULL"
                                   : column + " > '-infinity' AND " + column + " < 'infinity'";
    const pg::RoleScope as_owner(policy.owner);
    pg::Spi spi;
    const pg::Rows rows = spi.query("SELECT " + place_expression(policy) + " FROM " + table + " WHERE " + finite +
                                    condition + " ORDER BY " + column + (newest ? " DESC" : "") + " LIMIT 1");
    if (rows.empty())
        return std::nullopt;
    return rows.int64(0, 0);
}

std::pair<Place, Place> period_of(const Policy& policy, const Zone& zone, Place place) {
    // The same wall clock as the planner of partitions goes by.
    const bool local = policy.kind == ColumnKind::timestamptz && policy.interval.micros == 0;
    const Place wall = local ? zone.to_local(place) : place;
    const Place start = period_start(wall, policy.interval);
    const Place end = next_period(wall, policy.interval);
    return {local ? zone.to_utc(start) : start, local && end != open_high ? zone.to_utc(end) : end};
}

namespace {

// The oldest period that has rows to be moved and has wholly expired.
std::optional<std::pair<Place, Place>> expired_period(const Policy& policy, const Zone& zone, std::int64_t now) {
    Facts facts;
    facts.policy = policy;
    facts.now = now;
    if (policy.kind == ColumnKind::integer && policy.retain)
        facts.newest = edge(policy, relation_name(policy), "", true);
    const auto limit = cutoff(facts, zone);
    if (!limit)
        return std::nullopt;
    const Place end = period_of(policy, zone, *limit).first;
    std::string condition = " AND " + range_condition(policy, open_low, end);
    if (const std::string held = held_condition(policy); !held.empty())
        condition += " AND NOT (" + held + ")";
    const auto oldest = edge(policy, relation_name(policy), condition, false);
    if (!oldest)
        return std::nullopt;
    return period_of(policy, zone, *oldest);
}

struct Open {
    std::int64_t id = 0;
    std::string kind, state;
    Oid subject = InvalidOid;
    std::string name;
    Place lower = open_low, upper = open_high;
    bool waits = false;
    std::string why;
    std::string begun_to; // destination of the archive it has begun; empty: none
};

// `impatient`: somebody asked for this run, so pauses after failures do not count; a quarantine does.
std::vector<Open> open_operations(const Policy& policy, std::int64_t now, bool impatient) {
    pg::Spi spi;
    const pg::Rows rows =
        spi.query("SELECT operation_id, kind, o.state, subject_oid, format('%I.%I', subject_schema, subject_name), "
                  "detail->>'lower', detail->>'upper', coalesce(not_before > $2, false), last_error, "
                  "coalesce(a.destination, '') FROM citadel.lifecycle_operation o LEFT JOIN citadel.archive_entry a "
                  "USING (archive_id) WHERE o.policy_id = $1 AND finished_at IS NULL ORDER BY operation_id",
                  {pg::arg(policy.id), pg::arg_timestamptz(now)});
    std::vector<Open> open;
    for (std::size_t i = 0; i < rows.size(); ++i) {
        Open one;
        one.id = rows.int64(i, 0);
        one.kind = rows.text(i, 1);
        one.state = rows.text(i, 2);
        one.subject = rows.oid(i, 3);
        one.name = rows.text(i, 4);
        one.lower = rows.is_null(i, 5) ? open_low : rows.int64(i, 5);
        one.upper = rows.is_null(i, 6) ? open_high : rows.int64(i, 6);
        one.waits = rows.boolean(i, 7) && (!impatient || one.state == "quarantined");
        one.why = rows.text(i, 8);
        one.begun_to = rows.text(i, 9);
        open.push_back(std::move(one));
    }
    return open;
}

Step step_of(Action action, const Open& operation, const std::string& lock, const std::string& reason) {
    Step step;
    step.action = action;
    step.operation_id = operation.id;
    step.subject = operation.subject;
    step.target = operation.name;
    step.lower = operation.lower;
    step.upper = operation.upper;
    step.lock = lock;
    step.reason = reason;
    if (operation.waits)
        step.blocked = "waits after: " + (operation.why.empty() ? std::string("a pause") : operation.why);
    return step;
}

// What is left of a table of collected rows: like a partition that was detached.
void add_expiry(const Policy& policy, const Zone& zone, std::int64_t now, const Open& operation,
                std::vector<Step>& steps) {
    const std::string lock = "ACCESS EXCLUSIVE on " + operation.name;
    const std::string reason = "rows collected from " + relation_name(policy);
    // What has begun to be archived goes on as it began, whatever the policy says now.
    const bool archives = !operation.begun_to.empty() || policy.on_expiry == OnExpiry::archive;
    const std::string& destination = operation.begun_to.empty() ? policy.archive_to : operation.begun_to;
    const std::size_t before = steps.size();
    const auto block_all = [&](const std::string& why) {
        for (std::size_t i = before; i < steps.size(); ++i)
            steps[i].blocked = why;
    };
    if (operation.state == "planned" || operation.state == "detached")
        steps.push_back(step_of(Action::close_to_writers, operation, lock, reason));
    if (archives && operation.state != "quarantined" && operation.state != "dropping") {
        steps.push_back(step_of(Action::archive, operation, "ACCESS SHARE on " + operation.name, reason));
        steps.push_back(step_of(Action::verify, operation, "ACCESS SHARE on " + operation.name, reason));
    }
    if (!archives || destination.rfind("schema", 0) != 0)
        steps.push_back(step_of(Action::drop, operation, lock,
                                archives ? "its copy is verified and its quarantine over" : "the policy says drop"));
    if (archives && !policy.archive_enabled)
        block_all("archiving is switched off in the policy");
    if (!policy.drop_enabled && !steps.empty() && steps.back().action == Action::drop)
        steps.back().blocked = "dropping is switched off in the policy";
    if (!hours_allow(policy, now, zone))
        block_all(outside_hours(policy));
}

std::string keep_blocked(const Policy& policy, const Zone& zone, std::int64_t now) {
    if (policy.on_expiry == OnExpiry::drop && !policy.drop_enabled)
        return "dropping is switched off in the policy";
    if (policy.on_expiry == OnExpiry::archive && !policy.archive_enabled)
        return "archiving is switched off in the policy";
    if (policy.on_expiry == OnExpiry::detach && !policy.detach_enabled)
        return "detaching is switched off in the policy";
    std::string reason = keep_obstacle(policy);
    if (reason.empty() && policy.on_expiry == OnExpiry::archive)
        reason = archive::destination_problem(policy.archive_to, policy.archive_tablespace, policy.owner);
    if (reason.empty() && !hours_allow(policy, now, zone))
        reason = outside_hours(policy);
    return reason.empty() ? brake() : reason;
}

void plan_kept(const Policy& policy, const Zone& zone, std::int64_t now, const std::vector<Open>& open,
               std::vector<Step>& steps) {
    bool moving = false;
    for (const Open& operation : open) {
        if (operation.kind == "expire")
            add_expiry(policy, zone, now, operation, steps);
        if (operation.kind == "move_rows") {
            moving = true;
            steps.push_back(step_of(Action::move_rows, operation, "ROW EXCLUSIVE on " + operation.name,
                                    "under way, " + operation.state));
        }
    }
    if (!policy.retain)
        return;
    std::optional<std::pair<Place, Place>> period;
    if (const std::string obstacle = keep_obstacle(policy); !moving && !obstacle.empty())
        period.emplace(open_low, open_high); // what there is to move cannot be seen, or not be touched
    else if (!moving)
        period = expired_period(policy, zone, now);
    if (!moving && !period)
        return;
    const std::string blocked = keep_blocked(policy, zone, now);
    if (moving) {
        if (steps.back().blocked.empty())
            steps.back().blocked = blocked;
        return;
    }
    Step step;
    step.action = Action::move_rows;
    step.subject = policy.relation;
    step.target = relation_name(policy);
    step.lower = period->first;
    step.upper = period->second;
    step.lock = "ROW EXCLUSIVE on " + step.target;
    step.reason = "rows " +
                  (step.lower == open_low
                       ? std::string()
                       : "of " + place_text(step.lower, policy) + " to " + place_text(step.upper, policy) + " ") +
                  "are older than " + policy.retain_text;
    step.blocked = blocked;
    steps.push_back(std::move(step));
}

void plan_conversion(const Policy& policy, const std::vector<Open>& open, std::vector<Step>& steps) {
    for (const Open& operation : open)
        if (operation.kind == "convert")
            return steps.push_back(step_of(Action::convert, operation,
                                           "ACCESS EXCLUSIVE, shortly, on " + operation.name,
                                           "under way, " + operation.state));
    Step step;
    step.action = Action::convert;
    step.subject = policy.relation;
    step.target = relation_name(policy);
    step.lock = "ACCESS EXCLUSIVE, shortly, on " + step.target;
    step.reason = "the policy asks for a partitioned table";
    step.blocked = policy.create_enabled ? convert_obstacle(policy) : "creating is switched off in the policy";
    steps.push_back(std::move(step));
}

// One period after the other, as long as they get to their end.
void move_periods(const Policy& policy, const Zone& zone, operation::Row row) {
    for (;;) {
        const Place lower = row.lower;
        if (!move_rows(policy, zone, std::move(row)) || !keep_blocked(policy, zone, pg::now()).empty())
            return;
        const auto next = expired_period(policy, zone, pg::now());
        if (!next || next->first == lower)
            return;
        Step step;
        step.action = Action::move_rows;
        step.subject = policy.relation;
        step.lower = next->first;
        step.upper = next->second;
        row = operation::read(begin(policy, step));
        jobs::checkpoint();
    }
}

} // namespace

bool is_ours(const std::string& kind) {
    return kind == "convert" || kind == "split" || kind == "move_rows";
}

std::vector<Step> plan(const Policy& policy, std::int64_t now, bool impatient) {
    std::vector<Step> steps;
    const std::vector<Open> open = open_operations(policy, now, impatient);
    if (policy.mode == TableMode::keep) {
        const auto zone = make_zone(policy.time_zone);
        plan_kept(policy, *zone, now, open, steps);
    } else if (policy.mode == TableMode::convert) {
        plan_conversion(policy, open, steps);
    } else {
        for (const Open& operation : open)
            if (operation.kind == "split")
                steps.push_back(step_of(Action::split, operation, "ACCESS EXCLUSIVE, shortly, on " + operation.name,
                                        "under way, " + operation.state));
    }
    if (const std::string elsewhere = not_at_home(policy); !elsewhere.empty())
        for (Step& step : steps)
            step.blocked = elsewhere;
    return steps;
}

std::int64_t begin(const Policy& policy, const Step& step) {
    if (step.operation_id != 0)
        return step.operation_id;
    const char* kind = step.action == Action::move_rows ? "move_rows"
                       : step.action == Action::split   ? "split"
                                                        : "convert";
    const auto bound = [&policy](Place place, Place open) {
        return place == open ? pg::null() : pg::arg(place_text(place, policy));
    };
    pg::Spi spi;
    spi.execute("INSERT INTO citadel.lifecycle_operation (policy_id, kind, subject_oid, subject_schema, subject_name, "
                "lower_bound, upper_bound, started_at, updated_at, detail) SELECT $1, $2, c.oid, n.nspname, c.relname, "
                "$4, $5, $6, $6, jsonb_strip_nulls(jsonb_build_object('lower', nullif($7::bigint, $9), 'upper', "
                "nullif($8::bigint, $10), 'policy_version', $11::int)) FROM pg_class c JOIN pg_namespace n ON n.oid = "
                "c.relnamespace WHERE c.oid = $3 ON CONFLICT (kind, subject_oid) WHERE finished_at IS NULL DO NOTHING",
                {pg::arg(policy.id), pg::arg(kind), pg::arg_oid(step.subject), bound(step.lower, open_low),
                 bound(step.upper, open_high), pg::arg_timestamptz(pg::now()), pg::arg(step.lower), pg::arg(step.upper),
                 pg::arg(open_low), pg::arg(open_high), pg::arg(policy.version)});
    const pg::Rows rows = spi.query("SELECT operation_id FROM citadel.lifecycle_operation WHERE kind = $1 AND "
                                    "subject_oid = $2 AND finished_at IS NULL",
                                    {pg::arg(kind), pg::arg_oid(step.subject)});
    return rows.empty() ? 0 : rows.int64(0, 0);
}

void advance(std::int64_t operation_id) {
    operation::Row row = operation::read(operation_id);
    const std::vector<StoredPolicy> stored = load_policies({row.policy_id});
    if (stored.empty() || stored.front().gone)
        pg::raise(ERRCODE_UNDEFINED_TABLE,
                  "the table of lifecycle operation " + std::to_string(operation_id) + " or its policy is gone");
    const Policy& policy = stored.front().policy;
    const auto zone = make_zone(policy.time_zone);
    if (row.kind == "move_rows")
        move_periods(policy, *zone, std::move(row));
    else if (row.kind == "convert")
        convert(policy, *zone, std::move(row));
    else if (row.kind == "split")
        split(policy, *zone, std::move(row));
}

} // namespace citadel::lifecycle::plain
