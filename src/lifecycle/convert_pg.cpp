// A plain table becomes a partitioned one while it is in use.
//
// planned -> checking (a CHECK that is NOT VALID: quick) -> validating (reads the table, blocks nobody) -> keys (longer
// unique indexes, concurrently) -> swapping -> done; cancelling -> cancelled. Up to the swap the table is what it was,
// with one constraint more; the swap is one transaction.
#include "pg/server.hpp"

#include "audit/audit.hpp"
#include "jobs/jobs.hpp"
#include "lifecycle/key_pg.hpp"
#include "lifecycle/ladder_pg.hpp"
#include "lifecycle/plain_parts_pg.hpp"
#include "lifecycle/plain_pg.hpp"
#include "lifecycle/swap_pg.hpp"
#include "pg/clock.hpp"
#include "pg/fault.hpp"
#include "pg/write_as.hpp"

#include <algorithm>

namespace citadel::lifecycle::plain {

namespace {

class Conversion : Task {
  public:
    Conversion(const Policy& policy, const Zone& zone, operation::Row row)
        : Task(policy, zone, std::move(row), "convert"), column_(pg::quote_identifier(policy.column)),
          check_("citadel_conversion_" + std::to_string(row_.id)) {}

    void run() {
        if (row_.state == "cancelling")
            return cancel();
        if (row_.state == "planned")
            add_check();
        if (row_.state == "checking" || row_.state == "validating")
            validate();
        if (row_.state == "keys")
            build_keys();
        if (row_.state == "swapping")
            swap_tables();
    }

  private:
    Place first_bound();
    void add_check();
    void validate();
    std::map<Oid, std::string> longer_keys();
    void build_keys();
    void swap_tables();
    void cancel();

