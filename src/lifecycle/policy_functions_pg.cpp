// SQL functions that make and change policies. The caller must own the table; our tables are written as superuser.
#include "pg/server.hpp"

#include "audit/audit.hpp"
#include "lifecycle/access_pg.hpp"
#include "lifecycle/archive_pg.hpp"
#include "lifecycle/calendar.hpp"
#include "lifecycle/key_pg.hpp"
#include "lifecycle/policy_pg.hpp"
#include "pg/boundary.hpp"
#include "pg/clock.hpp"
#include "pg/role.hpp"
#include "pg/spi.hpp"

extern "C" {
#include "catalog/pg_authid.h"
#include "utils/lsyscache.h"
}

namespace citadel::lifecycle {

namespace {

constexpr std::int64_t longest_interval = 100 * 366 * micros_per_day;

// A policy as it is asked for: names and texts, before they are understood.
struct Wanted {
    Policy policy;
    std::string on_expiry, plain_table, quarantine;
};

struct Target {
    Oid oid = InvalidOid;
    Oid owner = InvalidOid;
    std::string schema, name;
    char kind = 0;
};

[[noreturn]] void invalid(const std::string& message, const std::string& hint = {}) {
    pg::raise(ERRCODE_INVALID_PARAMETER_VALUE, message, {}, hint);
}

std::string text_argument(FunctionCallInfo fcinfo, int number) {
    return pg::to_string(pg::guard([&] { return PG_GETARG_TEXT_PP(number); }));
}

std::string name_argument(FunctionCallInfo fcinfo, int number) {
    return NameStr(*PG_GETARG_NAME(number));
}

Target look_at(Oid relation) {
    pg::Spi spi;
    const pg::Rows rows =
        spi.query("SELECT n.nspname, c.relname, c.relkind, c.relpersistence, c.relispartition, c.relowner, "
                  "(SELECT inhparent::regclass::text FROM pg_inherits WHERE inhrelid = c.oid LIMIT 1), "
                  "n.nspname LIKE 'pg\\_%' OR n.nspname IN ('information_schema', 'citadel'), "
                  "EXISTS (SELECT FROM pg_inherits WHERE inhparent = c.oid) "
                  "FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = $1",
                  {pg::arg_oid(relation)});
    if (rows.empty())
        pg::raise(ERRCODE_UNDEFINED_TABLE, "the table does not exist");
    Target target;
    target.oid = relation;
    target.schema = rows.text(0, 0);
    target.name = rows.text(0, 1);
    target.kind = rows.text(0, 2)[0];
    target.owner = rows.oid(0, 5);
    const std::string shown = pg::qualified_name(relation);
    const auto refuse = [&shown](const std::string& why, const std::string& hint) {
        pg::raise(ERRCODE_FEATURE_NOT_SUPPORTED, "a lifecycle policy cannot be made for " + shown + ": " + why, {},
                  hint);
    };
    if (target.kind != 'r' && target.kind != 'p')
        refuse("it is no table", "Name a table or a partitioned table.");
    if (rows.boolean(0, 7))
        refuse("it is a table of the server or of citadel_opt", "");
    if (rows.boolean(0, 4))
        refuse("it is a partition of " + rows.text(0, 6), "Make the policy for the partitioned table.");
    if (rows.text(0, 3) == "t")
        refuse("it is a temporary table", "");
    if (target.kind == 'r' && rows.boolean(0, 8))
        refuse("other tables inherit from it", "Only declarative partitioning is supported.");
    if (target.kind == 'r' && !rows.is_null(0, 6))
        refuse("it inherits from " + rows.text(0, 6), "Only declarative partitioning is supported.");
    return target;
}

void check_key(const Target& target, const Policy& policy) {
    const std::string shown = pg::qualified_name(target.oid);
    const auto refuse = [&shown](const std::string& why, const std::string& hint) {
        pg::raise(ERRCODE_FEATURE_NOT_SUPPORTED, "a lifecycle policy cannot be made for " + shown + ": " + why, {},
                  hint);
    };
    if (target.kind != 'p')
        return;
    const PartitionKey key = read_partition_key(target.oid);
    if (key.strategy != 'r')
        refuse(std::string("it is partitioned by ") + (key.strategy == 'l' ? "list" : "hash") + ", not by range",
               "Policies need partitions that follow a time or a number.");
    if (key.columns.size() != 1)
        refuse("its partition key has " + std::to_string(key.columns.size()) + " columns",
               "Policies need a partition key of one column.");
    if (key.columns[0].empty())
        refuse("its partition key is an expression", "Policies need a plain column.");
    if (key.columns[0] != policy.column)
        invalid("column \"" + policy.column + "\" is not the partition key of " + shown,
                "The partition key is \"" + key.columns[0] + "\".");
    (void)read_partitions(target.oid, policy.kind);
}

void check_column(const Target& target, Policy& policy) {
    const Oid type = column_type(target.oid, policy.column);
    const std::string shown = pg::qualified_name(target.oid);
    if (type == InvalidOid)
        pg::raise(ERRCODE_UNDEFINED_COLUMN, "column \"" + policy.column + "\" of table " + shown + " does not exist");
    const auto kind = kind_of_type(type);
    if (!kind)
        pg::raise(ERRCODE_DATATYPE_MISMATCH,
                  "column \"" + policy.column + "\" of table " + shown + " has type " +
                      pg::to_string(pg::guard([type] { return format_type_be(type); })),
                  {}, "A policy needs a column of type timestamptz, timestamp, date, smallint, integer or bigint.");
    policy.kind = *kind;
}

void check_lengths(Policy& policy) {
    policy.interval = parse_span(policy.interval_text, policy.kind, "partition_interval");
    const Span& interval = policy.interval;
    if (policy.kind != ColumnKind::integer) {
        if ((interval.months != 0) + (interval.days != 0) + (interval.micros != 0) != 1)
            invalid("partition_interval \"" + policy.interval_text + "\" mixes months, days and hours",
                    "Give one of them, for example 1 month, 7 days or 6 hours.");
        if (interval.micros != 0 && (interval.micros < micros_per_minute || interval.micros > micros_per_day ||
                                     micros_per_day % interval.micros != 0))
            invalid("partition_interval \"" + policy.interval_text + "\" does not divide a day",
                    "Give at least a minute, and a part of a day: 1 hour, 6 hours.");
        if (approximate_length(interval) > longest_interval)
            invalid("partition_interval must be at most 100 years");
    }
    if (policy.retain_text.empty())
        return;
    policy.retain = parse_span(policy.retain_text, policy.kind, "retain");
    if (approximate_length(*policy.retain) < approximate_length(interval))
        invalid("retain \"" + policy.retain_text + "\" is shorter than a partition (" + policy.interval_text + ")",
                "Rows leave by whole partitions: make them smaller, or keep rows longer.");
}

void understand(const Target& target, Wanted& wanted) {
    Policy& policy = wanted.policy;
    check_column(target, policy);
    if (wanted.plain_table.empty())
        policy.mode = TableMode::partitioned;
    else if (wanted.plain_table == "convert" || wanted.plain_table == "keep")
        policy.mode = wanted.plain_table == "convert" ? TableMode::convert : TableMode::keep;
    else
        invalid("plain_table \"" + wanted.plain_table + "\" is neither convert nor keep");
    if (target.kind == 'r' && policy.mode == TableMode::partitioned)
        invalid(
            pg::qualified_name(target.oid) + " is not partitioned",
            "Say plain_table => 'convert' to have it partitioned online, or 'keep' to move its old rows in batches.");
    if (target.kind == 'p' && policy.mode != TableMode::partitioned)
        invalid("plain_table is for tables that are not partitioned");
    check_key(target, policy);
    check_lengths(policy);
    (void)make_zone(policy.time_zone);
    if (policy.premake < 0 || policy.premake > 1000)
        invalid("premake must be between 0 and 1000");
    if (wanted.on_expiry != "archive" && wanted.on_expiry != "detach" && wanted.on_expiry != "drop")
        invalid("on_expiry \"" + wanted.on_expiry + "\" is none of archive, detach, drop");
    policy.on_expiry = wanted.on_expiry == "archive" ? OnExpiry::archive
                       : wanted.on_expiry == "drop"  ? OnExpiry::drop
                                                     : OnExpiry::detach;
    if (policy.mode == TableMode::keep && policy.on_expiry == OnExpiry::detach)
        invalid("a table that is kept plain has no partitions to detach", "on_expiry can be archive or drop.");
    if (policy.quarantine_us < 0)
        invalid("quarantine must not be negative");
    if (policy.quarantine_us > longest_interval)
        invalid("quarantine must be at most 100 years");
    if (!policy.allowed_hours.empty() && !parse_hours(policy.allowed_hours))
        invalid("allowed_hours \"" + policy.allowed_hours + "\" is not of the form 22:00-05:00");
    if (policy.on_expiry == OnExpiry::archive) {
        const pg::RoleScope superuser(BOOTSTRAP_SUPERUSERID);
        const std::string problem =
            archive::destination_problem(policy.archive_to, policy.archive_tablespace, target.owner);
        if (!problem.empty())
            invalid("archive_to \"" + policy.archive_to + "\" cannot be used: " + problem);
    }
}

std::int64_t interval_us(const Interval* interval) {
    return approximate_length({interval->month, interval->day, interval->time});
}

pg::Arg text_or_null(const std::string& text) {
    return text.empty() ? pg::null() : pg::arg(text);
}

const char* mode_name(TableMode mode) {
    return mode == TableMode::convert ? "convert" : mode == TableMode::keep ? "keep" : "partitioned";
}

std::vector<pg::Arg> values_of(const Target& target, const Wanted& wanted) {
    const Policy& p = wanted.policy;
    return {pg::arg_oid(target.oid),
            pg::arg(target.schema),
            pg::arg(target.name),
            pg::arg(p.column),
            pg::arg(kind_name(p.kind)),
            pg::arg(mode_name(p.mode)),
            pg::arg(p.interval_text),
            pg::arg(p.premake),
            text_or_null(p.retain_text),
            pg::arg(wanted.on_expiry),
            pg::arg(p.archive_to),
            text_or_null(p.archive_tablespace),
            pg::arg_as(INTERVALOID, wanted.quarantine),
            pg::arg(p.time_zone),
            p.default_partition ? pg::arg(*p.default_partition) : pg::null(BOOLOID),
            text_or_null(p.allowed_hours),
            pg::arg(p.create_enabled),
            pg::arg(p.detach_enabled),
            pg::arg(p.archive_enabled),
            pg::arg(p.drop_enabled),
            pg::arg(p.extend_keys),
            pg::arg(p.split_after_conversion),
            pg::arg(system_identifier()),
            pg::arg_timestamptz(pg::now())};
}

constexpr const char* columns =
    "relation_oid, schema_name, relation_name, time_column, column_kind, table_mode, partition_interval, premake, "
    "retain, on_expiry, archive_to, archive_tablespace, quarantine, time_zone, default_partition, allowed_hours, "
    "create_enabled, detach_enabled, archive_enabled, drop_enabled, extend_keys, split_after_conversion, home_system, "
    "updated_at";
constexpr const char* parameters =
    "$1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24";

void append(const char* action, const Target& target, std::int64_t policy_id, std::int32_t version,
            const std::string& reason = {}) {
    audit::Entry entry = audit::about(action, target.oid);
    if (entry.subject_name.empty()) {
        entry.subject_schema = target.schema;
        entry.subject_name = target.name;
    }
    entry.policy_id = policy_id;
    entry.policy_version = version;
    entry.reason = reason;
    pg::Spi spi;
    const pg::Rows row = spi.query(
        "SELECT to_jsonb(p) - 'updated_at' FROM citadel.lifecycle_policy p WHERE policy_id = $1", {pg::arg(policy_id)});
    if (!row.empty())
        entry.detail = row.text(0, 0);
    audit::append(entry);
}

std::int64_t create(const Target& target, Wanted wanted) {
    understand(target, wanted);
    const pg::RoleScope superuser(BOOTSTRAP_SUPERUSERID);
    pg::Spi spi;
    spi.execute("LOCK TABLE citadel.lifecycle_policy IN SHARE ROW EXCLUSIVE MODE");
    const pg::Rows there = spi.query(
        "SELECT policy_id FROM citadel.lifecycle_policy WHERE (schema_name, relation_name) = "
        "($2, $3) OR (relation_oid = $1 AND home_system = $4)",
        {pg::arg_oid(target.oid), pg::arg(target.schema), pg::arg(target.name), pg::arg(system_identifier())});
    if (!there.empty())
        pg::raise(ERRCODE_DUPLICATE_OBJECT,
                  "table " + pg::qualified_name(target.oid) + " has lifecycle policy " + there.text(0, 0) + " already",
                  {}, "Change it with citadel.alter_lifecycle_policy(), or drop it.");
    const std::int64_t id =
        spi.query(std::string("INSERT INTO citadel.lifecycle_policy (") + columns +
                      ", home_database, created_at) SELECT " + parameters +
                      ", d.oid, $24 FROM pg_database d WHERE d.datname = current_database() RETURNING policy_id",
                  values_of(target, wanted))
            .int64(0, 0);
    append("create_policy", target, id, 1);
    return id;
}

// The policy and its table, when the caller may change it.
struct Found {
    StoredPolicy stored;
    Target target;
};

Found find_owned(std::int64_t id, const char* what) {
    Found found;
    {
        const pg::RoleScope superuser(BOOTSTRAP_SUPERUSERID);
        std::vector<StoredPolicy> policies = load_policies({id});
        if (policies.empty())
            pg::raise(ERRCODE_UNDEFINED_OBJECT, "lifecycle policy " + std::to_string(id) + " does not exist");
        found.stored = policies.front();
    }
    const Policy& policy = found.stored.policy;
    found.target = {policy.relation, policy.owner, policy.schema, policy.name, 0};
    require_owner(policy.relation, policy.schema + "." + policy.name, what);
    if (found.stored.renamed && !found.stored.gone) {
        const pg::RoleScope superuser(BOOTSTRAP_SUPERUSERID);
        note_new_name(found.stored);
    }
    return found;
}

// What becomes of expiries under way when on_expiry changes: those that have begun to archive go on, the others follow.
void redirect_expiries(pg::Spi& spi, std::int64_t policy_id, const std::string& on_expiry) {
    const pg::Rows open = spi.query(
        "SELECT operation_id, state FROM citadel.lifecycle_operation WHERE policy_id = $1 AND kind = 'expire' "
        "AND finished_at IS NULL AND archive_id IS NULL AND state IN ('detached', 'closed', 'quarantined', "
        "'dropping') ORDER BY 1 FOR UPDATE",
        {pg::arg(policy_id)});
    if (open.empty())
        return;
    if (on_expiry == "detach")
        invalid("on_expiry cannot become detach while operation " + open.text(0, 0) + " is " + open.text(0, 1),
                "Let it end, or take it back with citadel.undo_expiry().");
    spi.execute("UPDATE citadel.lifecycle_operation SET state = 'detached', not_before = NULL WHERE policy_id = $1 AND "
                "kind = 'expire' AND finished_at IS NULL AND archive_id IS NULL AND state IN ('closed', 'quarantined', "
                "'dropping')",
                {pg::arg(policy_id)});
}

// In a restored dump, what was going on concerns the relations of its names: their OIDs are other ones here. (No
// relation has the last OID: a table that is not there was dropped.)
void settle_operations(pg::Spi& spi, std::int64_t policy_id) {
    spi.execute(R"(
        UPDATE citadel.lifecycle_operation AS o
        SET subject_oid = coalesce(
            (SELECT h.relation_oid FROM citadel.archive_entry e JOIN citadel.archive_relation h USING (archive_id)
             WHERE e.archive_id = o.archive_id AND e.destination LIKE 'schema%'),
            to_regclass(format('%I.%I', o.subject_schema, o.subject_name))::oid),
            detail = CASE WHEN o.detail ? 'staging' THEN o.detail || jsonb_build_object('staging',
                coalesce(to_regclass(o.detail->>'staging_name')::oid, '4294967295'::oid)::text) ELSE o.detail END
        FROM citadel.lifecycle_policy p
        WHERE p.policy_id = $1 AND o.policy_id = $1 AND o.finished_at IS NULL AND o.subject_oid IS NOT NULL
          AND o.started_at < (SELECT i.installed_at FROM citadel.installation i)
          AND (p.home_system <> $2 OR p.home_database <> (SELECT d.oid FROM pg_database d
                                                          WHERE d.datname = current_database())))",
                {pg::arg(policy_id), pg::arg(system_identifier())});
}

void set_status(FunctionCallInfo fcinfo, const char* what, bool active) {
    if (PG_ARGISNULL(0))
        pg::raise(ERRCODE_NULL_VALUE_NOT_ALLOWED, "policy_id must not be null");
    const Found found = find_owned(PG_GETARG_INT64(0), what);
    if (active && found.stored.gone)
        pg::raise(ERRCODE_UNDEFINED_TABLE,
                  "the table of lifecycle policy " + std::to_string(PG_GETARG_INT64(0)) + " is gone", {},
                  "Drop the policy with citadel.drop_lifecycle_policy().");
    const std::string reason = !active && !PG_ARGISNULL(1) ? text_argument(fcinfo, 1) : "";
    const pg::RoleScope superuser(BOOTSTRAP_SUPERUSERID);
    pg::Spi spi;
    if (active)
        settle_operations(spi, PG_GETARG_INT64(0));
    const pg::Rows changed = spi.query(
        active
            ? "UPDATE citadel.lifecycle_policy p SET status = 'active', suspended_reason = NULL, version = version + "
              "1, updated_at = $2, home_system = $3, home_database = d.oid, relation_oid = $4 FROM pg_database d WHERE "
              "d.datname = current_database() AND policy_id = $1 RETURNING p.version"
            : "UPDATE citadel.lifecycle_policy SET status = 'suspended', suspended_reason = $3, version = version + 1, "
              "updated_at = $2 WHERE policy_id = $1 RETURNING version",
        active
            ? std::vector<pg::Arg>{pg::arg(PG_GETARG_INT64(0)), pg::arg_timestamptz(pg::now()),
                                   pg::arg(system_identifier()), pg::arg_oid(found.target.oid)}
            : std::vector<pg::Arg>{pg::arg(PG_GETARG_INT64(0)), pg::arg_timestamptz(pg::now()), text_or_null(reason)});
    append(active ? "resume_policy" : "suspend_policy", found.target, PG_GETARG_INT64(0),
           static_cast<std::int32_t>(changed.int64(0, 0)), reason);
}

} // namespace

} // namespace citadel::lifecycle

