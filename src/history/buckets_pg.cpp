// From the shared table of the fast path into citadel.statement_minute, and from there to hours and days.
//
// A minute is stored once it is over and every process has had time to report what it counted; runs that are reported
// later make a further row. What was taken out of shared memory exists nowhere else, so it is kept in this process
// until the transaction that stored it has committed.
#include "pg/server.hpp"

#include "capture/capture.hpp"
#include "history/arrays_pg.hpp"
#include "history/buckets.hpp"
#include "history/partition.hpp"
#include "history/tasks_pg.hpp"
#include "pg/clock.hpp"
#include "pg/spi.hpp"
#include "settings/settings.hpp"

#include <algorithm>
#include <set>

namespace citadel::history {

namespace {

constexpr std::size_t most_pending = 200000;            // entries of 250 bytes; beyond that they stay in shared memory
constexpr std::int64_t report_time = 2 * USECS_PER_SEC; // for a flush to be made once it is due
constexpr std::size_t buckets_per_round = 48;
constexpr int statements_of_longer = 5; // times as many as of a minute have rows of their own in hours and days

struct Pending {
    capture::CountedRuns runs;
    std::uint32_t rest_minute = 0;
    std::uint32_t taken_in = 0; // the minute in which they were last taken
    bool stored = false;
};

Pending& pending() {
    static Pending held;
    return held;
}

std::int64_t start_of(std::uint32_t minute) {
    return static_cast<std::int64_t>(minute) * USECS_PER_MINUTE;
}

void insert_rows(const std::vector<BucketRow>& rows) {
    ValueArray at(TIMESTAMPTZOID), query_id(INT8OID), plan_id(INT8OID), user(OIDOID), toplevel(BOOLOID), calls(INT8OID),
        errors(INT8OID), total_ms(FLOAT8OID), max_ms(FLOAT8OID), produced(INT8OID), hit(INT8OID), read(INT8OID),
        temp(INT8OID);
    BytesArray latency;
    TextArray classes;
    const auto number = [](std::uint64_t value) { return Int64GetDatum(static_cast<int64>(value)); };
    for (const BucketRow& row : rows) {
        at.add(TimestampTzGetDatum(start_of(row.key.minute)));
        query_id.add(number(row.key.query_id));
        plan_id.add(number(row.key.plan_id));
        user.add(ObjectIdGetDatum(row.key.user));
        toplevel.add(BoolGetDatum(row.key.nested == 0));
        calls.add(number(row.figures.calls));
        errors.add(number(row.figures.errors));
        total_ms.add(Float8GetDatum(row.figures.total_ms));
        max_ms.add(Float8GetDatum(row.figures.max_ms));
        produced.add(number(row.figures.rows));
        hit.add(number(row.figures.shared_hit));
        read.add(number(row.figures.shared_read));
        temp.add(number(row.figures.temp_blocks));
        latency.add(row.latency);
        const std::string json = error_classes_json(row.errors);
        json.empty() ? classes.add_null() : classes.add(json);
    }
    pg::Spi spi;
    spi.execute("INSERT INTO citadel.statement_minute (at, query_id, plan_id, user_id, toplevel, calls, errors, "
                "total_ms, max_ms, rows, shared_hit, shared_read, temp_blocks, latency, error_classes) "
                "SELECT a, q, p, u, t, c, e, m, x, r, h, d, b, l, j::jsonb FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, "
                "$9, $10, $11, $12, $13, $14, $15) AS v (a, q, p, u, t, c, e, m, x, r, h, d, b, l, j)",
                {at.arg(), query_id.arg(), plan_id.arg(), user.arg(), toplevel.arg(), calls.arg(), errors.arg(),
                 total_ms.arg(), max_ms.arg(), produced.arg(), hit.arg(), read.arg(), temp.arg(), latency.arg(),
                 classes.arg()});
}

// Hours and days that had been summed up without these rows will be so again.
void reopen_buckets(std::int64_t earliest) {
    pg::Spi spi;
    spi.execute("UPDATE citadel.bucket_state SET done_until = date_trunc(step, $1, 'UTC') WHERE done_until > $1",
                {pg::arg_timestamptz(earliest)});
}

std::vector<BucketRow> rows_of(const capture::CountedRuns& runs, std::uint32_t rest_minute) {
    BucketRow rest;
    if (runs.has_rest) {
        rest.key = {0, 0, MyDatabaseId, 0, rest_minute, 0};
        rest.figures = runs.rest;
        rest.errors = runs.rest_errors;
        rest.latency = runs.rest_latencies.serial();
    }
    return bucket_rows(runs.statements, runs.has_rest ? &rest : nullptr,
                       static_cast<std::size_t>(settings::history_statements));
}

void store(const std::vector<BucketRow>& rows) {
    std::set<std::int64_t> days;
    std::uint32_t earliest = rows.front().key.minute;
    for (const BucketRow& row : rows) {
        days.insert(day_of(start_of(row.key.minute)));
        earliest = std::min(earliest, row.key.minute);
    }
    for (const std::int64_t day : days)
        ensure_partition("statement_minute", day);
    insert_rows(rows);
    reopen_buckets(start_of(earliest));
}

// The buckets between what is done and the one that still runs.
void sum_up(Step step, TimestampTz now) {
    const pg::Arg name = pg::arg(std::string(step_name(step)));
    pg::Spi spi;
    // The minutes of the last hour take a moment to arrive. A clock that was put back makes the running bucket run
    // again.
    spi.execute(
        "INSERT INTO citadel.bucket_state AS b (step, done_until) VALUES ($1, '-infinity') ON CONFLICT (step) DO "
        "UPDATE SET done_until = date_trunc($1, $2, 'UTC') WHERE b.done_until > date_trunc($1, $2, 'UTC')",
        {name, pg::arg_timestamptz(now)});
    const pg::Rows state =
        spi.query("SELECT done_until, date_trunc($1, CASE WHEN $1 = 'day' THEN (SELECT h.done_until FROM "
                  "citadel.bucket_state h WHERE h.step = 'hour') ELSE $2 - interval '2 minutes' END, 'UTC') "
                  "FROM citadel.bucket_state WHERE step = $1",
                  {name, pg::arg_timestamptz(now)});
    const pg::Arg until = pg::arg_as(TIMESTAMPTZOID, state.text(0, 1));
    const pg::Rows due = spi.query(buckets_to_sum_up_sql(step), {pg::arg_as(TIMESTAMPTZOID, state.text(0, 0)), until});
    const std::size_t count = std::min(due.size(), buckets_per_round);
    for (std::size_t i = 0; i < count; ++i) {
        const pg::Arg at = pg::arg_timestamptz(due.int64(i, 0));
        if (step == Step::hour)
            ensure_partition("statement_hour", day_of(due.int64(i, 0)));
        spi.execute(clear_bucket_sql(step), {at});
        spi.execute(sum_up_sql(step),
                    {at, pg::arg(static_cast<std::int64_t>(settings::history_statements) * statements_of_longer)});
    }
    // A day whose hours change later is summed up again.
    if (count > 0 && step == Step::hour)
        spi.execute("UPDATE citadel.bucket_state SET done_until = date_trunc('day', $1, 'UTC') WHERE step = 'day' AND "
                    "done_until > $1",
                    {pg::arg_timestamptz(due.int64(0, 0))});
    spi.execute("UPDATE citadel.bucket_state SET done_until = $2 WHERE step = $1 AND done_until IS DISTINCT FROM $2",
                {name, count < due.size() ? pg::arg_timestamptz(due.int64(count, 0)) : until});
}

} // namespace

void store_counted_runs(bool all) {
    if (restore_in_progress())
        return;
    Pending& held = pending();
    const TimestampTz now = pg::now();
    const auto minute = static_cast<std::uint32_t>(std::max<std::int64_t>(now, 0) / USECS_PER_MINUTE);
    // With a flush_interval as long as a minute, what comes too late makes rows of its own.
    const std::int64_t patience = std::min<std::int64_t>(
        static_cast<std::int64_t>(settings::statement_flush_ms) * 1000 + report_time, USECS_PER_MINUTE / 2);
    const bool over = minute != held.taken_in && now - start_of(minute) >= patience;
    if ((all || over) && held.runs.statements.size() < most_pending) {
        capture::take_counted_runs(all ? capture::all_minutes : minute, held.runs);
        held.rest_minute = all || minute == 0 ? minute : minute - 1;
        if (over)
            held.taken_in = minute;
    }
    if (!held.runs.statements.empty() || held.runs.has_rest) {
        ensure_partitions_ahead(now);
        const std::vector<BucketRow> rows = rows_of(held.runs, held.rest_minute);
        held.stored = record_source("statement buckets", now, [&] { store(rows); });
        if (held.stored)
            record_source("regressions", now, [&] { judge_rows(rows); });
    }
    static std::uint32_t summed_up_in = 0;
    if (all || minute != summed_up_in) {
        record_source("bucket sums", now, [&] {
            sum_up(Step::hour, now);
            sum_up(Step::day, now);
        });
        summed_up_in = minute;
    }
}

void counted_runs_ended(bool committed) noexcept {
    Pending& held = pending();
    if (committed && held.stored)
        held.runs = {};
    held.stored = false;
}

} // namespace citadel::history
