// A plain table that is kept plain: the rows of a period that has expired are moved, batch by batch, into a table of
// their own, which is then archived like a partition that was detached.
//
// planned -> moving -> indexing -> done. Each batch is one transaction: its rows leave one table and enter the other,
// or neither. The indexes of the new table are built once, when it is full: that is what makes this faster than
// inserting into an archive that has them.
#include "pg/server.hpp"

#include "audit/audit.hpp"
#include "jobs/jobs.hpp"
#include "lifecycle/brake_pg.hpp"
#include "lifecycle/create_pg.hpp"
#include "lifecycle/expire_pg.hpp"
#include "lifecycle/holds_pg.hpp"
#include "lifecycle/key_pg.hpp"
#include "lifecycle/ladder_pg.hpp"
#include "lifecycle/plain_parts_pg.hpp"
#include "lifecycle/plan.hpp"
#include "lifecycle/throttle.hpp"
#include "pg/clock.hpp"
#include "pg/fault.hpp"
#include "pg/name.hpp"
#include "pg/relation.hpp"
#include "pg/write_as.hpp"
#include "settings/settings.hpp"

#include <algorithm>

namespace citadel::lifecycle::plain {

namespace {

class Mover : Task {
  public:
    Mover(const Policy& policy, const Zone& zone, operation::Row row)
        : Task(policy, zone, std::move(row), "move_rows"), column_(pg::quote_identifier(policy.column)) {}

    bool run() {
        if (row_.state == "planned")
            prepare();
        if (row_.state == "moving" && !move() && operation::read(row_.id).state != "cancelling")
            return false;
        // Somebody cancelled it: what was collected so far is archived, the rest stays.
        if (row_.state == "cancelling" || operation::read(row_.id).state == "cancelling") {
            cancelled_ = true;
            row_.state = "indexing"; // stays `cancelling` on disk until the end
        }
        if (row_.state == "indexing")
            finish();
        return !cancelled_;
    }

  private:
    void prepare();
    bool move();
    bool fits() const;
    void refuse_to_end_with_nothing() const;
    std::string collecting_name() const;
    std::int64_t batch();
    std::string batch_statement(const std::string& rest) const;
    void build_indexes();
    void finish();