using namespace citadel;
using namespace citadel::lifecycle;

CITADEL_FUNCTION(citadel_create_lifecycle_policy) {
    static const char* const names[] = {"relation",
                                        "time_column",
                                        "partition_interval",
                                        "premake",
                                        nullptr,
                                        "on_expiry",
                                        "archive_to",
                                        "quarantine",
                                        "time_zone",
                                        nullptr,
                                        nullptr,
                                        "create_enabled",
                                        "detach_enabled",
                                        "archive_enabled",
                                        "drop_enabled",
                                        nullptr,
                                        nullptr,
                                        "extend_keys",
                                        "split_after_conversion"};
    for (int i = 0; i < static_cast<int>(std::size(names)); ++i)
        if (names[i] != nullptr && PG_ARGISNULL(i))
            pg::raise(ERRCODE_NULL_VALUE_NOT_ALLOWED, std::string(names[i]) + " must not be null");
    const Oid relation = PG_GETARG_OID(0);
    audit::Entry entry = audit::about("create_policy", relation);
    return audit::audited(entry, [&]() -> Datum {
        require_owner(relation, pg::qualified_name(relation), "make a lifecycle policy for");
        const Target target = look_at(relation);
        Wanted wanted;
        Policy& policy = wanted.policy;
        policy.column = name_argument(fcinfo, 1);
        policy.interval_text = text_argument(fcinfo, 2);
        policy.premake = PG_GETARG_INT32(3);
        if (!PG_ARGISNULL(4) && text_argument(fcinfo, 4) != "forever")
            policy.retain_text = text_argument(fcinfo, 4);
        wanted.on_expiry = text_argument(fcinfo, 5);
        policy.archive_to = text_argument(fcinfo, 6);
        policy.quarantine_us = interval_us(PG_GETARG_INTERVAL_P(7));
        wanted.quarantine = pg::to_string(PG_GETARG_DATUM(7), INTERVALOID);
        policy.time_zone = text_argument(fcinfo, 8);
        if (!PG_ARGISNULL(9))
            policy.default_partition = PG_GETARG_BOOL(9);
        if (!PG_ARGISNULL(10))
            policy.allowed_hours = text_argument(fcinfo, 10);
        policy.create_enabled = PG_GETARG_BOOL(11);
        policy.detach_enabled = PG_GETARG_BOOL(12);
        policy.archive_enabled = PG_GETARG_BOOL(13);
        policy.drop_enabled = PG_GETARG_BOOL(14);
        if (!PG_ARGISNULL(15))
            policy.archive_tablespace = name_argument(fcinfo, 15);
        if (!PG_ARGISNULL(16))
            wanted.plain_table = text_argument(fcinfo, 16);
        policy.extend_keys = PG_GETARG_BOOL(17);
        policy.split_after_conversion = PG_GETARG_BOOL(18);
        return Int64GetDatum(create(target, wanted));
    });
}

