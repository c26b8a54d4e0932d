#include "jobs/run_log.hpp"

#include "jobs/shared_state.hpp"
#include "pg/clock.hpp"
#include "pg/spi.hpp"

namespace citadel::jobs::run_log {

namespace {

constexpr int runs_kept_per_job = 1000;

void finish(std::int64_t run_id, const char* state, const char* sqlstate, const std::string& message,
            const std::string& detail, const std::string& hint, const std::string& context) {
    pg::Spi spi;
    spi.execute("UPDATE citadel.job_run_log SET state = $2, finished_at = $3, sqlstate = nullif($4, ''), "
                "message = nullif($5, ''), detail = nullif($6, ''), hint = nullif($7, ''), context = nullif($8, '') "
                "WHERE run_id = $1 AND state IN ('queued', 'running')",
                {pg::arg(run_id), pg::arg(state), pg::arg_timestamptz(pg::now()), pg::arg(sqlstate), pg::arg(message),
                 pg::arg(detail), pg::arg(hint), pg::arg(context)});
}

} // namespace

void fail_vanished(Oid database) {
    std::vector<std::int64_t> running;
    {
        pg::Spi spi;
        const pg::Rows rows = spi.query("SELECT run_id FROM citadel.job_run_log WHERE state = 'running'");
        for (std::size_t i = 0; i < rows.size(); ++i)
            running.push_back(rows.int64(i, 0));
    }
    // A worker that ends well writes its row before it gives up its slot, so the order (row first, slot second) is
    // safe: the update looks at the row's state again.
    for (const std::int64_t run_id : running)
        if (!shared::run_is_alive(run_id, database))
            finish(run_id, "failed", "57P02", "the worker of this run vanished",
                   "The server stopped or crashed during the run, or the worker process was ended.",
                   "What the run had committed stays. It is retried after a pause that grows with each failure.", "");
}

void queue_due() {
    pg::Spi spi;
    spi.execute(
        "INSERT INTO citadel.job_run_log (job_name, queued_at) "
        "SELECT j.job_name, $1 FROM citadel.job j "
        "WHERE j.enabled AND NOT j.suspended AND j.next_run <= $1 AND NOT EXISTS ("
        "  SELECT FROM citadel.job_run_log r WHERE r.job_name = j.job_name AND r.state IN ('queued', 'running')) "
        "ORDER BY j.next_run",
        {pg::arg_timestamptz(pg::now())});
}

std::vector<Run> startable() {
    pg::Spi spi;
    const pg::Rows rows =
        spi.query("SELECT min(r.run_id) AS next, r.job_name "
                  "FROM citadel.job_run_log r JOIN citadel.job j ON j.job_name = r.job_name "
                  "WHERE r.state = 'queued' AND NOT j.suspended AND (j.enabled OR r.requested_by IS NOT NULL) "
                  "AND NOT EXISTS (SELECT FROM citadel.job_run_log o "
                  "                WHERE o.job_name = r.job_name AND o.state = 'running') "
                  "GROUP BY r.job_name ORDER BY next");
    std::vector<Run> runs;
    for (std::size_t i = 0; i < rows.size(); ++i)
        runs.push_back({rows.int64(i, 0), rows.text(i, 1)});
    return runs;
}

std::optional<std::int64_t> milliseconds_to_next() {
    pg::Spi spi;
    const pg::Rows rows = spi.query(
        "SELECT ceil(extract(epoch FROM min(j.next_run) - $1) * 1000)::bigint FROM citadel.job j "
        "WHERE j.enabled AND NOT j.suspended AND isfinite(j.next_run) AND NOT EXISTS ("
        "  SELECT FROM citadel.job_run_log r WHERE r.job_name = j.job_name AND r.state IN ('queued', 'running'))",
        {pg::arg_timestamptz(pg::now())});
    if (rows.is_null(0, 0))
        return std::nullopt;
    return rows.int64(0, 0);
}

void fail_start(std::int64_t run_id, const std::string& reason) {
    finish(run_id, "failed", "53400", "the worker of this run could not be started", reason,
           "Look into the server's log.", "");
}

void forget_old(int retention_hours) {
    pg::Spi spi;
    spi.execute(
        "DELETE FROM citadel.job_run_log l USING ("
        "  SELECT r.run_id, row_number() OVER (PARTITION BY r.job_name ORDER BY r.run_id DESC) AS place,"
        "         max(r.run_id) FILTER (WHERE r.state = 'succeeded') OVER (PARTITION BY r.job_name) AS last_success"
        "  FROM citadel.job_run_log r) ranked "
        "WHERE l.run_id = ranked.run_id AND l.state NOT IN ('queued', 'running')"
        "  AND ranked.place > 1 AND l.run_id IS DISTINCT FROM ranked.last_success"
        "  AND (ranked.place > $1 OR l.finished_at < $2 - make_interval(hours => $3))",
        {pg::arg(runs_kept_per_job), pg::arg_timestamptz(pg::now()), pg::arg(retention_hours)});
}

void record_identity() {
    pg::Spi spi;
    spi.execute("INSERT INTO citadel.database_identity (system_identifier, database_oid) "
                "SELECT c.system_identifier, d.oid FROM pg_control_system() c, pg_database d "
                "WHERE d.datname = current_database() AND NOT EXISTS (SELECT FROM citadel.database_identity)");
}

std::optional<Started> start(std::int64_t run_id) {
    pg::Spi spi;
    const pg::Rows rows =
        spi.query("UPDATE citadel.job_run_log r SET state = 'running', started_at = $2, pid = pg_backend_pid() "
                  "WHERE r.run_id = $1 AND r.state = 'queued' "
                  "RETURNING r.job_name, (SELECT (extract(epoch FROM s.max_runtime) * 1000)::bigint "
                  "                       FROM citadel.job_setting s WHERE s.job_name = r.job_name)",
                  {pg::arg(run_id), pg::arg_timestamptz(pg::now())});
    if (rows.empty())
        return std::nullopt;
    Started started{rows.text(0, 0), std::nullopt};
    if (!rows.is_null(0, 1))
        started.max_runtime_ms = rows.int64(0, 1);
    return started;
}

void succeed(std::int64_t run_id) {
    finish(run_id, "succeeded", "", "", "", "", "");
}

void fail(std::int64_t run_id, const pg::Error& error) {
    const bool cancelled = error.is_cancel();
    finish(run_id, cancelled ? "cancelled" : "failed", error.sqlstate().c_str(), error.what(), error.detail(),
           error.hint(), error.context());
}

void fail_timeout(std::int64_t run_id, std::int64_t max_runtime_ms) {
    finish(run_id, "failed", "57014",
           "the run took longer than the job's max_runtime of " + std::to_string(max_runtime_ms) + " ms", "",
           "Raise it with citadel.alter_job(..., max_runtime => ...), where interval '0' means no limit.", "");
}

} // namespace citadel::jobs::run_log
