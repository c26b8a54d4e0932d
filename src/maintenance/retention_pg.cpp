// The job `maintain`: drops days of history older than citadel_opt.history_retention, and forgets statements, plans and
// parameter sets not seen for as long. Everything in short transactions. Then it looks after users' tables
// (tables_pg.cpp).
#include "pg/server.hpp"

#include "audit/audit.hpp"
#include "history/partition.hpp"
#include "jobs/jobs.hpp"
#include "maintenance/maintenance.hpp"
#include "maintenance/tables_pg.hpp"
#include "pg/clock.hpp"
#include "pg/fault.hpp"
#include "pg/spi.hpp"
#include "pg/subtransaction.hpp"
#include "settings/settings.hpp"

#include <vector>

extern "C" {
#include "storage/latch.h"
#include "utils/wait_event.h"
}

namespace citadel::maintenance {

namespace {

constexpr int rows_per_delete = 10000;
constexpr int plans_per_statement = 50;
// Dropping a partition locks its parent against readers, so it waits for a lock only this long, and tries again after a
// pause that doubles: about 25 s in all.
constexpr const char* short_lock_timeout = "200ms";
constexpr int attempts = 8;
constexpr long first_pause_ms = 100;

// Partitions that end before `cutoff`, by their true bounds, oldest first. A history partition is a child of one of the
// parents, whatever its name.
std::vector<std::string> expired_partitions(const std::vector<std::string>& tables, TimestampTz cutoff) {
    pg::Spi spi;
    // Only ours are dates: the bounds of a table of the same name elsewhere may be anything, and are not to be read.
    const pg::Rows rows =
        spi.query(R"(
        WITH ours AS MATERIALIZED (
            SELECT format('%I.%I', n.nspname, c.relname) AS name, pg_get_expr(c.relpartbound, c.oid) AS bounds
            FROM pg_inherits h
            JOIN pg_class c ON c.oid = h.inhrelid
            JOIN pg_namespace n ON n.oid = c.relnamespace
            JOIN pg_class p ON p.oid = h.inhparent
            JOIN pg_namespace pn ON pn.oid = p.relnamespace
            WHERE pn.nspname = 'citadel' AND p.relname = ANY ($1)
        )
        SELECT o.name
        FROM ours o
        CROSS JOIN LATERAL (SELECT substring(o.bounds FROM 'TO \(''([^'']+)''\)')::timestamptz) AS upper_bound (at)
        WHERE upper_bound.at <= $2
        ORDER BY upper_bound.at, 1)",
                  {pg::arg_as(TEXTARRAYOID, pg::text_array_literal(tables)), pg::arg_timestamptz(cutoff)});
    std::vector<std::string> names;
    for (std::size_t i = 0; i < rows.size(); ++i)
        names.push_back(rows.text(i, 0));
    return names;
}

void pause(long milliseconds) {
    pg::guard([milliseconds] {
        (void)WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, milliseconds, PG_WAIT_EXTENSION);
        ResetLatch(MyLatch);
        CHECK_FOR_INTERRUPTS();
    });
}

// False when it could not be locked; other errors are the caller's.
bool drop(const std::string& name) {
    for (int attempt = 0; attempt < attempts; ++attempt) {
        if (attempt > 0) {
            jobs::checkpoint(); // holds nothing while it waits
            pause(first_pause_ms << attempt);
        }
        const auto error = pg::try_subtransaction([&name] {
            pg::Spi spi;
            spi.execute(std::string("SET LOCAL lock_timeout = '") + short_lock_timeout + "'");
            spi.execute("DROP TABLE IF EXISTS " + name);
        });
        if (!error) {
            pg::fault_point("maintain.dropped");
            jobs::checkpoint();
            return true;
        }
        if (error->sqlerrcode() != ERRCODE_LOCK_NOT_AVAILABLE)
            throw *error;
    }
    return false;
}

// Deletes what `condition` ($1: the cutoff) says, some thousand rows a transaction.
void prune(const std::string& table, const std::string& condition, TimestampTz cutoff) {
    const std::string sql = "DELETE FROM " + table + " WHERE ctid = ANY (ARRAY(SELECT t.ctid FROM " + table +
                            " t WHERE " + condition + " LIMIT " + std::to_string(rows_per_delete) + "))";
    std::uint64_t deleted = 0;
    do {
        {
            pg::Spi spi;
            deleted = spi.execute(sql, {pg::arg_timestamptz(cutoff)});
        }
        jobs::checkpoint();
    } while (deleted == rows_per_delete);
}

