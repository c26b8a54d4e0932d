#include "lifecycle/runway_pg.hpp"

#include "lifecycle/calendar.hpp"
#include "lifecycle/facts_pg.hpp"
#include "lifecycle/key_pg.hpp"
#include "pg/clock.hpp"
#include "pg/spi.hpp"

extern "C" {
#include "utils/float.h"
}

namespace citadel::lifecycle {

namespace {

void add(std::string& alarm, const std::string& text) {
    alarm += (alarm.empty() ? "" : "; ") + text;
}

// What the last run left behind.
void judge_last_run(std::string& alarm, const Policy& policy) {
    pg::Spi spi;
    const pg::Rows rows = spi.query(
        "SELECT last_error IS NOT NULL, coalesce(default_rows, 0), (SELECT count(*) FROM citadel.lifecycle_operation o "
        "WHERE o.policy_id = s.policy_id AND o.finished_at IS NULL AND o.attempts > 0), last_run_at IS NULL FROM "
        "citadel.lifecycle_status s "
        "WHERE policy_id = $1",
        {pg::arg(policy.id)});
    if (rows.empty() || rows.boolean(0, 3))
        return add(alarm, "not worked on yet");
    if (rows.boolean(0, 0))
        add(alarm, "the last run failed");
    if (rows.int64(0, 1) > 0)
        add(alarm, rows.text(0, 1) + " rows in the default partition");
    if (rows.int64(0, 2) > 0)
        add(alarm, rows.text(0, 2) + " operations failed and are tried again");
}

} // namespace

Runway read_runway(const StoredPolicy& stored) {
    const Policy& policy = stored.policy;
    Runway runway;
    runway.status = !stored.active ? "suspended" : policy.at_home ? "active" : "copy";
    if (stored.gone) {
        runway.alarm = "its table is gone";
        return runway;
    }
    if (!stored.error.empty()) {
        runway.alarm = stored.error;
        return runway;
    }
    if (!stored.active)
        runway.alarm = "suspended: nothing is made ahead";
    else if (!policy.at_home)
        runway.alarm = "restored or cloned database: nothing is moved or dropped until resume_lifecycle_policy(" +
                       std::to_string(policy.id) + ")";
    if (policy.mode == TableMode::partitioned) {
        const auto zone = make_zone(policy.time_zone);
        const Facts facts = gather(policy, *zone, true);
        const Place anchor = policy.kind == ColumnKind::integer ? facts.newest.value_or(0) : facts.now;
        runway.partitions = static_cast<int>(facts.partitions.size());
        for (const Partition& partition : facts.partitions)
            runway.ahead += !partition.is_default && partition.lower > anchor;
        const std::optional<Place> until = covered_until(facts);
        if (until)
            runway.covered_until = place_text(*until, policy);
        const bool endless = until && *until == open_high;
        if (policy.kind != ColumnKind::integer) {
            const auto days = [&](Place place) {
                return static_cast<double>(place - anchor) / static_cast<double>(micros_per_day);
            };
            runway.days_left = endless ? get_float8_infinity() : until ? days(*until) : 0;
        }
        if (!until)
            add(runway.alarm, "no partition for now");
        else if (!endless && runway.ahead < (policy.premake + 1) / 2)
            add(runway.alarm,
                "only " + std::to_string(runway.ahead) + " of " + std::to_string(policy.premake) + " partitions ahead");
    }
    judge_last_run(runway.alarm, policy);
    return runway;
}

void warn_of_alarm(const StoredPolicy& stored) {
    const std::int64_t id = stored.policy.id;
    {
        pg::Spi spi;
        if (!spi.query("SELECT 1 FROM citadel.lifecycle_status WHERE policy_id = $1 AND warned_at > $2",
                       {pg::arg(id), pg::arg_timestamptz(pg::now() - micros_per_day)})
                 .empty())
            return;
    }
    const Runway runway = read_runway(stored);
    if (runway.alarm.empty())
        return;
    const std::string table = relation_name(stored.policy);
    const char* name = table.c_str();
    const char* alarm = runway.alarm.c_str();
    pg::guard([=] {
        ereport(WARNING, (errmsg("citadel_opt: lifecycle of table %s: %s", name, alarm),
                          errhint("Look at citadel.partition_runway and citadel.lifecycle_step.")));
    });
    pg::Spi spi;
    spi.execute("INSERT INTO citadel.lifecycle_status (policy_id, warned_at) VALUES ($1, $2) ON CONFLICT (policy_id) "
                "DO UPDATE SET warned_at = excluded.warned_at",
                {pg::arg(id), pg::arg_timestamptz(pg::now())});
}

} // namespace citadel::lifecycle
