#include "lifecycle/facts_pg.hpp"

#include "lifecycle/archive_pg.hpp"
#include "lifecycle/brake_pg.hpp"
#include "lifecycle/calendar.hpp"
#include "lifecycle/holds_pg.hpp"
#include "lifecycle/key_pg.hpp"
#include "lifecycle/plain_pg.hpp"
#include "lifecycle/policy_pg.hpp"
#include "pg/clock.hpp"
#include "pg/role.hpp"
#include "pg/spi.hpp"

#include <algorithm>
#include <map>

namespace citadel::lifecycle {

namespace {

constexpr int most_default_periods = 24; // of one plan; the next run goes on
constexpr std::int64_t most_counted = 1000000;

std::string oid_array(const std::vector<std::uint32_t>& oids) {
    std::string list = "{";
    for (const std::uint32_t oid : oids)
        list += (list.size() > 1 ? "," : "") + std::to_string(oid);
    return list + "}";
}

std::string qualified(const Partition& partition) {
    return partition.schema + "." + partition.name;
}

// Highest value of an integer key. From the top partition down, because max() over the parent reads them all.
std::optional<Place> read_newest(const Policy& policy, const std::vector<Partition>& partitions) {
    std::vector<const Partition*> ordered;
    ordered.reserve(partitions.size());
    for (const Partition& partition : partitions)
        ordered.push_back(&partition);
    std::sort(ordered.begin(), ordered.end(),
              [](const Partition* a, const Partition* b) { return a->upper > b->upper; });
    const std::string column = pg::quote_identifier(policy.column);
    std::optional<Place> newest;
    const pg::RoleScope as_owner(policy.owner);
    pg::Spi spi;
    for (const Partition* partition : ordered) {
        if (partition->detach_pending || (newest && !partition->is_default))
            continue;
        const pg::Rows rows = spi.query("SELECT max(" + column + ")::bigint FROM " + qualified(*partition));
        if (!rows.is_null(0, 0))
            newest = std::max(newest.value_or(open_low), rows.int64(0, 0));
    }
    return newest;
}

// One place in each period of which the default partition has rows, lowest first.
std::vector<Place> read_default_places(const Policy& policy, const Partition& fallback, const Zone& zone, bool& empty) {
    const std::string column = pg::quote_identifier(policy.column);
    const bool converts = policy.kind == ColumnKind::timestamptz && policy.interval.micros == 0;
    const char* as_place = policy.kind == ColumnKind::integer ? "::bigint"
                           : policy.kind == ColumnKind::timestamptz
                               ? ""
                               : "::timestamp AT TIME ZONE 'UTC'"; // so that all times are read alike
    std::vector<Place> places;
    const pg::RoleScope as_owner(policy.owner);
    pg::Spi spi;
    empty = spi.query("SELECT 1 FROM " + qualified(fallback) + " LIMIT 1").empty();
    if (empty)
        return places;
    std::string above = policy.kind == ColumnKind::integer ? "" : " AND isfinite(" + column + ")";
    for (int i = 0; i < most_default_periods; ++i) {
        std::string value = "((SELECT min(";
        value.append(column).append(") FROM ").append(qualified(fallback)).append(" WHERE true").append(above);
        value.append("))").append(as_place);
        const pg::Rows rows = spi.query(policy.kind == ColumnKind::integer
                                            ? "SELECT " + value
                                            : "SELECT (extract(epoch FROM " + value +
                                                  " - timestamptz '2000-01-01 00:00:00+00') * 1000000)::bigint");
        if (rows.is_null(0, 0))
            break;
        const Place place = rows.int64(0, 0);
        places.push_back(place);
        const Place next = next_period(converts ? zone.to_local(place) : place, policy.interval);
        if (next == open_high)
            break;
        above.clear();
        if (policy.kind != ColumnKind::integer)
            above.append(" AND isfinite(").append(column).append(")");
        above.append(" AND ").append(column).append(" >= '");
        above.append(place_text(converts ? zone.to_utc(next) : next, policy)).append("'");
    }
    return places;
}

std::vector<Operation> read_open(const Policy& policy, bool impatient) {
    pg::Spi spi;
    const pg::Rows rows = spi.query(
        "SELECT o.operation_id, o.kind, o.state, o.subject_oid, quote_ident(coalesce(n.nspname, o.subject_schema)), "
        "quote_ident(coalesce(c.relname, o.subject_name)), o.attempts, "
        "(extract(epoch FROM o.not_before - timestamptz '2000-01-01 00:00:00+00') * 1000000)::bigint, o.archive_id, "
        "o.detail->>'lower', o.detail->>'upper', a.destination "
        "FROM citadel.lifecycle_operation o LEFT JOIN pg_class c ON c.oid = o.subject_oid "
        "LEFT JOIN pg_namespace n ON n.oid = c.relnamespace "
        "LEFT JOIN citadel.archive_entry a ON a.archive_id = o.archive_id "
        "WHERE o.policy_id = $1 AND o.finished_at IS NULL AND o.kind = 'expire' ORDER BY o.operation_id",
        {pg::arg(policy.id)});
    std::vector<Operation> open;
    for (std::size_t i = 0; i < rows.size(); ++i) {
        Operation operation;
        operation.id = rows.int64(i, 0);
        operation.kind = rows.text(i, 1);
        operation.state = rows.text(i, 2);
        operation.subject = rows.oid(i, 3);
        operation.subject_schema = rows.text(i, 4);
        operation.subject_name = rows.text(i, 5);
        operation.attempts = static_cast<std::int32_t>(rows.int64(i, 6));
        const bool quarantine = operation.state == "quarantined";
        if (!rows.is_null(i, 7) && (quarantine || !impatient))
            operation.not_before = rows.int64(i, 7);
        operation.archive_id = rows.int64(i, 8);
        if (!rows.is_null(i, 9))
            operation.lower_bound = rows.text(i, 9);
        if (!rows.is_null(i, 10))
            operation.upper_bound = rows.text(i, 10);
        operation.archive_to = rows.text(i, 11);
        open.push_back(std::move(operation));
    }
    return open;
}

// Why the catalogue forbids it, by OID; the first reason of each.
std::map<std::uint32_t, std::string> read_obstacles(const Policy& policy, const std::vector<std::uint32_t>& oids) {
    const bool archives = policy.on_expiry == OnExpiry::archive;
    const bool drops = policy.on_expiry == OnExpiry::drop || (archives && policy.archive_to.rfind("schema", 0) != 0);
    pg::Spi spi;
    const pg::Rows rows = spi.query(
        "SELECT s.oid, r.reason FROM unnest($1::oid[]) AS s (oid) JOIN pg_class c ON c.oid = s.oid "
        "CROSS JOIN LATERAL ("
        "SELECT 1 AS place, 'it belongs to role ' || pg_get_userbyid(c.relowner) || ', not to the owner of the table' "
        "AS reason WHERE c.relowner <> $2 "
        "UNION ALL SELECT 2, 'it is a foreign table' WHERE c.relkind = 'f' AND $4 <> 'detach' "
        "UNION ALL SELECT 3, 'it is itself partitioned: only detaching is possible' WHERE c.relkind = 'p' AND $4 <> "
        "'detach' "
        "UNION ALL SELECT 4, 'foreign key ' || k.conname || ' of table ' || k.conrelid::regclass || ' points at it' "
        "FROM pg_constraint k WHERE k.contype = 'f' AND (k.confrelid = c.oid OR (c.relispartition AND k.confrelid = "
        "$3)) "
        "UNION ALL SELECT 5, 'view ' || w.ev_class::regclass || ' reads it directly' FROM pg_depend d JOIN pg_rewrite "
        "w ON w.oid = d.objid WHERE $5 AND d.classid = 'pg_rewrite'::regclass AND d.refclassid = 'pg_class'::regclass "
        "AND d.refobjid = c.oid AND w.ev_class <> c.oid "
        "UNION ALL SELECT 6, 'it was undone (operation ' || o.operation_id || '): alter or resume the policy to have "
        "it "
        "expire again' FROM citadel.lifecycle_operation o WHERE o.kind = 'expire' AND o.subject_oid = c.oid AND "
        "o.state = 'undone' AND c.relispartition AND (o.detail->>'undone_version')::int = $6 "
        "UNION ALL SELECT 7, 'it was restored from archive ' || a.archive_id || ' and is left alone until ' || "
        "(a.restored_at + $7::bigint * interval '1 microsecond')::text FROM citadel.archive_entry a "
        "WHERE a.restored_oid = c.oid AND c.relispartition AND a.restored_at + $7::bigint * interval '1 microsecond' > "
        "$8 "
        "UNION ALL SELECT 8, 'it is being split (operation ' || o.operation_id || ')' FROM citadel.lifecycle_operation "
        "o WHERE o.kind = 'split' AND o.subject_oid = c.oid AND o.finished_at IS NULL "
        "ORDER BY 1 LIMIT 1) r",
        {pg::arg_as(OIDARRAYOID, oid_array(oids)), pg::arg_oid(policy.owner), pg::arg_oid(policy.relation),
         pg::arg(policy.on_expiry == OnExpiry::detach ? "detach" : "other"), pg::arg(drops), pg::arg(policy.version),
         pg::arg(policy.quarantine_us), pg::arg_timestamptz(pg::now())});
    std::map<std::uint32_t, std::string> obstacles;
    for (std::size_t i = 0; i < rows.size(); ++i)
        obstacles[rows.oid(i, 0)] = rows.text(i, 1);
    return obstacles;
}

Place place_from(const std::optional<std::string>& text, Place open) {
    return text ? std::strtoll(text->c_str(), nullptr, 10) : open;
}

void read_what_keeps(Facts& facts, const Zone& zone) {
    const Policy& policy = facts.policy;
    const std::optional<Place> before = cutoff(facts, zone);
    const auto expires = [&before](const Partition& partition) {
        return before && !partition.is_default && partition.upper != open_high && partition.upper <= *before;
    };
    std::vector<std::uint32_t> oids;
    for (const Partition& partition : facts.partitions)
        if (expires(partition))
            oids.push_back(partition.oid);
    for (const Operation& operation : facts.open)
        oids.push_back(operation.subject);
    if (oids.empty())
        return;
    const auto obstacles = read_obstacles(policy, oids);
    std::string destination;
    if (policy.on_expiry == OnExpiry::archive)
        destination = archive::destination_problem(policy.archive_to, policy.archive_tablespace, policy.owner);
    bool any_hold = false;
    {
        pg::Spi spi;
        any_hold = spi.query("SELECT EXISTS (SELECT FROM citadel.hold WHERE released_at IS NULL)").boolean(0, 0);
    }
    const auto obstacle_of = [&](std::uint32_t oid) {
        const auto found = obstacles.find(oid);
        return found != obstacles.end() ? found->second : destination;
    };
    for (Partition& partition : facts.partitions)
        if (expires(partition)) {
            partition.obstacle = obstacle_of(partition.oid);
            if (any_hold && partition.obstacle.empty())
                partition.holds = holds_on(policy, partition.oid, partition.lower, partition.upper, zone);
        }
    for (Operation& operation : facts.open) {
        operation.obstacle = obstacle_of(operation.subject);
        if (!any_hold)
            continue;
        operation.holds = holds_on(policy, operation.subject, place_from(operation.lower_bound, open_low),
                                   place_from(operation.upper_bound, open_high), zone);
    }
}

} // namespace

Facts gather(const Policy& policy, const Zone& zone, bool impatient) {
    Facts facts;
    facts.policy = policy;
    facts.relation = relation_name(policy);
    facts.now = pg::now();
    facts.place_text = place_text;
    facts.partitions = read_partitions(policy.relation, policy.kind);
    if (policy.kind == ColumnKind::integer) {
        facts.newest = read_newest(policy, facts.partitions);
        facts.highest = highest_of_type(column_type(policy.relation, policy.column));
    }
    for (const Partition& partition : facts.partitions)
        if (partition.is_default)
            facts.default_places = read_default_places(policy, partition, zone, facts.default_is_empty);
    facts.open = read_open(policy, impatient);
    read_what_keeps(facts, zone);
    facts.brake = brake();
    return facts;
}

std::int64_t count_default_rows(const Policy& policy) {
    pg::Spi spi;
    const pg::Rows rows =
        spi.query("SELECT partdefid FROM pg_partitioned_table WHERE partrelid = $1", {pg::arg_oid(policy.relation)});
    if (rows.empty() || rows.oid(0, 0) == InvalidOid)
        return -1;
    const std::string name = pg::qualified_name(rows.oid(0, 0));
    const pg::RoleScope as_owner(policy.owner);
    pg::Spi as_owner_spi;
    return as_owner_spi
        .query("SELECT count(*) FROM (SELECT 1 FROM " + name + " LIMIT " + std::to_string(most_counted) +
               ") AS counted")
        .int64(0, 0);
}

std::vector<Step> plan_of(const Policy& policy, bool impatient) {
    if (policy.mode != TableMode::partitioned)
        return plain::plan(policy, pg::now(), impatient);
    const auto zone = make_zone(policy.time_zone);
    std::vector<Step> steps = plan(gather(policy, *zone, impatient), *zone);
    for (Step& step : plain::plan(policy, pg::now(), impatient)) // a converted table that is being split
        steps.push_back(std::move(step));
    return steps;
}

} // namespace citadel::lifecycle
