// Tables and indexes over time: who they are, how large, and their minutes summed up to hours and days.
#include "pg/server.hpp"

#include "history/partition.hpp"
#include "history/relation_sql.hpp"
#include "history/tasks_pg.hpp"
#include "pg/boundary.hpp"
#include "pg/role.hpp"
#include "pg/spi.hpp"
#include "pg/tuplestore.hpp"

#include <algorithm>

extern "C" {
#include "catalog/pg_authid.h"
#include "miscadmin.h"
}

namespace citadel::history {

namespace {

constexpr std::size_t buckets_per_round = 24;

const char* hour_table(RelationKind kind) {
    return kind == RelationKind::table ? "table_hour" : "index_hour";
}

void measure(TimestampTz now) {
    pg::Spi spi;
    spi.execute(adopt_relations_sql(), {pg::arg_timestamptz(now)});
    spi.execute(forget_relations_sql(), {pg::arg_timestamptz(now)});
    spi.execute(measure_relations_sql(), {pg::arg_timestamptz(now)});
    spi.execute("INSERT INTO citadel.relation_state AS s (step, done_until) VALUES ('measured', $1) ON CONFLICT (step) "
                "DO UPDATE SET done_until = excluded.done_until",
                {pg::arg_timestamptz(now)});
}

// In another hour than the last time, or after the clock was put back, or in a restored database.
bool measuring_due(TimestampTz now) {
    pg::Spi spi;
    return spi
        .query(
            "SELECT 1 FROM citadel.relation_state WHERE step = 'measured' AND date_trunc('hour', done_until, 'UTC') "
            "= date_trunc('hour', $1, 'UTC') AND EXISTS (SELECT FROM citadel.watched_relation w JOIN pg_database d ON "
            "d.oid = w.database WHERE d.datname = current_database())",
            {pg::arg_timestamptz(now)})
        .empty();
}

void sum_up(Step step, TimestampTz now) {
    const pg::Arg name = pg::arg(std::string(step_name(step)));
    pg::Spi spi;
    // What was measured at once belongs to the bucket that runs, so the first to be summed up is that one.
    const pg::Rows state =
        spi.query("INSERT INTO citadel.relation_state AS s (step, done_until) VALUES ($1, '-infinity') "
                  "ON CONFLICT (step) DO UPDATE SET done_until = least(s.done_until, "
                  "date_trunc($1, $2, 'UTC')) RETURNING done_until, date_trunc($1, $2, 'UTC')",
                  {name, pg::arg_timestamptz(now)});
    const pg::Arg until = pg::arg_as(TIMESTAMPTZOID, state.text(0, 1));
    if (state.text(0, 0) == state.text(0, 1))
        return;
    const pg::Rows due =
        spi.query(relation_buckets_due_sql(step), {pg::arg_as(TIMESTAMPTZOID, state.text(0, 0)), until});
    const std::size_t count = std::min(due.size(), buckets_per_round);
    const int most = step == Step::hour ? max_hour_relations : max_day_relations;
    for (std::size_t i = 0; i < count; ++i)
        for (const RelationKind kind : {RelationKind::table, RelationKind::index}) {
            const pg::Arg at = pg::arg_timestamptz(due.int64(i, 0));
            if (step == Step::hour)
                ensure_partition(hour_table(kind), day_of(due.int64(i, 0)));
            spi.execute(clear_relations_sql(kind, step), {at});
            spi.execute(sum_up_relations_sql(kind, step), {at, pg::arg(static_cast<std::int64_t>(most))});
        }
    spi.execute("UPDATE citadel.relation_state SET done_until = $2 WHERE step = $1",
                {name, count < due.size() ? pg::arg_timestamptz(due.int64(count, 0)) : until});
}

} // namespace

void follow_relations(TimestampTz now, bool now_please) {
    record_source("relations", now, [now, now_please] {
        if (now_please || measuring_due(now))
            measure(now);
        sum_up(Step::hour, now);
        sum_up(Step::day, now);
    });
}

} // namespace citadel::history

using namespace citadel;

// citadel.relation_sizes(relation_ids bigint[], moments timestamptz[]). The views that show everybody his own relations
// hide the order of their indexes from the planner, which would read all days that are kept for each relation.
CITADEL_FUNCTION(citadel_relation_sizes) {
    pg::Arg relations, moments;
    relations.type = INT8ARRAYOID;
    relations.value = PG_GETARG_DATUM(0);
    moments.type = TIMESTAMPTZARRAYOID;
    moments.value = PG_GETARG_DATUM(1);
    pg::ResultSet result(fcinfo);
    const Oid reader = GetUserId();
    const pg::RoleScope superuser(BOOTSTRAP_SUPERUSERID);
    pg::Spi spi;
    const pg::Rows rows = spi.query(history::relation_sizes_sql(), {relations, moments, pg::arg_oid(reader)});
    for (std::size_t i = 0; i < rows.size(); ++i) {
        const auto figure = [&rows, i](std::size_t column) {
            return rows.is_null(i, column) ? pg::null(INT8OID) : pg::arg(rows.int64(i, column));
        };
        result.row({figure(0), figure(1), figure(2), figure(3), figure(4)});
    }
    return (Datum)0;
}
