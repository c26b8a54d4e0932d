#include "lifecycle/holds_pg.hpp"

#include "audit/audit.hpp"
#include "pg/boundary.hpp"
#include "pg/clock.hpp"
#include "pg/guard.hpp"
#include "pg/relation.hpp"
#include "pg/role.hpp"
#include "pg/spi.hpp"
#include "pg/subtransaction.hpp"

#include <optional>
#include <vector>

extern "C" {
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "utils/acl.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"
}

namespace citadel::lifecycle {

namespace {

struct Hold {
    std::int64_t id = 0;
    Place from = open_low; // UTC
    Place to = open_high;
    std::string predicate; // empty: all rows of that time
    std::string reason;

    std::string name() const { return "hold " + std::to_string(id) + " (" + reason + ")"; }
};

// Holds on the table, on one of its ancestors, or on the partition itself. In a restored database OIDs are others, so
// the name counts as well.
std::vector<Hold> active_holds(Oid table, Oid partition) {
    pg::Spi spi;
    const pg::Rows rows = spi.query(
        "WITH concerned AS (SELECT c.oid, n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = "
        "c.relnamespace WHERE c.oid IN ($1, $2) OR c.oid IN (SELECT relid FROM pg_partition_ancestors($1)) OR c.oid "
        "IN (SELECT relid FROM pg_partition_ancestors($2))) "
        "SELECT h.hold_id, CASE WHEN isfinite(h.from_time) THEN (extract(epoch FROM h.from_time - "
        "'2000-01-01 00:00:00+00') * 1000000)::bigint END, CASE WHEN isfinite(h.to_time) THEN (extract(epoch FROM "
        "h.to_time - '2000-01-01 00:00:00+00') * 1000000)::bigint END, h.predicate, h.reason "
        "FROM citadel.hold h WHERE h.released_at IS NULL AND EXISTS (SELECT FROM concerned c WHERE c.oid = "
        "h.relation_oid OR (c.nspname = h.schema_name AND c.relname = h.relation_name)) ORDER BY h.hold_id",
        {pg::arg_oid(table), pg::arg_oid(partition)});
    std::vector<Hold> holds;
    for (std::size_t row = 0; row < rows.size(); ++row) {
        Hold hold;
        hold.id = rows.int64(row, 0);
        if (!rows.is_null(row, 1))
            hold.from = rows.int64(row, 1);
        if (!rows.is_null(row, 2))
            hold.to = rows.int64(row, 2);
        hold.predicate = rows.text(row, 3);
        hold.reason = rows.text(row, 4);
        holds.push_back(std::move(hold));
    }
    return holds;
}

std::string timestamp_literal(Place place) {
    return pg::quote_literal(pg::to_string(TimestampTzGetDatum(place), TIMESTAMPTZOID)) + "::pg_catalog.timestamptz";
}

// The time part of a hold over the policy's column; empty when it covers all times.
std::string time_condition(const Policy& policy, const Hold& hold) {
    // The times of a hold say nothing about an integer: all its rows are held.
    if (policy.kind == ColumnKind::integer)
        return {};
    const std::string column = pg::quote_identifier(policy.column);
    const std::string zone = " AT TIME ZONE " + pg::quote_literal(policy.time_zone);
    std::string condition;
    const auto add = [&](const std::string& part) { condition += (condition.empty() ? "" : " AND ") + part; };
    const bool with_zone = policy.kind == ColumnKind::timestamptz;
    if (hold.from != open_low) {
        const std::string from = timestamp_literal(hold.from) + (with_zone ? "" : zone);
        // A date stands for its whole day.
        const std::string end = policy.kind == ColumnKind::date
                                    ? "(" + column + "::pg_catalog.timestamp + interval '1 day') > "
                                    : column + " >= ";
        add(end + "(" + from + ")");
    }
    if (hold.to != open_high)
        add(column + (policy.kind == ColumnKind::date ? "::pg_catalog.timestamp" : "") + " < (" +
            timestamp_literal(hold.to) + (with_zone ? "" : zone) + ")");
    return condition;
}

std::string condition_of(const Policy& policy, const Hold& hold) {
    std::string condition = time_condition(policy, hold);
    // A newline ends a comment that the predicate may end with.
    if (!hold.predicate.empty())
        condition += (condition.empty() ? "" : " AND ") + ("((" + hold.predicate + "\n) IS NOT FALSE)");
    return condition.empty() ? "true" : "(" + condition + ")";
}

bool overlaps(const Policy& policy, const Hold& hold, Place lower, Place upper, const Zone& zone) {
    if (policy.kind == ColumnKind::integer)
        return true;
    const auto utc = [&](Place place) {
        if (place == open_low || place == open_high || policy.kind == ColumnKind::timestamptz)
            return place;
        return zone.to_utc(place);
    };
    return hold.from < utc(upper) && utc(lower) < hold.to;
}

// Writes our tables on behalf of a caller who may not.
Oid extension_owner() {
    return pg::owner_of(pg::guard([] { return get_relname_relid("hold", get_namespace_oid("citadel", false)); }));
}

void require_owner(Oid relation, const char* what) {
    const Oid owner = pg::owner_of(relation);
    const Oid user = GetUserId();
    if (!pg::guard([=] { return has_privs_of_role(user, owner); }))
        pg::raise(ERRCODE_INSUFFICIENT_PRIVILEGE, "must be owner of table " + pg::qualified_name(relation), {},
                  std::string("Only a table's owner may ") + what + ".");
}

std::string required_text(FunctionCallInfo fcinfo, int argument, const char* what) {
    std::string value;
    if (!PG_ARGISNULL(argument))
        value = pg::to_string(pg::guard([&] { return PG_GETARG_TEXT_PP(argument); }));
    if (value.find_first_not_of(" \t\r\n") == std::string::npos)
        pg::raise(ERRCODE_INVALID_PARAMETER_VALUE, std::string(what) + " must be given");
    return value;
}

std::string json_object(pg::Spi& spi, const std::string& arguments, const std::vector<pg::Arg>& values) {
    return spi.query("SELECT jsonb_strip_nulls(jsonb_build_object(" + arguments + "))::text", values).text(0, 0);
}

// The predicate as the owner will run it: in his name, with our search_path.
void check_predicate(Oid relation, const std::string& predicate) {
    const std::string sql =
        "SELECT FROM " + pg::qualified_name(relation) + " WHERE ((" + predicate + "\n) IS NOT FALSE) LIMIT 0";
    pg::RoleScope as(pg::owner_of(relation));
    pg::Spi spi;
    spi.query(sql);
}

std::int64_t place(Oid relation, const std::optional<TimestampTz>& from, const std::optional<TimestampTz>& to,
                   const std::string& reason, const std::string& predicate) {
    require_owner(relation, "place a hold on it");
    const char kind = pg::guard([relation] { return get_rel_relkind(relation); });
    if (kind != RELKIND_RELATION && kind != RELKIND_PARTITIONED_TABLE)
        pg::raise(ERRCODE_WRONG_OBJECT_TYPE, pg::qualified_name(relation) + " is not a table");
    if (from && to && *from >= *to)
        pg::raise(ERRCODE_INVALID_PARAMETER_VALUE, "from_time must be before to_time");
    if (!predicate.empty()) {
        // Our lock before any on the table: see lock_holds().
        {
            pg::RoleScope as(extension_owner());
            pg::Spi spi;
            spi.execute("LOCK TABLE citadel.hold IN ROW EXCLUSIVE MODE");
        }
        check_predicate(relation, predicate);
    }
    audit::Entry entry = audit::about("place_hold", relation);
    pg::RoleScope as(extension_owner());
    pg::Spi spi;
    const auto time = [](const std::optional<TimestampTz>& value) {
        return value ? pg::arg_timestamptz(*value) : pg::null(TIMESTAMPTZOID);
    };
    const pg::Arg condition = predicate.empty() ? pg::null() : pg::arg(predicate);
    const pg::Rows rows =
        spi.query("INSERT INTO citadel.hold (relation_oid, schema_name, relation_name, from_time, to_time, predicate, "
                  "reason, placed_by, placed_at) VALUES ($1, $2, $3, $4, $5, $6, $7, session_user, $8) RETURNING "
                  "hold_id, (to_jsonb(from_time AT TIME ZONE 'UTC') #>> '{}') || '+00', (to_jsonb(to_time AT TIME ZONE "
                  "'UTC') #>> '{}') || '+00'",
                  {pg::arg_oid(relation), pg::arg(entry.subject_schema), pg::arg(entry.subject_name), time(from),
                   time(to), condition, pg::arg(reason), pg::arg_timestamptz(pg::now())});
    entry.reason = reason;
    if (from)
        entry.lower_bound = rows.text(0, 1);
    if (to)
        entry.upper_bound = rows.text(0, 2);
    entry.detail =
        json_object(spi, "'hold_id', $1::bigint, 'predicate', $2::text", {pg::arg(rows.int64(0, 0)), condition});
    audit::append(entry);
    return rows.int64(0, 0);
}

struct Placed {
    Oid relation = InvalidOid;
    std::string schema, name;
};

// The table a hold is on: by its OID, in a restored database by its name.
Placed find_hold(std::int64_t hold_id) {
    pg::RoleScope as(extension_owner());
    pg::Spi spi;
    const pg::Rows rows =
        spi.query("SELECT coalesce(c.oid, 0), h.schema_name, h.relation_name, h.released_at IS NOT NULL FROM "
                  "citadel.hold h LEFT JOIN pg_class c ON c.oid = coalesce((SELECT o.oid FROM pg_class o WHERE o.oid = "
                  "h.relation_oid), to_regclass(format('%I.%I', h.schema_name, h.relation_name))) "
                  "WHERE h.hold_id = $1",
                  {pg::arg(hold_id)});
    if (rows.empty())
        pg::raise(ERRCODE_UNDEFINED_OBJECT, "hold " + std::to_string(hold_id) + " does not exist");
    if (rows.boolean(0, 3))
        pg::raise(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
                  "hold " + std::to_string(hold_id) + " was released already");
    return {rows.oid(0, 0), rows.text(0, 1), rows.text(0, 2)};
}

void release(std::int64_t hold_id, const Placed& hold, const std::string& reason) {
    if (hold.relation != InvalidOid)
        require_owner(hold.relation, "release a hold on it");
    else if (!superuser())
        pg::raise(ERRCODE_INSUFFICIENT_PRIVILEGE, "table " + hold.schema + "." + hold.name + " does not exist", {},
                  "Only a superuser may release a hold on a table that is gone.");
    audit::Entry entry = audit::about("release_hold", hold.relation);
    pg::RoleScope as(extension_owner());
    pg::Spi spi;
    if (spi.execute("UPDATE citadel.hold SET released_by = session_user, released_at = $2, release_reason = $3 WHERE "
                    "hold_id = $1 AND released_at IS NULL",
                    {pg::arg(hold_id), pg::arg_timestamptz(pg::now()), pg::arg(reason)}) == 0)
        pg::raise(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
                  "hold " + std::to_string(hold_id) + " was released already");
    entry.subject_schema = hold.schema;
    entry.subject_name = hold.name;
    entry.reason = reason;
    entry.detail = json_object(spi, "'hold_id', $1::bigint", {pg::arg(hold_id)});
    audit::append(entry);
}

} // namespace

void lock_holds() {
    pg::Spi spi;
    spi.execute("LOCK TABLE citadel.hold IN SHARE MODE");
}

std::string holds_on(const Policy& policy, Oid partition, Place lower, Place upper, const Zone& zone) {
    std::string found;
    for (const Hold& hold : active_holds(policy.relation, partition)) {
        if (!overlaps(policy, hold, lower, upper, zone))
            continue;
        std::string why = hold.name();
        // Rows that were collected from a plain table leave the held ones behind: their bounds say nothing.
        if (!hold.predicate.empty() || policy.mode == TableMode::keep) {
            bool held = true;
            const std::string sql =
                "SELECT 1 FROM " + pg::qualified_name(partition) + " WHERE " + condition_of(policy, hold) + " LIMIT 1";
            if (const auto error = pg::try_subtransaction([&] {
                    pg::RoleScope as(pg::owner_of(partition));
                    pg::Spi spi;
                    held = !spi.query(sql).empty();
                }))
                why += ", whose predicate fails: " + std::string(error->what());
            if (!held)
                continue;
        }
        found += (found.empty() ? "" : "; ") + why;
    }
    return found;
}

std::string held_condition(const Policy& policy) {
    std::string condition;
    for (const Hold& hold : active_holds(policy.relation, policy.relation))
        condition += (condition.empty() ? "" : " OR ") + condition_of(policy, hold);
    return condition;
}

} // namespace citadel::lifecycle

