#include "lifecycle/policy_pg.hpp"

#include "audit/audit.hpp"
#include "lifecycle/archive_pg.hpp"
#include "lifecycle/key_pg.hpp"
#include "lifecycle/partman_pg.hpp"
#include "lifecycle/writers_pg.hpp"
#include "pg/clock.hpp"
#include "pg/spi.hpp"
#include "pg/subtransaction.hpp"

extern "C" {
#include "access/xlog.h"
}

namespace citadel::lifecycle {

namespace {

// A copy's OIDs may belong to other tables, so there the name decides. At home the OID does: a table that was dropped
// and made again is another one.
constexpr const char* select_policies =
    "SELECT p.policy_id, p.version, c.oid, c.relowner, n.nspname, c.relname, p.schema_name, p.relation_name, "
    "p.time_column, p.column_kind, p.table_mode, p.partition_interval, p.premake, p.retain, p.on_expiry, "
    "p.archive_to, p.archive_tablespace, (least(extract(epoch FROM p.quarantine), 1e12) * 1000000)::bigint, "
    "p.time_zone, "
    "p.default_partition, p.allowed_hours, p.create_enabled, p.detach_enabled, p.archive_enabled, p.drop_enabled, "
    "p.extend_keys, p.split_after_conversion, h.here, p.status = 'active' "
    "FROM citadel.lifecycle_policy p "
    "CROSS JOIN LATERAL (SELECT p.home_system = $2 AND p.home_database = (SELECT d.oid FROM pg_database d "
    "                    WHERE d.datname = current_database()) AS here) h "
    "LEFT JOIN pg_class c ON c.relkind IN ('r', 'p') AND c.oid = CASE WHEN h.here THEN p.relation_oid ELSE "
    "  (SELECT k.oid FROM pg_class k JOIN pg_namespace m ON m.oid = k.relnamespace "
    "   WHERE m.nspname = p.schema_name AND k.relname = p.relation_name) END "
    "LEFT JOIN pg_namespace n ON n.oid = c.relnamespace "
    "WHERE $1::bigint[] IS NULL OR p.policy_id = ANY ($1) ORDER BY p.policy_id";

StoredPolicy read_row(const pg::Rows& rows, std::size_t i) {
    StoredPolicy stored;
    Policy& policy = stored.policy;
    std::size_t c = 0;
    policy.id = rows.int64(i, c++);
    policy.version = static_cast<std::int32_t>(rows.int64(i, c++));
    stored.gone = rows.is_null(i, c);
    policy.relation = rows.oid(i, c++);
    policy.owner = rows.oid(i, c++);
    policy.schema = rows.text(i, c++);
    policy.name = rows.text(i, c++);
    stored.stored_schema = rows.text(i, c++);
    stored.stored_name = rows.text(i, c++);
    policy.column = rows.text(i, c++);
    policy.kind = kind_from_name(rows.text(i, c++));
    const std::string& mode = rows.text(i, c++);
    policy.mode = mode == "convert" ? TableMode::convert : mode == "keep" ? TableMode::keep : TableMode::partitioned;
    policy.interval_text = rows.text(i, c++);
    policy.premake = static_cast<std::int32_t>(rows.int64(i, c++));
    policy.retain_text = rows.text(i, c++);
    const std::string& expiry = rows.text(i, c++);
    policy.on_expiry = expiry == "drop" ? OnExpiry::drop : expiry == "detach" ? OnExpiry::detach : OnExpiry::archive;
    policy.archive_to = rows.text(i, c++);
    policy.archive_tablespace = rows.text(i, c++);
    policy.quarantine_us = rows.int64(i, c++);
    policy.time_zone = rows.text(i, c++);
    if (!rows.is_null(i, c))
        policy.default_partition = rows.boolean(i, c);
    ++c;
    policy.allowed_hours = rows.text(i, c++);
    policy.create_enabled = rows.boolean(i, c++);
    policy.detach_enabled = rows.boolean(i, c++);
    policy.archive_enabled = rows.boolean(i, c++);
    policy.drop_enabled = rows.boolean(i, c++);
    policy.extend_keys = rows.boolean(i, c++);
    policy.split_after_conversion = rows.boolean(i, c++);
    policy.at_home = rows.boolean(i, c++);
    stored.active = rows.boolean(i, c++);
    if (stored.gone) {
        policy.schema = stored.stored_schema;
        policy.name = stored.stored_name;
    }
    stored.renamed = policy.schema != stored.stored_schema || policy.name != stored.stored_name;
    return stored;
}

// The checks that creating made, again: the row may come from a dump, and the table may have changed since.
void interpret(StoredPolicy& stored) {
    Policy& policy = stored.policy;
    const auto error = pg::try_subtransaction([&] {
        policy.interval = parse_span(policy.interval_text, policy.kind, "partition_interval");
        if (!policy.retain_text.empty())
            policy.retain = parse_span(policy.retain_text, policy.kind, "retain");
        (void)make_zone(policy.time_zone);
        if (stored.gone)
            return;
        if (kind_of_type(column_type(policy.relation, policy.column)) != policy.kind)
            pg::raise(ERRCODE_UNDEFINED_COLUMN,
                      "column \"" + policy.column + "\" of table " + policy.schema + "." + policy.name +
                          " is gone or has another type",
                      {}, "Make the policy again for the column that the table has now.");
    });
    if (error)
        stored.error = error->what();
}

// What was being expired from it, and has not been archived yet, stays: as tables that can be written to again.
void end_expiries(pg::Spi& spi, std::int64_t policy_id) {
    const pg::Rows open =
        spi.query("SELECT o.operation_id, c.oid, o.detail->>'privileges', o.archive_id FROM "
                  "citadel.lifecycle_operation o LEFT JOIN pg_class c ON c.oid = o.subject_oid WHERE o.policy_id = $1 "
                  "AND o.kind <> 'restore' AND o.finished_at IS NULL",
                  {pg::arg(policy_id)});
    for (std::size_t i = 0; i < open.size(); ++i) {
        if (!open.is_null(i, 3))
            archive::give_up(open.int64(i, 3));
        if (!open.is_null(i, 1))
            open_to_writers(open.oid(i, 1), open.text(i, 2));
        spi.execute("UPDATE citadel.lifecycle_operation SET state = 'cancelled', finished_at = $2, updated_at = $2, "
                    "last_error = 'the table was dropped' WHERE operation_id = $1",
                    {pg::arg(open.int64(i, 0)), pg::arg_timestamptz(pg::now())});
    }
}

} // namespace

std::string relation_name(const Policy& policy) {
    return pg::quote_identifier(policy.schema) + "." + pg::quote_identifier(policy.name);
}

const char* expiry_name(OnExpiry on_expiry) {
    return on_expiry == OnExpiry::archive ? "archive" : on_expiry == OnExpiry::detach ? "detach" : "drop";
}

std::int64_t system_identifier() {
    return static_cast<std::int64_t>(GetSystemIdentifier());
}

std::vector<StoredPolicy> load_policies(const std::vector<std::int64_t>& ids) {
    std::string list = "{";
    for (const std::int64_t id : ids)
        list += (list.size() > 1 ? "," : "") + std::to_string(id);
    pg::Rows rows;
    {
        pg::Spi spi;
        rows = spi.query(select_policies, {ids.empty() ? pg::null(INT8ARRAYOID) : pg::arg_as(INT8ARRAYOID, list + "}"),
                                           pg::arg(system_identifier())});
    }
    std::vector<StoredPolicy> policies;
    for (std::size_t i = 0; i < rows.size(); ++i) {
        policies.push_back(read_row(rows, i));
        interpret(policies.back());
    }
    return policies;
}

void note_new_name(const StoredPolicy& stored) {
    partman::rename(stored.stored_schema, stored.stored_name, stored.policy.schema, stored.policy.name);
    pg::Spi spi;
    spi.execute("UPDATE citadel.lifecycle_policy SET relation_oid = $2, schema_name = $3, relation_name = $4 "
                "WHERE policy_id = $1",
                {pg::arg(stored.policy.id), pg::arg_oid(stored.policy.relation), pg::arg(stored.policy.schema),
                 pg::arg(stored.policy.name)});
}

void suspend_gone(const StoredPolicy& stored) {
    partman::forget(stored.stored_schema, stored.stored_name);
    pg::Spi spi;
    if (stored.policy.at_home) // in a copy the OIDs may be those of other tables
        end_expiries(spi, stored.policy.id);
    spi.execute("UPDATE citadel.lifecycle_policy SET status = 'suspended', suspended_reason = 'its table was dropped' "
                "WHERE policy_id = $1 AND status = 'active'",
                {pg::arg(stored.policy.id)});
    audit::Entry entry;
    entry.action = "suspend_policy";
    entry.subject_schema = stored.stored_schema;
    entry.subject_name = stored.stored_name;
    entry.policy_id = stored.policy.id;
    entry.policy_version = stored.policy.version;
    entry.reason = "its table was dropped";
    audit::append(entry);
}

} // namespace citadel::lifecycle
