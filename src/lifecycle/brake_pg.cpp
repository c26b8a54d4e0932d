#include "lifecycle/brake_pg.hpp"

#include "pg/spi.hpp"
#include "settings/settings.hpp"

#include <chrono>

namespace citadel::lifecycle {

namespace {

// What the standbys that are connected have not replayed, in bytes. A standby that is gone does not hold us up: its
// slot, if it has one, is a matter of the server's own settings.
std::string lag(pg::Spi& spi) {
    const pg::Rows rows = spi.query(
        "SELECT application_name, pg_wal_lsn_diff(pg_current_wal_lsn(), coalesce(replay_lsn, flush_lsn, sent_lsn))"
        "::bigint AS behind FROM pg_stat_replication WHERE state IN ('streaming', 'catchup') "
        "ORDER BY behind DESC NULLS LAST LIMIT 1");
    const std::int64_t limit = static_cast<std::int64_t>(settings::lifecycle_max_lag_kb) * 1024;
    if (rows.empty() || rows.int64(0, 1) <= limit)
        return {};
    return "standby " + rows.text(0, 0) + " is " + std::to_string(rows.int64(0, 1) / 1024) + " kB behind";
}

std::string backlog(pg::Spi& spi) {
    if (spi.query("SELECT current_setting('archive_mode') <> 'off'").boolean(0, 0)) {
        const std::int64_t waiting =
            spi.query("SELECT count(*) FROM pg_ls_archive_statusdir() WHERE name LIKE '%.ready'").int64(0, 0);
        if (waiting > settings::lifecycle_max_wal_backlog)
            return std::to_string(waiting) + " WAL files wait to be archived";
    }
    return {};
}

} // namespace

// A run asks for each table: the answer is kept for a moment.
std::string brake() {
    static std::string reason;
    static std::chrono::steady_clock::time_point asked;
    const auto now = std::chrono::steady_clock::now();
    if (now - asked < std::chrono::milliseconds(200))
        return reason;
    pg::Spi spi;
    std::string found = lag(spi);
    if (found.empty())
        found = backlog(spi);
    reason = found;
    asked = now;
    return found;
}

std::int64_t transactions_so_far() {
    pg::Spi spi;
    return spi.query("SELECT coalesce(sum(xact_commit + xact_rollback), 0)::bigint FROM pg_stat_database").int64(0, 0);
}

} // namespace citadel::lifecycle