using namespace citadel;

CITADEL_FUNCTION(citadel_place_hold) {
    if (PG_ARGISNULL(0))
        pg::raise(ERRCODE_NULL_VALUE_NOT_ALLOWED, "relation must not be null");
    const Oid relation = PG_GETARG_OID(0);
    return audit::audited(audit::about("place_hold", relation), [&] {
        std::optional<TimestampTz> from;
        std::optional<TimestampTz> to;
        if (!PG_ARGISNULL(1))
            from = PG_GETARG_TIMESTAMPTZ(1);
        if (!PG_ARGISNULL(2))
            to = PG_GETARG_TIMESTAMPTZ(2);
        const std::string reason = lifecycle::required_text(fcinfo, 3, "a reason");
        const std::string predicate =
            PG_ARGISNULL(4) ? std::string() : lifecycle::required_text(fcinfo, 4, "a condition");
        return Int64GetDatum(lifecycle::place(relation, from, to, reason, predicate));
    });
}

CITADEL_FUNCTION(citadel_release_hold) {
    if (PG_ARGISNULL(0))
        pg::raise(ERRCODE_NULL_VALUE_NOT_ALLOWED, "hold_id must not be null");
    const std::int64_t hold_id = PG_GETARG_INT64(0);
    const lifecycle::Placed hold =
        audit::audited(audit::about("release_hold", InvalidOid), [hold_id] { return lifecycle::find_hold(hold_id); });
    return audit::audited(audit::about("release_hold", hold.relation), [&] {
        lifecycle::release(hold_id, hold, lifecycle::required_text(fcinfo, 1, "a reason"));
        return Datum{0};
    });
}