    std::string column_;
    Oid staging_ = InvalidOid;
    std::string cursor_; // with an index: the last time that was moved
    bool by_index_ = false;
    std::int64_t page_ = 0; // without one: where the next batch begins
    std::int64_t pages_ = 0;
    bool cancelled_ = false;
};

bool keeps_rows(const Policy& policy) {
    return policy.on_expiry != OnExpiry::drop;
}

std::int64_t detail_number(std::int64_t operation, const char* key) {
    pg::Spi spi;
    const pg::Rows rows =
        spi.query("SELECT (detail->>$2::text)::bigint FROM citadel.lifecycle_operation WHERE operation_id = $1",
                  {pg::arg(operation), pg::arg(key)});
    return rows.empty() ? 0 : rows.int64(0, 0);
}

// A name that no archive has either: rows of one period may be moved more than once.
std::string Mover::collecting_name() const {
    std::string base = partition_name(policy_, row_.lower);
    pg::Spi spi;
    if (spi.query("SELECT 1 FROM pg_class WHERE relname = $1", {pg::arg(base)}).empty())
        return base;
    return pg::fitting_name(base, "_" + std::to_string(row_.id));
}

// The table that collects the rows: columns and nothing else, so that no code of the owner runs while it is made. His
// privileges alone; others read it as an archive.
void Mover::prepare() {
    climb(table_, [this] {
        if (keeps_rows(policy_)) {
            const std::string name =
                pg::quote_identifier(policy_.schema) + "." + pg::quote_identifier(collecting_name());
            pg::Spi spi;
            spi.execute("CREATE TABLE " + name + " (LIKE " + table_ +
                        " INCLUDING STORAGE INCLUDING COMPRESSION INCLUDING COMMENTS)");
            spi.execute("ALTER TABLE " + name + " OWNER TO " + pg::role_name(policy_.owner));
            const Oid made = spi.query("SELECT $1::regclass::oid", {pg::arg(name)}).oid(0, 0);
            operation::set_detail(row_, "staging", std::to_string(made));
            operation::set_detail(row_, "staging_name", name);
        }
        audit::append(entry(audit::outcome::started));
        pg::fault_point("lifecycle_move_prepare");
        enter("moving");
    });
    pg::fault_point("lifecycle_move_prepared");
}

// `rest` picks the rows: a condition that is looked at again for the version of a row that is really deleted.
std::string Mover::batch_statement(const std::string& rest) const {
    const std::string columns = writable_columns(policy_.relation, Generated::given);
    std::string sql = "WITH " + rest;
    if (keeps_rows(policy_))
        sql += " RETURNING " + columns + "), put AS (INSERT INTO " + pg::qualified_name(staging_) + " (" + columns +
               ") SELECT " + columns +
               " FROM moved RETURNING 1) SELECT (SELECT count(*) FROM moved), "
               "(SELECT count(*) FROM put)";
    else
        sql += " RETURNING 1) SELECT (SELECT count(*) FROM moved), (SELECT count(*) FROM moved)";
    return sql;
}

// Whether every column of the table has its like in the table that collects.
bool Mover::fits() const {
    pg::Spi spi;
    return spi
        .query("SELECT NOT EXISTS (SELECT attname, atttypid, atttypmod FROM pg_attribute WHERE attrelid = $1 AND "
               "attnum > 0 AND NOT attisdropped EXCEPT SELECT attname, atttypid, atttypmod FROM pg_attribute WHERE "
               "attrelid = $2 AND attnum > 0 AND NOT attisdropped)",
               {pg::arg_oid(policy_.relation), pg::arg_oid(staging_)})
        .boolean(0, 0);
}

// One batch in the current transaction; the rows moved, -1 when there are no more.
std::int64_t Mover::batch() {
    lock_holds();
    const std::string held = held_condition(policy_);
    std::string condition = range_condition(policy_, row_.lower, row_.upper);
    if (!held.empty())
        condition += " AND NOT (" + held + ")";
    std::string sql;
    const std::int64_t size = throttle_.rows();
    if (by_index_) {
        const std::string from = cursor_.empty() ? "" : " AND " + column_ + " >= " + pg::quote_literal(cursor_);
        sql = batch_statement("picked AS MATERIALIZED (SELECT ctid AS place, " + column_ + " AS at FROM ONLY " +
                              table_ + " WHERE " + condition + from + " ORDER BY " + column_ + " LIMIT " +
                              std::to_string(size) + "), moved AS (DELETE FROM ONLY " + table_ +
                              " WHERE ctid = ANY (ARRAY(SELECT place FROM picked)) AND " + condition);
        sql += ", (SELECT count(*) FROM picked), (SELECT max(at) FROM picked)";
    } else {
        if (page_ >= pages_)
            return -1;
        const std::int64_t end = page_ + size;
        sql = batch_statement("moved AS (DELETE FROM ONLY " + table_ + " WHERE ctid >= '(" + std::to_string(page_) +
                              ",0)' AND ctid < '(" + std::to_string(end) + ",0)' AND " + condition);
    }
    std::int64_t moved = 0;
    std::int64_t put = 0;
    std::int64_t picked = 1;
    std::string last;
    pg::write_as(policy_.owner, [&](pg::Spi& spi) {
        const pg::Rows rows = spi.query(sql);
        moved = rows.int64(0, 0);
        put = rows.int64(0, 1);
        if (by_index_) {
            picked = rows.int64(0, 2);
            last = rows.text(0, 3);
        }
    });
    if (moved != put)
        pg::raise(ERRCODE_DATA_CORRUPTED,
                  std::to_string(moved) + " rows left " + table_ + " and " + std::to_string(put) +
                      " arrived: the batch is rolled back",
                  {}, "A trigger or rule of the collecting table or of " + table_ + " interferes.");
    // Its lock keeps the table as it is until the transaction ends: values must not be cast on their way.
    if (keeps_rows(policy_) && !fits())
        pg::raise(ERRCODE_DATATYPE_MISMATCH, table_ + " was altered while its rows were moved", {},
                  "The next run archives what was collected, and goes on.");
    if (moved > 0) {
        pg::Spi spi;
        spi.execute("UPDATE citadel.lifecycle_operation SET detail = jsonb_set(detail, '{moved}', "
                    "to_jsonb(coalesce((detail->>'moved')::bigint, 0) + $2)), updated_at = $3, attempts = 0, "
                    "last_error = NULL WHERE operation_id = $1",
                    {pg::arg(row_.id), pg::arg(moved), pg::arg_timestamptz(pg::now())});
    }
    pg::fault_point("lifecycle_move_batch");
    jobs::checkpoint();
    if (by_index_) {
        // Rows that a trigger keeps are picked again and again.
        if (picked == 0 || (moved == 0 && last == cursor_))
            return -1;
        cursor_ = last;
    } else {
        page_ += size;
    }
    return by_index_ ? picked : size;
}

// Where nothing could be moved although there are rows, a trigger keeps them: the periods behind this one have to wait,
// and somebody has to know.
void Mover::refuse_to_end_with_nothing() const {
    if (detail_number(row_.id, "moved") > 0)
        return;
    const std::string held = held_condition(policy_);
    const std::string condition = range_condition(policy_, row_.lower, row_.upper);
    const pg::RoleScope owner(policy_.owner);
    pg::Spi spi;
    if (!spi.query("SELECT 1 FROM ONLY " + table_ + " WHERE " + condition +
                   (held.empty() ? std::string() : " AND NOT (" + held + ")") + " LIMIT 1")
             .empty())
        pg::raise(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
                  "no expired row of " + table_ + " can be moved: a trigger keeps them", {},
                  "Let the trigger go, or end it with citadel.cancel_operation(" + std::to_string(row_.id) + ").");
}

bool Mover::move() {
    staging_ = static_cast<Oid>(detail_number(row_.id, "staging"));
    by_index_ = !time_index(policy_).empty();
    {
        pg::Spi spi;
        if (staging_ != InvalidOid &&
            spi.query("SELECT 1 FROM pg_class WHERE oid = $1", {pg::arg_oid(staging_)}).empty())
            pg::raise(ERRCODE_UNDEFINED_TABLE,
                      "the table that collected the expired rows of " + table_ + " was dropped", {},
                      "citadel.cancel_operation(" + std::to_string(row_.id) + ") ends the operation.");
        pages_ = spi.query("SELECT pg_relation_size($1) / current_setting('block_size')::int",
                           {pg::arg_oid(policy_.relation)})
                     .int64(0, 0) +
                 1;
    }
    if (!by_index_)
        throttle_ = paced_by_blocks();
    // Where table or policy are others than when this began, it ends with what was collected; the rest is another's
    // work.
    const bool other = keeps_rows(policy_) && (staging_ == InvalidOid || !fits());
    if (!other && !pace([this] { return batch(); }))
        return false;
    // Unless it was cancelled in this moment.
    if (operation::read(row_.id).state == "cancelling")
        return false;
    if (!other)
        refuse_to_end_with_nothing();
    note_batches();
    enter("indexing");
    jobs::checkpoint();
    pg::fault_point("lifecycle_move_moved");
    return true;
}

// The indexes of the table, for whoever reads its old rows. Those that are there already were built by a run that did
// not get to the end. As the owner: an index may run his functions.
void Mover::build_indexes() {
    pg::Rows wanted;
    {
        pg::Spi spi;
        wanted = spi.query(
            "SELECT CASE WHEN i.indisunique THEN 'UNIQUE ' ELSE '' END, d.def FROM pg_index i "
            "JOIN pg_class k ON k.oid = i.indexrelid CROSS JOIN LATERAL (SELECT substr(pg_get_indexdef(k.oid), "
            "length(format('CREATE %sINDEX %I ON %s ', CASE WHEN i.indisunique THEN 'UNIQUE ' ELSE '' END, k.relname, "
            "$3::text)) + 1) AS def) d WHERE i.indrelid = $1 AND i.indisvalid AND NOT i.indisexclusion AND NOT EXISTS "
            "(SELECT FROM pg_index s JOIN pg_class sk ON sk.oid = s.indexrelid WHERE s.indrelid = $2 AND "
            "right(pg_get_indexdef(sk.oid), length(d.def)) = d.def) "
            "AND has_schema_privilege($4::oid, k.relnamespace, 'CREATE') ORDER BY k.oid",
            {pg::arg_oid(policy_.relation), pg::arg_oid(staging_), pg::arg(table_), pg::arg_oid(policy_.owner)});
    }
    for (std::size_t i = 0; i < wanted.size(); ++i) {
        pg::execute_as(policy_.owner, {"CREATE " + wanted.text(i, 0) + "INDEX ON " + pg::qualified_name(staging_) +
                                       " " + wanted.text(i, 1)});
        jobs::checkpoint();
        pg::fault_point("lifecycle_move_indexed");
    }
}

void Mover::finish() {
    staging_ = static_cast<Oid>(detail_number(row_.id, "staging"));
    // A copy on another server or in a file needs none.
    const bool stays = policy_.on_expiry == OnExpiry::detach || policy_.archive_to.rfind("schema", 0) == 0;
    if (staging_ != InvalidOid && stays && fits())
        build_indexes();
    const std::int64_t moved = detail_number(row_.id, "moved");
    audit::Entry record = entry(audit::outcome::done);
    record.rows = moved;
    std::int64_t expiry = 0;
    if (staging_ != InvalidOid) {
        record.reason = "into " + pg::qualified_name(staging_);
        if (moved == 0) {
            pg::Spi spi;
            spi.execute("DROP TABLE " + pg::qualified_name(staging_)); // all rows are held, or are gone
        } else {
            const operation::Row next = operation::open_expiry(policy_, staging_, row_.lower, row_.upper);
            operation::set_state(next, "detached");
            expiry = next.id;
        }
    } else {
        record.reason = "deleted: the policy says drop";
    }
    audit::append(record);
    if (cancelled_) {
        pg::Spi spi;
        spi.execute(
            "UPDATE citadel.lifecycle_policy SET status = 'suspended', suspended_reason = 'its batched move was "
            "cancelled', updated_at = $2 WHERE policy_id = $1",
            {pg::arg(policy_.id), pg::arg_timestamptz(pg::now())});
    }
    enter("done");
    pg::fault_point("lifecycle_move_finish");
    jobs::checkpoint();
    pg::fault_point("lifecycle_move_finished");
    if (expiry == 0)
        return;
    for (const Action action : {Action::close_to_writers, Action::archive, Action::verify, Action::drop}) {
        Step step;
        step.action = action;
        step.operation_id = expiry;
        step.subject = staging_;
        take_expiry_step(policy_, zone_, step, expiry);
    }
}

} // namespace

bool move_rows(const Policy& policy, const Zone& zone, operation::Row row) {
    return Mover(policy, zone, std::move(row)).run();
}

} // namespace citadel::lifecycle::plain
