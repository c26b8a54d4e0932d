#include "pg/server.hpp"

#include "lifecycle/operation_pg.hpp"

#include "lifecycle/key_pg.hpp"
#include "pg/clock.hpp"
#include "pg/spi.hpp"

namespace citadel::lifecycle::operation {

namespace {

constexpr const char* columns =
    "operation_id, coalesce(policy_id, 0), kind, state, subject_oid, subject_schema, subject_name, lower_bound, "
    "upper_bound, detail->>'lower', detail->>'upper', detail->>'bound', detail->>'privileges', archive_id, attempts, "
    "(SELECT a.destination FROM citadel.archive_entry a WHERE a.archive_id = lifecycle_operation.archive_id)";

Row row_of(const pg::Rows& rows) {
    Row row;
    row.id = rows.int64(0, 0);
    row.policy_id = rows.int64(0, 1);
    row.kind = rows.text(0, 2);
    row.state = rows.text(0, 3);
    row.subject = rows.oid(0, 4);
    row.schema = rows.text(0, 5);
    row.name = rows.text(0, 6);
    row.lower_text = rows.text(0, 7);
    row.upper_text = rows.text(0, 8);
    row.lower = rows.is_null(0, 9) ? open_low : rows.int64(0, 9);
    row.upper = rows.is_null(0, 10) ? open_high : rows.int64(0, 10);
    row.bound = rows.text(0, 11);
    row.privileges = rows.text(0, 12);
    row.archive_id = rows.int64(0, 13);
    row.attempts = static_cast<std::int32_t>(rows.int64(0, 14));
    row.destination = rows.text(0, 15);
    return row;
}

pg::Arg bound_text(Place place, Place open, const Policy& policy) {
    return place == open ? pg::null() : pg::arg(place_text(place, policy));
}

} // namespace

Row open_expiry(const Policy& policy, std::uint32_t partition, Place lower, Place upper) {
    pg::Spi spi;
    const pg::Rows there = spi.query(std::string("SELECT ") + columns +
                                         " FROM citadel.lifecycle_operation WHERE kind = 'expire' AND subject_oid = $1 "
                                         "AND finished_at IS NULL",
                                     {pg::arg_oid(partition)});
    if (!there.empty())
        return row_of(there);
    return row_of(spi.query(
        std::string("INSERT INTO citadel.lifecycle_operation (policy_id, kind, subject_oid, subject_schema, "
                    "subject_name, lower_bound, upper_bound, started_at, updated_at, detail) "
                    "SELECT $1, 'expire', c.oid, n.nspname, c.relname, $3, $4, $5, $5, jsonb_strip_nulls("
                    "jsonb_build_object('lower', $6::bigint, 'upper', $7::bigint, 'policy_version', $8::int, 'bound', "
                    "pg_get_expr(c.relpartbound, c.oid))) FROM pg_class c JOIN pg_namespace n ON n.oid = "
                    "c.relnamespace WHERE c.oid = $2 RETURNING ") +
            columns,
        {pg::arg(policy.id), pg::arg_oid(partition), bound_text(lower, open_low, policy),
         bound_text(upper, open_high, policy), pg::arg_timestamptz(pg::now()), pg::arg(lower), pg::arg(upper),
         pg::arg(policy.version)}));
}

Row read(std::int64_t id) {
    pg::Spi spi;
    const pg::Rows rows = spi.query(
        std::string("SELECT ") + columns + " FROM citadel.lifecycle_operation WHERE operation_id = $1", {pg::arg(id)});
    if (rows.empty())
        pg::raise(ERRCODE_UNDEFINED_OBJECT, "lifecycle operation " + std::to_string(id) + " is gone");
    return row_of(rows);
}

void set_state(const Row& row, const char* state) {
    pg::Spi spi;
    if (spi.execute("UPDATE citadel.lifecycle_operation SET state = $2, updated_at = $3, attempts = 0, last_error = "
                    "NULL, not_before = NULL, finished_at = CASE WHEN $2 IN ('done', 'undone', 'cancelled') THEN $3 "
                    "END WHERE operation_id = $1 AND finished_at IS NULL AND (state <> 'undoing' OR $4 = 'undoing')",
                    {pg::arg(row.id), pg::arg(state), pg::arg_timestamptz(pg::now()), pg::arg(row.state)}) == 0)
        pg::raise(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
                  "operation " + std::to_string(row.id) + " was taken back or ended meanwhile");
}

void begin_anew(const Row& row) {
    pg::Spi spi;
    spi.execute("UPDATE citadel.lifecycle_operation SET state = 'closed', archive_id = NULL, updated_at = $2, detail = "
                "jsonb_set(detail, '{copies_given_up}', to_jsonb(coalesce((detail->>'copies_given_up')::int, 0) + 1)) "
                "WHERE operation_id = $1 AND finished_at IS NULL AND state <> 'undoing'",
                {pg::arg(row.id), pg::arg_timestamptz(pg::now())});
}

void enter(Row& row, const char* state) {
    set_state(row, state);
    row.state = state;
}

void set_not_before(const Row& row, std::int64_t not_before) {
    pg::Spi spi;
    spi.execute("UPDATE citadel.lifecycle_operation SET not_before = $2 WHERE operation_id = $1",
                {pg::arg(row.id), pg::arg_timestamptz(not_before)});
}

void set_detail(const Row& row, const char* key, const std::string& value) {
    pg::Spi spi;
    spi.execute("UPDATE citadel.lifecycle_operation SET detail = detail || jsonb_build_object($2::text, $3::text) "
                "WHERE operation_id = $1",
                {pg::arg(row.id), pg::arg(key), pg::arg(value)});
}

void set_archive(const Row& row, std::int64_t archive_id) {
    pg::Spi spi;
    spi.execute("UPDATE citadel.lifecycle_operation SET archive_id = nullif($2, 0) WHERE operation_id = $1",
                {pg::arg(row.id), pg::arg(archive_id)});
}

void note_failure(std::int64_t id, const pg::Error& error) {
    pg::Spi spi;
    spi.execute("UPDATE citadel.lifecycle_operation SET attempts = attempts + 1, last_error = $2, not_before = "
                "greatest(not_before, $3::timestamptz + least(interval '1 hour', interval '1 minute' * power(2, "
                "least(greatest(attempts, (detail->>'copies_given_up')::int), 10)))), updated_at = $3 WHERE "
                "operation_id = $1 AND finished_at IS NULL",
                {pg::arg(id), pg::arg(error.what()), pg::arg_timestamptz(pg::now())});
}

} // namespace citadel::lifecycle::operation