// pg_stat_statements may know a statement for longer than we do: should it run again, its text is wanted again.
void forget_texts_read(TimestampTz cutoff) {
    {
        pg::Spi spi;
        spi.execute("UPDATE citadel.statement_counter k SET text_read = false FROM citadel.statement s WHERE "
                    "s.query_id = k.query_id AND s.user_id = k.user_id AND s.last_seen < $1 AND k.text_read",
                    {pg::arg_timestamptz(cutoff)});
    }
    jobs::checkpoint();
}

// Buckets have retentions of their own, everything else has that of the history.
int retention_of(std::string_view table) {
    if (table == "statement_minute")
        return settings::minute_retention_min;
    const bool hours = table == "statement_hour" || table == "table_hour" || table == "index_hour";
    return hours ? settings::hour_retention_min : settings::history_retention_min;
}

void maintain(std::int64_t run_id) {
    const auto ago = [](int minutes) { return pg::now() - static_cast<TimestampTz>(minutes) * USECS_PER_MINUTE; };
    const TimestampTz cutoff = ago(settings::history_retention_min);
    std::vector<std::string> busy;
    for (const std::string_view table : history::partitioned_tables)
        for (const std::string& name : expired_partitions({std::string(table)}, ago(retention_of(table))))
            if (!drop(name))
                busy.push_back(name);
    for (const char* days : {"citadel.statement_day", "citadel.table_day", "citadel.index_day"})
        prune(days, "t.at < $1", ago(settings::day_retention_min));
    prune("citadel.watched_relation", "t.gone_at < $1", ago(settings::day_retention_min));
    forget_texts_read(cutoff);
    prune("citadel.statement", "t.last_seen < $1", cutoff);
    prune("citadel.parameter_set", "t.captured_at < $1", cutoff);
    prune("citadel.plan",
          "t.captured_at < $1 AND NOT EXISTS (SELECT FROM citadel.statement s WHERE s.query_id = t.query_id AND "
          "s.user_id = "
          "t.user_id)",
          cutoff);
    prune("citadel.plan",
          "$1 IS NOT NULL AND (SELECT count(*) FROM citadel.plan newer WHERE newer.query_id = t.query_id AND "
          "newer.user_id = "
          "t.user_id AND newer.captured_at > t.captured_at) >= " +
              std::to_string(plans_per_statement),
          cutoff);
    prune("citadel.alert_event",
          "t.at < $1 AND NOT EXISTS (SELECT FROM citadel.alert a WHERE a.alert_id = t.alert_id AND a.state <> "
          "'resolved')",
          cutoff);
    prune("citadel.alert", "t.state = 'resolved' AND t.resolved_at < $1", cutoff);
    prune("citadel.regression", "t.state <> 'open' AND t.closed_at < $1", cutoff);
    prune("citadel.ddl_log", "t.at < $1", cutoff);
    prune("citadel.setting_log", "t.at < $1", cutoff);
    prune("citadel.database_size", "t.at < $1", cutoff);
    prune("citadel.maintenance_action", "t.status NOT IN ('proposed', 'advised') AND t.last_found < $1", cutoff);
    prune("citadel.advice", "t.status = 'closed' AND t.last_found < $1", cutoff);
    jobs::checkpoint();
    look_after_tables(run_id);
    audit::seal_expired(); // fails while the log is broken, which is no reason to leave the tables alone
    jobs::checkpoint();
    if (!busy.empty())
        pg::raise(ERRCODE_LOCK_NOT_AVAILABLE,
                  std::to_string(busy.size()) + " partitions of the history are due to be dropped but in use",
                  "The first is " + busy.front() + ".",
                  "The next run tries again; a long transaction reads the history.");
}

} // namespace

void install() {
    // In a restored database the history is evidence somebody wanted back: nothing goes before the owner adopts it.
    jobs::register_job({"maintain",
                        "drops old history; analyzes tables, or says what they need (citadel_opt.maintenance)",
                        "1 hour", true, maintain});
}

} // namespace citadel::maintenance
