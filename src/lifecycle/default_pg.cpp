#include "lifecycle/default_pg.hpp"

#include "audit/audit.hpp"
#include "jobs/jobs.hpp"
#include "lifecycle/archive_pg.hpp"
#include "lifecycle/create_pg.hpp"
#include "lifecycle/facts_pg.hpp"
#include "lifecycle/key_pg.hpp"
#include "lifecycle/ladder_pg.hpp"
#include "lifecycle/lifecycle.hpp"
#include "lifecycle/operation_pg.hpp"
#include "lifecycle/plain_parts_pg.hpp"
#include "lifecycle/policy_pg.hpp"
#include "pg/clock.hpp"
#include "pg/fault.hpp"
#include "pg/write_as.hpp"

namespace citadel::lifecycle {

namespace {

constexpr int pages_per_batch = 256;           // 2 MB
constexpr std::int64_t copied_at_once = 20000; // rows that may be copied again under the lock

Oid default_of(const Policy& policy) {
    pg::Spi spi;
    const pg::Rows rows =
        spi.query("SELECT partdefid FROM pg_partitioned_table WHERE partrelid = $1", {pg::arg_oid(policy.relation)});
    return rows.empty() ? InvalidOid : rows.oid(0, 0);
}

struct Move {
    const Policy& policy;
    Place lower, upper;
    std::int64_t operation = 0;
    Oid fallback = InvalidOid;
    Oid table = InvalidOid;
    std::string where, columns;