CITADEL_FUNCTION(citadel_alter_lifecycle_policy) {
    if (PG_ARGISNULL(0))
        pg::raise(ERRCODE_NULL_VALUE_NOT_ALLOWED, "policy_id must not be null");
    const std::int64_t id = PG_GETARG_INT64(0);
    Found found = find_owned(id, "change the lifecycle policy of");
    if (found.stored.gone)
        pg::raise(ERRCODE_UNDEFINED_TABLE, "the table of lifecycle policy " + std::to_string(id) + " is gone", {},
                  "Drop the policy with citadel.drop_lifecycle_policy().");
    Wanted wanted;
    wanted.policy = found.stored.policy;
    Policy& policy = wanted.policy;
    policy.retain.reset();
    wanted.on_expiry = expiry_name(policy.on_expiry);
    wanted.plain_table = policy.mode == TableMode::partitioned ? "" : mode_name(policy.mode);
    {
        const pg::RoleScope superuser(BOOTSTRAP_SUPERUSERID);
        pg::Spi spi;
        wanted.quarantine =
            spi.query("SELECT quarantine FROM citadel.lifecycle_policy WHERE policy_id = $1", {pg::arg(id)}).text(0, 0);
    }
    const auto set_text = [&](int number, std::string& value) {
        if (!PG_ARGISNULL(number))
            value = text_argument(fcinfo, number);
    };
    const auto set_bool = [&](int number, bool& value) {
        if (!PG_ARGISNULL(number))
            value = PG_GETARG_BOOL(number);
    };
    set_text(1, policy.interval_text);
    if (!PG_ARGISNULL(2))
        policy.premake = PG_GETARG_INT32(2);
    set_text(3, policy.retain_text);
    if (policy.retain_text == "forever")
        policy.retain_text.clear();
    set_text(4, wanted.on_expiry);
    set_text(5, policy.archive_to);
    if (!PG_ARGISNULL(6)) {
        policy.quarantine_us = interval_us(PG_GETARG_INTERVAL_P(6));
        wanted.quarantine = pg::to_string(PG_GETARG_DATUM(6), INTERVALOID);
    }
    set_text(7, policy.time_zone);
    if (!PG_ARGISNULL(8))
        policy.default_partition = PG_GETARG_BOOL(8);
    set_text(9, policy.allowed_hours);
    set_bool(10, policy.create_enabled);
    set_bool(11, policy.detach_enabled);
    set_bool(12, policy.archive_enabled);
    set_bool(13, policy.drop_enabled);
    if (!PG_ARGISNULL(14))
        policy.archive_tablespace = name_argument(fcinfo, 14);
    set_bool(15, policy.extend_keys);
    set_bool(16, policy.split_after_conversion);
    const Target target = look_at(policy.relation);
    understand(target, wanted);
    const pg::RoleScope superuser(BOOTSTRAP_SUPERUSERID);
    pg::Spi spi;
    if (wanted.on_expiry != expiry_name(found.stored.policy.on_expiry))
        redirect_expiries(spi, id, wanted.on_expiry);
    std::vector<pg::Arg> values = values_of(target, wanted);
    values.push_back(pg::arg(id));
    // Where it is at home does not change by this: $23 stays unused but for its type.
    std::string list = parameters;
    list.replace(list.find("$23"), 3, "coalesce(home_system, $23)");
    const pg::Rows changed =
        spi.query(std::string("UPDATE citadel.lifecycle_policy SET (") + columns + ", version) = ROW (" + list +
                      ", version + 1) WHERE policy_id = $25 "
                      "RETURNING version",
                  values);
    append("alter_policy", target, id, static_cast<std::int32_t>(changed.int64(0, 0)));
    PG_RETURN_VOID();
}

