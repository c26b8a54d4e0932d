// The server's settings as a new session without settings of its own would find them, and those of databases and roles
// (ALTER DATABASE, ALTER ROLE ... SET), compared with the last known ones. What a session sets for itself is not seen.
#include "pg/server.hpp"

#include "history/arrays_pg.hpp"
#include "history/settings_log_pg.hpp"
#include "history/tasks_pg.hpp"
#include "history/watched_settings.hpp"
#include "pg/clock.hpp"
#include "pg/spi.hpp"

namespace citadel::history {

namespace {

constexpr const char* rows_kept = "10000"; // in citadel.setting_log, whatever the retention says

// reset_val is what the scheduler's own SETs cannot change, but a setting of this database goes before the server's in
// it, and is told apart by its source.
constexpr const char* read_sql =
    "SELECT s.name, 0::oid AS database, 0::oid AS role, s.reset_val FROM pg_settings s "
    "WHERE s.source NOT IN ('database', 'user', 'database user', 'session') "
    "UNION ALL SELECT split_part(c, '=', 1), d.setdatabase, d.setrole, substring(c FROM position('=' IN c) + 1) "
    "FROM pg_db_role_setting d, unnest(d.setconfig) AS c WHERE d.setdatabase IN (0, (SELECT oid FROM pg_database "
    "WHERE datname = current_database()))";

} // namespace

void store_setting_changes() {
    if (restore_in_progress())
        return;
    const TimestampTz now = pg::now();
    record_source("settings", now, [now] {
        pg::Spi spi;
        const pg::Rows rows = spi.query(read_sql);
        TextArray name, value;
        ValueArray database(OIDOID), role(OIDOID);
        for (std::size_t i = 0; i < rows.size(); ++i) {
            if (effect_of(rows.text(i, 0)) == SettingEffect::none)
                continue;
            name.add(rows.text(i, 0));
            database.add(ObjectIdGetDatum(rows.oid(i, 1)));
            role.add(ObjectIdGetDatum(rows.oid(i, 2)));
            value.add(rows.text(i, 3));
        }
        // Nothing is a change that was never seen before, but for a setting of a database or a role: it had none. One
        // of the server that is hidden behind a setting of this database keeps its last known value.
        const std::vector<pg::Arg> seen = {name.arg(), database.arg(), role.arg(), value.arg(),
                                           pg::arg_timestamptz(now)};
        spi.execute(
            "WITH seen AS MATERIALIZED (SELECT * FROM unnest($1, $2, $3, $4) AS v (setting, database, role, value)), "
            "changed AS (SELECT coalesce(v.setting, s.setting) AS setting, coalesce(v.database, s.database) AS "
            "database, coalesce(v.role, s.role) AS role, s.value AS old_value, v.value AS new_value FROM seen v FULL "
            "JOIN citadel.setting_state s ON s.setting = v.setting AND s.database = v.database AND s.role = v.role "
            "WHERE v.value IS DISTINCT FROM s.value AND EXISTS (SELECT FROM citadel.setting_state)), "
            "logged AS (INSERT INTO citadel.setting_log (at, setting, database, role, old_value, new_value) SELECT $5, "
            "setting, database, role, old_value, new_value FROM changed WHERE (database <> 0 OR role <> 0) OR "
            "(old_value IS NOT NULL AND new_value IS NOT NULL)), "
            "gone AS (DELETE FROM citadel.setting_state s WHERE (s.database <> 0 OR s.role <> 0) AND NOT EXISTS "
            "(SELECT "
            "FROM seen v WHERE v.setting = s.setting AND v.database = s.database AND v.role = s.role)) "
            "INSERT INTO citadel.setting_state AS s (setting, database, role, value) SELECT setting, database, role, "
            "value FROM seen v WHERE NOT EXISTS (SELECT FROM citadel.setting_state t WHERE t.setting = v.setting AND "
            "t.database = v.database AND t.role = v.role AND t.value = v.value) "
            "ON CONFLICT (setting, database, role) DO UPDATE SET value = excluded.value",
            seen);
        spi.execute(
            std::string("DELETE FROM citadel.setting_log WHERE id <= (SELECT max(id) FROM citadel.setting_log) - ") +
            rows_kept);
    });
}

} // namespace citadel::history
