// The tick `alerts`: reads the figures, judges them, keeps the alerts and tells of them; one transaction.
#include "pg/server.hpp"

#include "alerts/alerts.hpp"
#include "alerts/notices.hpp"
#include "alerts/readings_pg.hpp"
#include "alerts/rules.hpp"
#include "history/tasks_pg.hpp"
#include "jobs/figures.hpp"
#include "jobs/jobs.hpp"
#include "pg/clock.hpp"
#include "pg/spi.hpp"
#include "settings/settings.hpp"

namespace citadel::alerts {

namespace {

struct StoredRule {
    Rule rule;
    std::string figure, unit, comparison, severity;
};
using StoredRules = std::map<std::string, StoredRule>;

StoredRules stored_rules() {
    pg::Spi spi;
    const pg::Rows rows =
        spi.query("SELECT rule, figure, unit, comparison, threshold, coalesce(clear_threshold, threshold), "
                  "extract(epoch FROM for_duration)::float8, extract(epoch FROM clear_duration)::float8, severity "
                  "FROM citadel.alert_rule WHERE enabled");
    StoredRules rules;
    for (std::size_t i = 0; i < rows.size(); ++i) {
        StoredRule stored{{rows.text(i, 0), comparison(rows.text(i, 3)).value_or(Comparison::above), rows.float8(i, 4),
                           rows.float8(i, 5), static_cast<std::int64_t>(rows.float8(i, 6) * 1e6),
                           static_cast<std::int64_t>(rows.float8(i, 7) * 1e6)},
                          rows.text(i, 1),
                          rows.text(i, 2),
                          rows.text(i, 3),
                          rows.text(i, 8)};
        rules.emplace(stored.rule.name, std::move(stored));
    }
    return rules;
}

// Rules of which nothing is known at the moment: their figure could not be read, or they do not fit it.
std::set<std::string> not_judged(const StoredRules& rules, const std::set<std::string>& unread_figures) {
    std::set<std::string> names;
    for (const auto& [name, stored] : rules) {
        const jobs::Figure* const figure = jobs::find_figure(stored.figure);
        if (figure == nullptr || stored.unit != figure->unit || unread_figures.count(stored.figure) > 0)
            names.insert(name);
    }
    return names;
}

// What the rules have to judge; the server compares subjects with patterns, because it knows the encoding.
std::map<RuleSubject, double> values() {
    pg::Spi spi;
    const pg::Rows rows =
        spi.query("SELECT r.rule, v.subject, v.value FROM citadel.alert_rule r JOIN citadel.figure_value "
                  "v ON v.figure = r.figure AND v.subject LIKE r.subject_pattern WHERE r.enabled");
    std::map<RuleSubject, double> found;
    for (std::size_t i = 0; i < rows.size(); ++i)
        found[{rows.text(i, 0), rows.text(i, 1)}] = rows.float8(i, 2);
    return found;
}

std::map<RuleSubject, Condition> conditions() {
    pg::Spi spi;
    // Microseconds of the server's own epoch, as pg::now() counts them.
    const std::string micros = "(extract(epoch FROM x.at - timestamptz '2000-01-01 00:00+00') * 1000000)::bigint";
    const pg::Rows rows = spi.query("SELECT p.rule, p.subject, false, (SELECT " + micros +
                                    " FROM (SELECT p.since) x (at)), NULL, p.worst_value "
                                    "FROM citadel.alert_pending p UNION ALL SELECT a.rule, a.subject, true, (SELECT " +
                                    micros + " FROM (SELECT a.since) x (at)), (SELECT " + micros +
                                    " FROM (SELECT a.clear_since) x (at)), a.worst_value "
                                    "FROM citadel.alert a WHERE a.state <> 'resolved'");
    std::map<RuleSubject, Condition> known;
    for (std::size_t i = 0; i < rows.size(); ++i) {
        Condition condition{rows.boolean(i, 2) ? Phase::open : Phase::pending, rows.int64(i, 3), std::nullopt,
                            rows.float8(i, 5)};
        if (!rows.is_null(i, 4))
            condition.clear_since_us = rows.int64(i, 4);
        known[{rows.text(i, 0), rows.text(i, 1)}] = condition;
    }
    return known;
}

pg::Arg value_or_null(const std::optional<double>& value) {
    return value ? pg::arg(*value) : pg::null(FLOAT8OID);
}

void open_alert(const StoredRule& rule, const Change& change, TimestampTz now) {
    pg::Spi spi;
    spi.execute("DELETE FROM citadel.alert_pending WHERE rule = $1 AND subject = $2",
                {pg::arg(change.of.first), pg::arg(change.of.second)});
    spi.execute("WITH opened AS (INSERT INTO citadel.alert (rule, severity, figure, subject, value, worst_value, "
                "comparison, threshold, unit, detail, since, opened_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, "
                "(SELECT v.detail FROM citadel.figure_value v WHERE v.figure = $3 AND v.subject = $4), $10, $11) "
                "RETURNING alert_id) "
                "INSERT INTO citadel.alert_event (alert_id, at, event, value) SELECT alert_id, $11, 'opened', $5 FROM "
                "opened",
                {pg::arg(change.of.first), pg::arg(rule.severity), pg::arg(rule.figure), pg::arg(change.of.second),
                 pg::arg(change.value.value_or(change.condition->worst)), pg::arg(change.condition->worst),
                 pg::arg(rule.comparison), pg::arg(rule.rule.threshold), pg::arg(rule.unit),
                 pg::arg_timestamptz(change.condition->since_us), pg::arg_timestamptz(now)});
}

// An alert of this rule and subject is open: `assignments` changes it ($3: now, $4: the worst value), `event` is
// written down for it if `noted`.
void change_alert(const Change& change, const std::string& assignments, const char* event, const std::string& noted,
                  TimestampTz now) {
    pg::Spi spi;
    const double worst = change.condition ? change.condition->worst : 0;
    spi.execute(
        "WITH before AS (SELECT alert_id, worst_value FROM citadel.alert WHERE rule = $1 AND subject = $2 AND state "
        "<> 'resolved' FOR UPDATE), changed AS (UPDATE citadel.alert a SET " +
            assignments +
            " FROM before b WHERE a.alert_id = b.alert_id AND ($4 IS NOT NULL) RETURNING a.alert_id) "
            "INSERT INTO citadel.alert_event (alert_id, at, event, value) SELECT b.alert_id, $3, $5, $6 FROM before b "
            "WHERE " +
            noted,
        {pg::arg(change.of.first), pg::arg(change.of.second), pg::arg_timestamptz(now), pg::arg(worst), pg::arg(event),
         value_or_null(change.value)});
}

void apply(const StoredRules& rules, const Change& change, TimestampTz now) {
    const auto rule = rules.find(change.of.first);
    switch (change.event) {
    case Event::none:
        break;
    case Event::began: {
        pg::Spi spi;
        spi.execute("INSERT INTO citadel.alert_pending (rule, subject, since, worst_value) VALUES ($1, $2, $3, $4) ON "
                    "CONFLICT (rule, subject) DO UPDATE SET since = excluded.since, worst_value = excluded.worst_value",
                    {pg::arg(change.of.first), pg::arg(change.of.second),
                     pg::arg_timestamptz(change.condition->since_us), pg::arg(change.condition->worst)});
        break;
    }
    case Event::withdrawn: {
        pg::Spi spi;
        spi.execute("DELETE FROM citadel.alert_pending WHERE rule = $1 AND subject = $2",
                    {pg::arg(change.of.first), pg::arg(change.of.second)});
        break;
    }
    case Event::opened:
        if (rule != rules.end())
            open_alert(rule->second, change, now);
        break;
    case Event::worsened:
        // A figure that creeps up would fill the history: only steps of a tenth are written down.
        change_alert(change, "worst_value = $4, clear_since = NULL", "worsened",
                     "abs($4 - b.worst_value) > 0.1 * abs(b.worst_value)", now);
        break;
    case Event::clearing:
        change_alert(change, "clear_since = $3", "clearing", "true", now);
        break;
    case Event::relapsed:
        change_alert(change, "clear_since = NULL", "relapsed", "true", now);
        break;
    case Event::resolved:
        change_alert(change, "state = 'resolved', resolved_at = greatest($3, a.opened_at)", "resolved", "true", now);
        break;
    }
}

std::vector<Untold> untold() {
    pg::Spi spi;
    const pg::Rows rows =
        spi.query("SELECT alert_id, rule, severity, state = 'resolved', subject, worst_value FROM citadel.alert WHERE "
                  "opening_told_at IS NULL OR (end_told_at IS NULL AND state = 'resolved') ORDER BY alert_id",
                  {}, 10000);
    std::vector<Untold> found;
    for (std::size_t i = 0; i < rows.size(); ++i)
        found.push_back({rows.int64(i, 0), rows.text(i, 1), severity_of(rows.text(i, 2)), rows.boolean(i, 3),
                         rows.text(i, 4), rows.float8(i, 5)});
    return found;
}

void tell(const Notice& notice, TimestampTz now) {
    pg::Spi spi;
    const pg::Rows rows = spi.query("SELECT current_database(), figure, unit, comparison, threshold, "
                                    "to_char($2 AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"') "
                                    "FROM citadel.alert WHERE alert_id = $1",
                                    {pg::arg(notice.alerts.front().alert_id), pg::arg_timestamptz(now)});
    const PayloadContext context{rows.text(0, 0), rows.text(0, 1), rows.text(0, 2),
                                 rows.text(0, 3), rows.text(0, 5), rows.float8(0, 4)};
    const std::string line = log_line(notice, context);
    const char* text = line.c_str();
    pg::guard([=] { ereport(LOG, (errmsg_internal("%s", text))); });
    spi.execute("SELECT pg_notify('citadel_alert', $1)", {pg::arg(payload(notice, context))});
    std::string ids = "{";
    for (const Untold& alert : notice.alerts)
        ids += (ids.size() > 1 ? "," : "") + std::to_string(alert.alert_id);
    spi.execute(
        "UPDATE citadel.alert SET opening_told_at = coalesce(opening_told_at, $2), end_told_at = CASE WHEN state = "
        "'resolved' THEN $2 END WHERE alert_id = ANY ($1)",
        {pg::arg_as(INT8ARRAYOID, ids + "}"), pg::arg_timestamptz(now)});
}

void tick() {
    if (!settings::alerts || history::restore_in_progress())
        return;
    const TimestampTz now = pg::now();
    const std::set<std::string> unread = read_figures(now);
    const StoredRules rules = stored_rules();
    std::vector<Rule> judged;
    for (const auto& [name, stored] : rules)
        judged.push_back(stored.rule);
    for (const Change& change : judge(judged, values(), conditions(), not_judged(rules, unread), now))
        apply(rules, change, now);
    static Budget budget;
    for (const Notice& notice : budget.due(untold(), now))
        tell(notice, now);
}

} // namespace

void install() {
    jobs::register_tick({"alerts", tick, [] { return settings::alert_interval_s * 1000; }});
}

} // namespace citadel::alerts