CITADEL_FUNCTION(citadel_drop_lifecycle_policy) {
    if (PG_ARGISNULL(0))
        pg::raise(ERRCODE_NULL_VALUE_NOT_ALLOWED, "policy_id must not be null");
    const std::int64_t id = PG_GETARG_INT64(0);
    const Found found = find_owned(id, "drop the lifecycle policy of");
    const pg::RoleScope superuser(BOOTSTRAP_SUPERUSERID);
    pg::Spi spi;
    const pg::Rows open =
        spi.query("SELECT operation_id, kind, state FROM citadel.lifecycle_operation WHERE policy_id = $1 "
                  "AND finished_at IS NULL AND state <> 'planned' ORDER BY 1 LIMIT 1",
                  {pg::arg(id)});
    if (!open.empty() && !found.stored.gone)
        pg::raise(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
                  "lifecycle policy " + std::to_string(id) + " has work under way: operation " + open.text(0, 0) +
                      " (" + open.text(0, 1) + ", " + open.text(0, 2) + ")",
                  {}, "Let it end, or take it back with citadel.undo_expiry().");
    append("drop_policy", found.target, id, found.stored.policy.version);
    spi.execute("UPDATE citadel.lifecycle_operation SET state = 'cancelled', finished_at = $2 WHERE policy_id = $1 AND "
                "finished_at IS NULL",
                {pg::arg(id), pg::arg_timestamptz(pg::now())});
    spi.execute("DELETE FROM citadel.lifecycle_policy WHERE policy_id = $1", {pg::arg(id)});
    PG_RETURN_VOID();
}

CITADEL_FUNCTION(citadel_suspend_lifecycle_policy) {
    set_status(fcinfo, "suspend the lifecycle policy of", false);
    PG_RETURN_VOID();
}

CITADEL_FUNCTION(citadel_resume_lifecycle_policy) {
    set_status(fcinfo, "resume the lifecycle policy of", true);
    PG_RETURN_VOID();
}