    std::string column_, check_;
};

// Where the first partition ends: after all rows, and so far ahead that nobody inserts beyond it while the conversion
// lasts. At least one whole period.
Place Conversion::first_bound() {
    const pg::RoleScope owner(policy_.owner);
    pg::Spi spi;
    if (!spi.query("SELECT 1 FROM pg_attribute WHERE attrelid = $1 AND attname = $2 AND NOT attnotnull",
                   {pg::arg_oid(policy_.relation), pg::arg(policy_.column)})
             .empty() &&
        !spi.query("SELECT 1 FROM ONLY " + table_ + " WHERE " + column_ + " IS NULL LIMIT 1").empty())
        pg::raise(ERRCODE_NOT_NULL_VIOLATION, "column " + column_ + " of " + table_ + " has NULLs", {},
                  "Give these rows a value, or keep the table plain: rows without one are then left where they are.");
    std::string newest = policy_.kind == ColumnKind::integer ? "max(" + column_ + ")::bigint"
                         : policy_.kind == ColumnKind::date
                             ? "CASE WHEN isfinite(max(" + column_ + ")) THEN (max(" + column_ +
                                   ") - '2000-01-01'::date)::bigint * 86400000000 END, max(" + column_ +
                                   ") = 'infinity'"
                             : "CASE WHEN isfinite(max(" + column_ + ")) THEN (extract(epoch FROM max(" + column_ +
                                   ") - '2000-01-01 00:00:00" +
                                   (policy_.kind == ColumnKind::timestamptz ? "+00'::timestamptz" : "'::timestamp") +
                                   ") * 1000000)::bigint END, max(" + column_ + ") = 'infinity'";
    const pg::Rows rows = spi.query("SELECT " + newest + " FROM ONLY " + table_);
    if (policy_.kind != ColumnKind::integer && rows.boolean(0, 1))
        pg::raise(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE, "column " + column_ + " of " + table_ + " has an infinite value",
                  {}, "No partition with an end can hold it. Give these rows another value.");
    Place place = rows.is_null(0, 0) ? 0 : rows.int64(0, 0);
    if (policy_.kind != ColumnKind::integer) {
        const Place now = policy_.kind == ColumnKind::timestamptz ? pg::now() : zone_.to_local(pg::now());
        place = rows.is_null(0, 0) ? now : std::max(place, now);
    }
    return period_of(policy_, zone_, period_of(policy_, zone_, place).second).second;
}

void Conversion::add_check() {
    if (const std::string obstacle = convert_obstacle(policy_); !obstacle.empty())
        pg::raise(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, table_ + " cannot be partitioned: " + obstacle);
    const Place upper = first_bound();
    if (upper == open_high)
        pg::raise(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE,
                  "the values of " + column_ + " leave no room for a next partition");
    climb(table_, [&] {
        stop_if_cancelled();
        as_owner({"ALTER TABLE " + table_ + " ADD CONSTRAINT " + pg::quote_identifier(check_) + " CHECK (" + column_ +
                  " IS NOT NULL AND " + column_ + " < '" + place_text(upper, policy_) + "') NOT VALID"});
        operation::set_detail(row_, "upper", std::to_string(upper));
        audit::append(entry(audit::outcome::started));
        pg::fault_point("lifecycle_convert_check");
        enter("checking");
    });
    pg::fault_point("lifecycle_convert_checked");
}

void Conversion::validate() {
    climb(table_, [&] {
        stop_if_cancelled();
        as_owner({"ALTER TABLE " + table_ + " VALIDATE CONSTRAINT " + pg::quote_identifier(check_)});
        pg::fault_point("lifecycle_convert_validate");
        enter("keys");
    });
    pg::fault_point("lifecycle_convert_validated");
}

// Unique indexes without the time column, and the index that is to take the place of each.
std::map<Oid, std::string> Conversion::longer_keys() {
    std::map<Oid, std::string> keys;
    pg::Spi spi;
    const pg::Rows rows = spi.query(
        "SELECT i.indexrelid FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attname = $2 WHERE "
        "i.indrelid = $1 AND i.indisunique AND NOT a.attnum = ANY ((i.indkey::int2[])[0:i.indnkeyatts - 1])",
        {pg::arg_oid(policy_.relation), pg::arg(policy_.column)});
    for (std::size_t i = 0; i < rows.size(); ++i)
        keys[rows.oid(i, 0)] = "citadel_key_" + std::to_string(row_.id) + "_" + rows.text(i, 0);
    return keys;
}

void Conversion::build_keys() {
    for (const auto& [key, name] : longer_keys()) {
        std::string columns;
        bool valid = false;
        bool there = false;
        {
            pg::Spi spi;
            columns = spi.query("SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY x.place) FROM pg_index i, "
                                "unnest((i.indkey::int2[])[0:i.indnkeyatts - 1]) WITH ORDINALITY x (attnum, place), "
                                "pg_attribute a WHERE i.indexrelid = $1 AND a.attrelid = i.indrelid AND a.attnum = "
                                "x.attnum",
                                {pg::arg_oid(key)})
                          .text(0, 0);
            const pg::Rows rows = spi.query(
                "SELECT i.indisvalid FROM pg_index i JOIN pg_class k ON k.oid = i.indexrelid WHERE i.indrelid = $1 AND "
                "k.relname = $2",
                {pg::arg_oid(policy_.relation), pg::arg(name)});
            there = !rows.empty();
            valid = there && rows.boolean(0, 0);
        }
        if (valid)
            continue;
        const std::string index = pg::quote_identifier(policy_.schema) + "." + pg::quote_identifier(name);
        if (there) // left by a build that was interrupted
            jobs::run_outside("DROP INDEX CONCURRENTLY " + index);
        pg::fault_point("lifecycle_convert_key");
        jobs::run_outside("CREATE UNIQUE INDEX CONCURRENTLY " + pg::quote_identifier(name) + " ON " + table_ + " (" +
                          columns + ", " + column_ + ")");
    }
    {
        stop_if_cancelled();
        enter("swapping");
        jobs::checkpoint();
    }
    pg::fault_point("lifecycle_convert_keys");
}

void Conversion::swap_tables() {
    Swapped done;
    climb(table_, [&] {
        stop_if_cancelled();
        row_.upper = operation::read(row_.id).upper;
        const Swap swap{policy_, row_.upper, check_, longer_keys()};
        audit::Entry record = entry(audit::outcome::done);
        done = plain::swap(swap);
        pg::Spi spi;
        spi.execute(
            "UPDATE citadel.lifecycle_policy SET relation_oid = $2, table_mode = 'partitioned', updated_at = $3 "
            "WHERE policy_id = $1",
            {pg::arg(policy_.id), pg::arg_oid(done.parent), pg::arg_timestamptz(pg::now())});
        spi.execute("UPDATE citadel.hold SET relation_oid = $2 WHERE relation_oid = $1",
                    {pg::arg_oid(policy_.relation), pg::arg_oid(done.parent)});
        record.reason = "the old table is " + done.partition + ", its first partition";
        record.upper_bound = place_text(row_.upper, policy_);
        audit::append(record);
        operation::set_detail(row_, "lock_ms", std::to_string(static_cast<double>(done.held_us) / 1000));
        pg::fault_point("lifecycle_convert_swap");
        enter("done");
    });
    pg::fault_point("lifecycle_convert_swapped");
    if (policy_.split_after_conversion) {
        Step step;
        step.action = Action::split;
        step.subject = policy_.relation;
        (void)begin(policy_, step);
        jobs::checkpoint();
    }
}

// The table as it was before.
void Conversion::cancel() {
    std::vector<std::string> indexes;
    {
        pg::Spi spi;
        const pg::Rows rows =
            spi.query("SELECT format('%I.%I', n.nspname, k.relname) FROM pg_index i JOIN pg_class k ON k.oid = "
                      "i.indexrelid JOIN pg_namespace n ON n.oid = k.relnamespace WHERE i.indrelid = $1 AND k.relname "
                      "LIKE $2",
                      {pg::arg_oid(policy_.relation), pg::arg("citadel\\_key\\_" + std::to_string(row_.id) + "\\_%")});
        for (std::size_t i = 0; i < rows.size(); ++i)
            indexes.push_back(rows.text(i, 0));
    }
    for (const std::string& index : indexes)
        jobs::run_outside("DROP INDEX CONCURRENTLY IF EXISTS " + index);
    climb(table_, [&] {
        as_owner({"ALTER TABLE " + table_ + " DROP CONSTRAINT IF EXISTS " + pg::quote_identifier(check_)});
        pg::Spi spi;
        spi.execute("UPDATE citadel.lifecycle_policy SET status = 'suspended', suspended_reason = 'its conversion was "
                    "cancelled', updated_at = $2 WHERE policy_id = $1",
                    {pg::arg(policy_.id), pg::arg_timestamptz(pg::now())});
        audit::Entry record = entry(audit::outcome::done);
        record.action = "cancel_conversion";
        audit::append(record);
        pg::fault_point("lifecycle_convert_cancel");
        enter("cancelled");
    });
}

} // namespace

void convert(const Policy& policy, const Zone& zone, operation::Row row) {
    Conversion(policy, zone, std::move(row)).run();
}

} // namespace citadel::lifecycle::plain