    std::uint64_t as_owner(const std::string& sql) const { return pg::execute_as(policy.owner, {sql}); }
    ContentHash hash(Oid relation, const std::string& condition) const {
        const pg::RoleScope owner(policy.owner);
        return archive::hash_relation(relation, condition);
    }
    std::string insert(const std::string& more) const {
        return "INSERT INTO " + pg::qualified_name(table) + " (" + columns + ") OVERRIDING SYSTEM VALUE SELECT " +
               columns + " FROM " + pg::qualified_name(fallback) + " WHERE " + where + more;
    }
};

// The table that rows are collected in: the one of an interrupted run, emptied, or a new one.
void open_operation(Move& move) {
    pg::Spi spi;
    const pg::Rows there = spi.query(
        "SELECT o.operation_id, c.oid FROM citadel.lifecycle_operation o LEFT JOIN pg_class c ON c.oid = o.subject_oid "
        "WHERE o.kind = 'default_rows' AND o.policy_id = $1 AND o.finished_at IS NULL AND o.detail->>'lower' = $2 AND "
        "o.detail->>'upper' = $3",
        {pg::arg(move.policy.id), pg::arg(std::to_string(move.lower)), pg::arg(std::to_string(move.upper))});
    if (!there.empty()) {
        move.operation = there.int64(0, 0);
        move.table = there.oid(0, 1);
        if (move.table != InvalidOid) {
            move.as_owner("TRUNCATE ONLY " + pg::qualified_name(move.table));
            return;
        }
        spi.execute(
            "UPDATE citadel.lifecycle_operation SET state = 'cancelled', finished_at = $2 WHERE operation_id = $1",
            {pg::arg(move.operation), pg::arg_timestamptz(pg::now())});
    }
    move.table = make_table_like(move.policy, partition_name(move.policy, move.lower));
    move.operation =
        spi.query(
               "INSERT INTO citadel.lifecycle_operation (policy_id, kind, subject_oid, subject_schema, subject_name, "
               "lower_bound, upper_bound, state, started_at, updated_at, detail) SELECT $1, 'default_rows', c.oid, "
               "n.nspname, c.relname, $3, $4, 'copying', $5, $5, jsonb_build_object('lower', $6::bigint, 'upper', "
               "$7::bigint) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = $2 "
               "RETURNING operation_id",
               {pg::arg(move.policy.id), pg::arg_oid(move.table), pg::arg(place_text(move.lower, move.policy)),
                pg::arg(place_text(move.upper, move.policy)), pg::arg_timestamptz(pg::now()), pg::arg(move.lower),
                pg::arg(move.upper)})
            .int64(0, 0);
}

// Batches of pages. Rows that change meanwhile are noticed by the comparison at the end.
void copy_in_batches(const Move& move) {
    std::int64_t pages = 0;
    {
        pg::Spi spi;
        pages = spi.query("SELECT pg_relation_size($1::regclass) / current_setting('block_size')::int",
                          {pg::arg(pg::qualified_name(move.fallback))})
                    .int64(0, 0);
    }
    for (std::int64_t page = 0; page < pages; page += pages_per_batch) {
        move.as_owner(move.insert(" AND ctid >= '(" + std::to_string(page) + ",0)' AND ctid < '(" +
                                  std::to_string(page + pages_per_batch) + ",0)'"));
        pg::fault_point("lifecycle_default_copy");
        jobs::checkpoint();
    }
}

// Rows that are referenced cannot be deleted, or take those that refer to them with them.
void refuse_foreign_keys(const Policy& policy) {
    pg::Spi spi;
    const pg::Rows rows = spi.query("SELECT conname, conrelid::regclass FROM pg_constraint WHERE contype = 'f' AND "
                                    "confrelid = $1 LIMIT 1",
                                    {pg::arg_oid(policy.relation)});
    if (!rows.empty())
        pg::raise(ERRCODE_FEATURE_NOT_SUPPORTED, "rows of the default partition cannot be moved: foreign key " +
                                                     rows.text(0, 0) + " of table " + rows.text(0, 1) +
                                                     " points at the table");
}

// Rows move within the table, so its triggers do not hear of it. Nobody else sees them switched off: the partition is
// locked.
void delete_quietly(const Move& move) {
    const std::string table = pg::qualified_name(move.fallback);
    pg::Rows triggers;
    {
        pg::Spi spi;
        triggers =
            spi.query("SELECT quote_ident(tgname), CASE tgenabled WHEN 'A' THEN 'ALWAYS ' WHEN 'R' THEN 'REPLICA ' "
                      "ELSE '' END FROM pg_trigger WHERE tgrelid = $1 AND NOT tgisinternal AND tgenabled <> 'D'",
                      {pg::arg_oid(move.fallback)});
    }
    for (std::size_t i = 0; i < triggers.size(); ++i)
        move.as_owner("ALTER TABLE ONLY " + table + " DISABLE TRIGGER " + triggers.text(i, 0));
    move.as_owner("DELETE FROM ONLY " + table + " WHERE " + move.where);
    for (std::size_t i = 0; i < triggers.size(); ++i)
        move.as_owner("ALTER TABLE ONLY " + table + " ENABLE " + triggers.text(i, 1) + "TRIGGER " +
                      triggers.text(i, 0));
}

} // namespace

std::int64_t move_default_rows(const Policy& policy, Place lower, Place upper, std::int64_t& operation_id) {
    Move move{policy, lower, upper, 0, default_of(policy), InvalidOid, plain::range_condition(policy, lower, upper),
              {}};
    if (move.fallback == InvalidOid)
        return 0;
    refuse_foreign_keys(policy);
    open_operation(move);
    operation_id = move.operation;
    move.columns = plain::writable_columns(move.table, plain::Generated::left_out);
    jobs::checkpoint();
    pg::fault_point("lifecycle_default_start");
    copy_in_batches(move);
    std::int64_t moved = 0;
    climb(relation_name(policy), [&] {
        {
            pg::Spi spi;
            spi.execute("LOCK TABLE ONLY " + relation_name(policy) + " IN SHARE UPDATE EXCLUSIVE MODE");
            spi.execute("LOCK TABLE ONLY " + pg::qualified_name(move.fallback) + " IN ACCESS EXCLUSIVE MODE");
        }
        const ContentHash there = move.hash(move.fallback, move.where);
        if (there != move.hash(move.table, "")) {
            // Rows changed while they were copied. What is small is copied again while nobody can change it.
            if (there.rows > copied_at_once)
                pg::raise(ERRCODE_T_R_SERIALIZATION_FAILURE,
                          "rows of the default partition changed while they were copied", {},
                          "The next run tries again.");
            move.as_owner("TRUNCATE ONLY " + pg::qualified_name(move.table));
            move.as_owner(move.insert(""));
            if (there != move.hash(move.table, ""))
                pg::raise(ERRCODE_DATA_CORRUPTED, "the copy of rows of the default partition differs from them");
        }
        delete_quietly(move);
        pg::fault_point("lifecycle_default_delete");
        attach(policy, move.table, lower, upper);
        give_parents_properties(policy.relation, move.table);
        operation::set_state(operation::read(move.operation), "done");
        audit::Entry entry = audit::about("move_default_rows", move.table);
        entry.actor = job_actor;
        entry.policy_id = policy.id;
        entry.policy_version = policy.version;
        entry.lower_bound = place_text(lower, policy);
        entry.upper_bound = place_text(upper, policy);
        entry.rows = there.rows;
        entry.checksum = there.hex();
        audit::append(entry);
        moved = there.rows;
    });
    pg::fault_point("lifecycle_default_done");
    return moved;
}

bool drop_default(const Policy& policy) {
    bool dropped = false;
    climb(relation_name(policy), [&] {
        const Oid fallback = default_of(policy);
        if (fallback == InvalidOid)
            return;
        const std::string name = pg::qualified_name(fallback);
        pg::write_as(policy.owner, [&](pg::Spi& spi) {
            spi.execute("LOCK TABLE ONLY " + relation_name(policy) + " IN ACCESS EXCLUSIVE MODE");
            spi.execute("LOCK TABLE ONLY " + name + " IN ACCESS EXCLUSIVE MODE");
            dropped = spi.query("SELECT 1 FROM " + name + " LIMIT 1").empty();
            if (dropped)
                spi.execute("DROP TABLE " + name);
        });
    });
    return dropped;
}

} // namespace citadel::lifecycle
