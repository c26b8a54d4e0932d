#include "pg/server.hpp"

#include "history/tasks_pg.hpp"
#include "jobs/figures.hpp"
#include "jobs/jobs.hpp"
#include "pg/boundary.hpp"
#include "pg/clock.hpp"
#include "pg/spi.hpp"
#include "pg/tuplestore.hpp"
#include "statistics/figures.hpp"

#include <cerrno>
#include <cstring>
#include <sys/statvfs.h>

namespace citadel::statistics {

namespace {

using jobs::FigureKind;

constexpr bool server = true;    // about the whole server
constexpr bool database = false; // about this database

const jobs::Figure figures[] = {
    {"connection_use", "ratio", "Client connections, of those that max_connections leaves to ordinary roles",
     FigureKind::gauge, server,
     "SELECT 'server', count(*)::float8 / greatest(current_setting('max_connections')::int - "
     "current_setting('superuser_reserved_connections')::int, 1), format('%s client connections', count(*)) "
     "FROM pg_stat_activity WHERE backend_type = 'client backend'"},
    {"idle_in_transaction", "s", "Longest time that a session of the role has been idle inside a transaction",
     FigureKind::gauge, database,
     "SELECT coalesce(usename, ''), max(extract(epoch FROM clock_timestamp() - state_change))::float8, "
     "format('process %s', (array_agg(pid ORDER BY state_change))[1]) FROM pg_stat_activity "
     "WHERE datname = current_database() AND state LIKE 'idle in transaction%' GROUP BY 1 ORDER BY 2 DESC"},
    {"transaction_age", "s", "Age of the oldest transaction of the role", FigureKind::gauge, database,
     "SELECT coalesce(usename, ''), max(extract(epoch FROM clock_timestamp() - xact_start))::float8, "
     "format('process %s', (array_agg(pid ORDER BY xact_start))[1]) FROM pg_stat_activity "
     "WHERE datname = current_database() AND backend_type = 'client backend' AND xact_start IS NOT NULL "
     "GROUP BY 1 ORDER BY 2 DESC"},
    {"idle_sessions", "count", "Sessions of the role that did nothing for an hour", FigureKind::gauge, database,
     "SELECT coalesce(usename, ''), count(*)::float8, format('the longest is process %s', "
     "(array_agg(pid ORDER BY state_change))[1]) FROM pg_stat_activity WHERE datname = current_database() "
     "AND state = 'idle' AND state_change < clock_timestamp() - interval '1 hour' GROUP BY 1 ORDER BY 2 DESC"},
    {"prepared_transaction_age", "s", "Age of the oldest prepared transaction of the role", FigureKind::gauge, database,
     "SELECT owner::text, max(extract(epoch FROM clock_timestamp() - prepared))::float8, "
     "format('%s prepared transactions', count(*)) FROM pg_prepared_xacts WHERE database = current_database() "
     "GROUP BY 1 ORDER BY 2 DESC"},
    {"replication_lag", "s", "How long ago the standby's latest replayed WAL was written", FigureKind::gauge, server,
     "SELECT application_name, max(extract(epoch FROM coalesce(replay_lag, interval '0')))::float8, min(state) "
     "FROM pg_stat_replication GROUP BY 1 ORDER BY 2 DESC"},
    {"replication_lag_bytes", "bytes", "WAL that the standby has not replayed yet", FigureKind::gauge, server,
     "SELECT application_name, max(pg_wal_lsn_diff(pg_current_wal_lsn(), replay_lsn))::float8, min(state) "
     "FROM pg_stat_replication WHERE replay_lsn IS NOT NULL GROUP BY 1 ORDER BY 2 DESC"},
    {"slot_retained_bytes", "bytes", "WAL that the replication slot keeps from being removed", FigureKind::gauge,
     server,
     "SELECT slot_name::text, pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn)::float8, "
     "CASE WHEN active THEN 'in use' ELSE 'not in use' END FROM pg_replication_slots WHERE restart_lsn IS NOT NULL "
     "ORDER BY 2 DESC"},
    {"archive_backlog", "count", "WAL files that wait to be archived", FigureKind::gauge, server,
     "SELECT 'server', count(*)::float8, NULL::text FROM pg_ls_archive_statusdir() WHERE name LIKE '%.ready' AND "
     "current_setting('archive_mode') <> 'off'"},
    {"archive_failing", "s", "How long no WAL file could be archived, while archiving fails", FigureKind::gauge, server,
     "SELECT 'server', CASE WHEN last_failed_time > coalesce(last_archived_time, '-infinity') THEN greatest(extract("
     "epoch FROM clock_timestamp() - coalesce(last_archived_time, stats_reset)), 0) ELSE 0 END::float8, "
     "CASE WHEN last_failed_time > coalesce(last_archived_time, '-infinity') THEN last_failed_wal END "
     "FROM pg_stat_archiver WHERE current_setting('archive_mode') <> 'off'"},
    {"xid_age", "transactions",
     "Transactions, or multixacts, since the oldest that is not frozen in the database; two billion are the end",
     FigureKind::gauge, server,
     "SELECT datname::text, greatest(age(datfrozenxid), mxid_age(datminmxid))::float8, NULL::text FROM pg_database "
     "ORDER BY 2 DESC"},
    {"checksum_failures", "count", "Damaged pages found in the database since its statistics were reset",
     FigureKind::gauge, server,
     "SELECT coalesce(datname, 'shared catalogues')::text, checksum_failures::float8, NULL::text FROM pg_stat_database "
     "WHERE checksum_failures IS NOT NULL ORDER BY 2 DESC"},
    {"disk_free", "ratio", "Free share of the file systems of data, WAL and tablespaces", FigureKind::gauge, server,
     "SELECT place, free_bytes::float8 / nullif(total_bytes, 0), pg_size_pretty(free_bytes) || ' free' FROM "
     "citadel.disk_space() ORDER BY 2"},
    {"job_failures", "count", "Runs of the job that failed since the last success", FigureKind::gauge, database,
     "SELECT j.job_name, j.failures_in_a_row::float8, (SELECT r.message FROM citadel.job_run r WHERE r.run_id = "
     "j.last_run_id) FROM citadel.job j ORDER BY 2 DESC"},
    {"partition_runway", "ratio", "Partitions ahead of now, of those that the policy wants", FigureKind::gauge,
     database,
     "SELECT relation::text, partitions_ahead::float8 / premake, alarm FROM citadel.partition_runway "
     "WHERE status = 'active' AND premake > 0 ORDER BY 2"},
    {"partitions_ahead", "count", "Partitions that begin after now", FigureKind::gauge, database,
     "SELECT relation::text, partitions_ahead::float8, alarm FROM citadel.partition_runway WHERE status = 'active' AND "
     "premake > 0 ORDER BY 2"},
    // Young or small databases grow by any factor: both ends must lie apart by 6 hours, and a GB be reached.
    {"database_growth", "1/day", "Growth of the database in the last day, as a share of its size", FigureKind::gauge,
     database,
     "SELECT 'database', (l.bytes - f.bytes)::float8 / f.bytes / (extract(epoch FROM l.at - f.at) / 86400)::float8, "
     "pg_size_pretty(l.bytes - f.bytes) || ' more' FROM (SELECT at, bytes FROM citadel.database_size ORDER BY at DESC "
     "LIMIT 1) l, LATERAL (SELECT at, bytes FROM citadel.database_size s WHERE s.at >= l.at - interval '25 hours' "
     "ORDER BY at LIMIT 1) f WHERE l.at - f.at >= interval '6 hours' AND l.bytes > 1073741824 AND f.bytes > 0"},
    {"rollback_ratio", "ratio", "Transactions that were rolled back, of all that ended", FigureKind::share, database,
     "SELECT 'database', xact_rollback::float8, (xact_commit + xact_rollback)::float8 FROM pg_stat_database WHERE "
     "datname = current_database()"},
    {"deadlocks", "1/min", "Deadlocks a minute", FigureKind::per_minute, database,
     "SELECT 'database', deadlocks::float8, NULL::text FROM pg_stat_database WHERE datname = current_database()"},
    {"dropped_samples", "1/min", "Slow statements a minute that were lost because the capture buffer was full",
     FigureKind::per_minute, server,
     "SELECT 'server', dropped_full::float8, NULL::text FROM citadel.capture_counters()"},
    {"capture_errors", "1/min", "Errors a minute of capture itself, which it swallowed", FigureKind::per_minute, server,
     "SELECT 'server', hook_errors::float8, NULL::text FROM citadel.capture_counters()"},
    {"overhead", "ratio", "Time in the hooks of capture, of the time in which sessions were busy with statements",
     FigureKind::gauge, server, "SELECT 'server', share, format('%s runs timed', timed_runs) FROM citadel.overhead()"},
    {"overhead_level", "count", "How far capture leaves out work to take less time: 0 nothing, 5 most",
     FigureKind::gauge, server,
     "SELECT 'server', level::float8, array_to_string(left_out, '; ') FROM citadel.overhead()"},
    {"statement_p95", "ms",
     "Time within which 95 of 100 runs of the statement ended, in the last 15 minutes; from 20 runs on",
     FigureKind::gauge, database,
     "SELECT query_id::text, citadel.latency_percentile(citadel.latency_merge(array_agg(latency)), 0.95), "
     "format('%s runs', sum(calls)) FROM citadel.statement_minute WHERE query_id <> 0 AND at > citadel.history_clock() "
     "- interval '16 minutes' AND at <= citadel.history_clock() GROUP BY query_id HAVING sum(calls) >= 20 "
     "ORDER BY 2 DESC"},
    {"error_rate", "ratio",
     "Runs that ended with an error, of all that the statement had in the last 15 minutes; from 20 on",
     FigureKind::gauge, database,
     "SELECT query_id::text, sum(errors)::float8 / sum(calls)::float8, citadel.merge_error_classes(array_agg("
     "error_classes) FILTER (WHERE error_classes IS NOT NULL))::text FROM citadel.statement_minute WHERE query_id <> 0 "
     "AND at > citadel.history_clock() - interval '16 minutes' AND at <= citadel.history_clock() GROUP BY query_id "
     "HAVING sum(calls) >= 20 ORDER BY 2 DESC"},
    {"regression", "ratio", "How many times as long as usual a statement with an open regression takes",
     FigureKind::gauge, database,
     "SELECT query_id::text, max(ms / nullif(usual_ms, 0)), format('%s ms instead of %s ms since %s, cause: %s: %s', "
     "round(max(ms)::numeric, 1), round(max(usual_ms)::numeric, 1), min(since), (array_agg(cause ORDER BY id "
     "DESC))[1], "
     "(array_agg(why ORDER BY id DESC))[1]) FROM citadel.regression "
     "WHERE state = 'open' GROUP BY query_id ORDER BY 2 DESC"},
};

constexpr int size_period_ms = 60 * 60 * 1000;

// The server keeps no history of sizes. A restart notes it once more, which does no harm.
void note_size() {
    if (history::restore_in_progress())
        return;
    pg::Spi spi;
    spi.execute("DELETE FROM citadel.database_size WHERE at > $1", {pg::arg_timestamptz(pg::now())}); // clock went back
    spi.execute("INSERT INTO citadel.database_size (at, bytes) VALUES ($1, pg_database_size(current_database()))",
                {pg::arg_timestamptz(pg::now())});
}

void add_place(pg::ResultSet& rows, const std::string& place, const char* path) {
    struct statvfs space {};
    if (statvfs(path, &space) != 0)
        return;
    rows.row({pg::arg(place), pg::arg(static_cast<std::int64_t>(space.f_blocks * space.f_frsize)),
              pg::arg(static_cast<std::int64_t>(space.f_bavail * space.f_frsize))});
}

} // namespace

void install() {
    for (const jobs::Figure& figure : figures)
        jobs::register_figure(figure);
    jobs::register_tick({"size", note_size, [] { return size_period_ms; }});
}

} // namespace citadel::statistics

// citadel.disk_space(): the file systems the server writes to, as far as they can be asked.
CITADEL_FUNCTION(citadel_disk_space) {
    using namespace citadel;
    pg::ResultSet rows(fcinfo);
    statistics::add_place(rows, "data directory", ".");
    statistics::add_place(rows, "WAL", "pg_wal");
    pg::Rows tablespaces;
    {
        pg::Spi spi;
        tablespaces =
            spi.query("SELECT spcname, oid FROM pg_tablespace WHERE spcname !~ '^pg_(default|global)$' ORDER BY 1");
    }
    for (std::size_t i = 0; i < tablespaces.size(); ++i)
        statistics::add_place(rows, "tablespace " + tablespaces.text(i, 0),
                              ("pg_tblspc/" + tablespaces.text(i, 1)).c_str());
    return 0;
}
