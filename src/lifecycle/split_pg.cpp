// The first partition of a converted table, which holds all that was there before, is split into regular ones.
//
// planned -> copying -> indexing -> comparing -> swapping -> dropping -> done; cancelling -> cancelled, up to the swap.
//
// The rows are copied into regular partitions that are not attached yet, in batches under the throttle, while the old
// partition is read and written as ever; what is written is noted and copied again (tracked_copy_pg.hpp). Then one
// short transaction detaches the old partition and attaches the new ones. That swap cannot be avoided: a row can be in
// one partition alone, and partitions of one table must not overlap, so the rows of a period change sides all at once.
// It copies what was written in the last moment, and scans, builds and deletes nothing: constraints prove the bounds,
// the indexes are there. No row is ever deleted: the old partition is dropped afterwards.
#include "pg/server.hpp"

#include "audit/audit.hpp"
#include "jobs/jobs.hpp"
#include "lifecycle/create_pg.hpp"
#include "lifecycle/key_pg.hpp"
#include "lifecycle/ladder_pg.hpp"
#include "lifecycle/plain_parts_pg.hpp"
#include "lifecycle/tracked_copy_pg.hpp"
#include "pg/clock.hpp"
#include "pg/fault.hpp"
#include "pg/write_as.hpp"
#include "settings/settings.hpp"

#include <algorithm>

namespace citadel::lifecycle::plain {

namespace {

constexpr std::int64_t changes_at_once = 1000;
constexpr std::int64_t all_changes = 1000000000;
constexpr std::int64_t changes_under_lock = 200; // some milliseconds
constexpr int swaps_in_a_row = 100;
constexpr std::int64_t snapshot_patience_us = 60LL * 1000 * 1000;
constexpr std::int64_t come_back_us = 5LL * 60 * 1000 * 1000;

// Somebody whose snapshot is older than `moment`: he would find neither the old partition nor rows that were copied
// after his snapshot was taken.
std::string older_snapshot(const std::string& moment, bool between_statements) {
    pg::Spi spi;
    const pg::Rows rows = spi.query(
        "SELECT a.pid FROM pg_stat_activity a JOIN pg_database d ON d.oid = a.datid AND d.datname = "
        "current_database() WHERE a.pid <> pg_backend_pid() AND a.backend_xmin IS NOT NULL AND a.backend_type = "
        "'client backend' AND a.xact_start < $1 AND (NOT $2 OR a.state LIKE 'idle in transaction%') "
        "ORDER BY a.xact_start LIMIT 1",
        {pg::arg_as(TIMESTAMPTZOID, moment), pg::arg(between_statements)});
    return rows.empty() ? std::string() : rows.text(0, 0);
}

std::string wall_clock() {
    pg::Spi spi;
    return spi.query("SELECT clock_timestamp()").text(0, 0);
}

class Split : Task {
  public:
    Split(const Policy& policy, const Zone& zone, operation::Row row)
        : Task(policy, zone, std::move(row), "split"), copy_(policy, row_.subject, row_.id) {}

    void run() {
        if (row_.state == "cancelling")
            return cancel();
        if (row_.state != "planned" && row_.state != "dropping")
            if (const std::string trouble = copy_.trouble(); !trouble.empty())
                start_over(trouble);
        if (row_.state == "planned")
            begin();
        if (row_.state == "copying" && !copy_rows())
            return;
        if (row_.state == "indexing")
            build_indexes();
        if (row_.state == "comparing" && !compare())
            return;
        if (row_.state == "swapping" && !swap_parts())
            return;
        if (row_.state == "dropping")
            drop_old();
    }

  private:
    Place upper() const;
    void refuse_what_hangs_on_it() const;
    void begin();
    void start_over(const std::string& why);
    bool copy_rows();
    void build_indexes();
    std::int64_t take_changes(std::int64_t most);
    bool catch_up();
    bool compare();
    bool old_snapshots_are_gone();
    bool swap_parts();
    void exchange(const std::vector<Partition>& parts);
    void drop_old();
    void cancel();

    TrackedCopy copy_;
    std::string copied_at_; // when the last row was copied
    bool behind_ = false;   // too much was written for a short lock
};

// Where the partition ends; refuses what cannot be split.
Place Split::upper() const {
    Place end = open_high;
    bool found = false;
    for (const Partition& partition : read_partitions(policy_.relation, policy_.kind)) {
        if (partition.is_default)
            pg::raise(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
                      table_ + " has a default partition: " + subject_ + " cannot be split", {},
                      "The rows in it go into regular partitions first; drop it when it is empty.");
        if (partition.oid == row_.subject) {
            found = true;
            end = partition.upper;
        }
    }
    if (!found)
        pg::raise(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
                  subject_ + " is not a partition of " + table_ + " any more");
    return end;
}

void Split::refuse_what_hangs_on_it() const {
    pg::Spi spi;
    const pg::Rows rows = spi.query(
        "SELECT 'foreign key ' || conname || ' of table ' || conrelid::regclass || ' points at the table' FROM "
        "pg_constraint WHERE contype = 'f' AND confrelid IN ($1, $2) "
        "UNION ALL SELECT 'view ' || w.ev_class::regclass || ' reads it directly' FROM pg_depend d JOIN pg_rewrite w "
        "ON w.oid = d.objid WHERE d.classid = 'pg_rewrite'::regclass AND d.refclassid = 'pg_class'::regclass AND "
        "d.refobjid = $1 AND w.ev_class <> $1 "
        "UNION ALL SELECT 'publication ' || p.pubname || ' names it' FROM pg_publication_rel r JOIN pg_publication p "
        "ON p.oid = r.prpubid WHERE r.prrelid = $1 LIMIT 1",
        {pg::arg_oid(row_.subject), pg::arg_oid(policy_.relation)});
    if (!rows.empty())
        pg::raise(ERRCODE_FEATURE_NOT_SUPPORTED, subject_ + " cannot be split: " + rows.text(0, 0));
}

void Split::begin() {
    (void)upper();
    refuse_what_hangs_on_it();
    climb(subject_, [&] {
        stop_if_cancelled();
        copy_.create();
        pg::Spi spi;
        spi.execute("UPDATE citadel.lifecycle_operation SET detail = detail - 'finished' - 'copied_blocks' WHERE "
                    "operation_id = $1",
                    {pg::arg(row_.id)});
        audit::append(entry(audit::outcome::started));
        pg::fault_point("lifecycle_split_begin");
        enter("copying");
    });
    pg::fault_point("lifecycle_split_begun");
}

void Split::start_over(const std::string& why) {
    climb(subject_, [&] {
        stop_if_cancelled();
        copy_.remove();
        audit::Entry record = entry(audit::outcome::failed);
        record.reason = why + ": begun anew";
        audit::append(record);
        enter("planned");
    });
}

std::int64_t number_in_detail(const operation::Row& row, const char* key) {
    pg::Spi spi;
    const pg::Rows rows =
        spi.query("SELECT (detail->>$2)::bigint FROM citadel.lifecycle_operation WHERE operation_id = $1",
                  {pg::arg(row.id), pg::arg(key)});
    return rows.empty() ? 0 : rows.int64(0, 0);
}

// What is in blocks beyond those that are there now was written under the eyes of the trigger.
bool Split::copy_rows() {
    const Place end = upper();
    climb(subject_, [&] {
        stop_if_cancelled();
        (void)copy_.make_partitions(zone_, end);
    });
    std::int64_t next = number_in_detail(row_, "copied_blocks");
    std::int64_t blocks = 0;
    {
        pg::Spi spi;
        blocks =
            spi.query("SELECT pg_relation_size($1) / current_setting('block_size')::int", {pg::arg_oid(row_.subject)})
                .int64(0, 0);
    }
    throttle_ = paced_by_blocks();
    const bool all = pace([&]() -> std::int64_t {
        if (next >= blocks)
            return -1;
        const std::int64_t count = std::min(throttle_.rows(), blocks - next);
        try {
            copy_.copy_blocks(next, next + count);
        } catch (const pg::Error& error) {
            if (error.sqlerrcode() != ERRCODE_CHECK_VIOLATION)
                throw;
            // A row of a period that had none when the partitions were made.
            jobs::start_over();
            if (copy_.make_partitions(zone_, end) == 0)
                throw;
            jobs::checkpoint();
            return 0;
        }
        operation::set_detail(row_, "copied_blocks", std::to_string(next + count));
        pg::fault_point("lifecycle_split_copy");
        jobs::checkpoint();
        next += count;
        return count;
    });
    if (!all)
        return false;
    // A row that was moved by an UPDATE may have been copied twice, before and after; unique indexes come next. All
    // such changes have been noted by now.
    while (take_changes(all_changes) == 0 && copy_.pending(1) > 0)
        ;
    jobs::checkpoint();
    stop_if_cancelled();
    note_batches();
    enter("indexing");
    jobs::checkpoint();
    pg::fault_point("lifecycle_split_copied");
    return true;
}

// Everything that attaching would otherwise do under its lock. Partitions that have their indexes were finished by a
// run that did not get further.
void Split::build_indexes() {
    for (const Partition& part : copy_.partitions()) {
        const std::string table = pg::qualified_name(part.oid);
        bool finished = false;
        std::vector<std::string> keys;
        {
            pg::Spi spi;
            finished = spi.query("SELECT coalesce(detail->'finished' ? $2, false) FROM citadel.lifecycle_operation "
                                 "WHERE operation_id = $1",
                                 {pg::arg(row_.id), pg::arg(std::to_string(part.oid))})
                           .boolean(0, 0);
            const pg::Rows rows = spi.query("SELECT format('ADD CONSTRAINT %I %s NOT VALID', conname, "
                                            "pg_get_constraintdef(oid)), format('VALIDATE CONSTRAINT %I', conname) "
                                            "FROM pg_constraint WHERE conrelid = $1 AND contype = 'f' ORDER BY oid",
                                            {pg::arg_oid(policy_.relation)});
            for (std::size_t i = 0; i < rows.size(); ++i) {
                keys.push_back("ALTER TABLE " + table + " " + rows.text(i, 0));
                keys.push_back("ALTER TABLE " + table + " " + rows.text(i, 1));
            }
        }
        if (finished)
            continue;
        climb(table, [&] {
            stop_if_cancelled();
            as_owner(matching_statements(policy_.relation, table, "pu"));
            as_owner(keys);
            as_owner({"ANALYZE " + table});
            give_parents_properties(policy_.relation, part.oid);
            pg::Spi spi;
            spi.execute("UPDATE citadel.lifecycle_operation SET detail = jsonb_set(detail, '{finished}', "
                        "coalesce(detail->'finished', '[]') || to_jsonb($2::text)) WHERE operation_id = $1",
                        {pg::arg(row_.id), pg::arg(std::to_string(part.oid))});
            pg::fault_point("lifecycle_split_index");
        });
    }
    stop_if_cancelled();
    enter("comparing");
    jobs::checkpoint();
    pg::fault_point("lifecycle_split_indexed");
}

// Copies what was noted again; makes partitions for periods that had no row before (and then has taken nothing yet).
std::int64_t Split::take_changes(std::int64_t most) {
    using Look = TrackedCopy::Look;
    try {
        return copy_.catch_up(most, most == all_changes ? Look::through_all : Look::by_key);
    } catch (const pg::Error& error) {
        // Two rows have exchanged what has to be unique, and one of them was to be copied later: both at once.
        const bool exchanged = error.sqlerrcode() == ERRCODE_UNIQUE_VIOLATION && most != all_changes;
        if (!exchanged && error.sqlerrcode() != ERRCODE_CHECK_VIOLATION)
            throw;
        jobs::start_over();
        if (exchanged)
            return take_changes(all_changes);
        if (copy_.make_partitions(zone_, upper()) == 0)
            throw;
        jobs::checkpoint();
        if (row_.state == "copying")
            return 0;
        stop_if_cancelled();
        enter("indexing");
        jobs::checkpoint();
        build_indexes();
        return 0;
    }
}

// Until little is left; more comes as long as there are writers.
bool Split::catch_up() {
    throttle_ = Throttle({static_cast<double>(settings::lifecycle_batch_ms), settings::lifecycle_load, changes_at_once,
                          10, 20 * changes_at_once});
    const bool done = pace([&]() -> std::int64_t {
        if (copy_.pending(changes_under_lock + 1) <= changes_under_lock)
            return -1;
        const std::int64_t taken = take_changes(throttle_.rows());
        pg::fault_point("lifecycle_split_catch_up");
        jobs::checkpoint();
        return taken;
    });
    copied_at_ = wall_clock();
    return done;
}

// All rows on both sides, in one snapshot; locks nobody out.
bool Split::compare() {
    if (!catch_up())
        return false;
    const bool by_index = !time_index(policy_).empty();
    const std::vector<Partition> parts = copy_.partitions();
    std::int64_t rows = 0;
    jobs::repeatable_read([&] {
        rows = 0;
        if (!by_index)
            rows = copy_.compare(open_low, open_high);
    });
    for (std::size_t i = 0; by_index && i < parts.size(); ++i) {
        if (!may_go_on())
            return false;
        jobs::repeatable_read([&] { rows += copy_.compare(parts[i].lower, parts[i].upper); });
        pg::fault_point("lifecycle_split_compare");
    }
    stop_if_cancelled();
    operation::set_detail(row_, "rows", std::to_string(rows));
    enter("swapping");
    jobs::checkpoint();
    pg::fault_point("lifecycle_split_compared");
    return true;
}

bool Split::old_snapshots_are_gone() {
    const std::int64_t since = monotonic_us();
    for (;;) {
        const std::string process = older_snapshot(copied_at_, false);
        if (process.empty())
            return true;
        if (monotonic_us() - since > snapshot_patience_us) {
            wait_until(pg::now() + come_back_us, "process " + process + " holds a snapshot from before the copies");
            return false;
        }
        jobs::checkpoint();
        pause(20);
    }
}

// Under the lock. What was noted since the last look is copied now, unless it is much, or a transaction that holds a
// snapshot would miss it. Statements that wait for the lock take theirs afterwards.
void Split::exchange(const std::vector<Partition>& parts) {
    const std::int64_t left = copy_.pending(changes_under_lock + 1);
    if (left > changes_under_lock || !older_snapshot(left == 0 ? copied_at_ : wall_clock(), true).empty()) {
        behind_ = true;
        pg::raise(ERRCODE_T_R_SERIALIZATION_FAILURE, "rows of " + subject_ + " are written faster than copied");
    }
    while (copy_.catch_up(changes_at_once) > 0)
        ;
    std::vector<std::string> statements = {"ALTER TABLE " + table_ + " DETACH PARTITION " + subject_};
    const std::string alter = "ALTER TABLE ";
    const std::string detach = alter + copy_.table() + " DETACH PARTITION ";
    const std::string attach = alter + table_ + " ATTACH PARTITION ";
    const std::string drop_check =
        " DROP CONSTRAINT " + pg::quote_identifier("citadel_changes_" + std::to_string(row_.id));
    for (const Partition& part : parts) {
        const std::string table = pg::qualified_name(part.oid);
        statements.push_back(detach + table);
        std::string attached = attach;
        attached.append(table).append(" FOR VALUES FROM (").append(bound_literal(part.lower, policy_));
        attached.append(") TO (").append(bound_literal(part.upper, policy_)).append(")");
        statements.push_back(std::move(attached));
        std::string dropped = alter;
        dropped.append(table).append(drop_check);
        statements.push_back(std::move(dropped));
    }
    as_owner(statements);
    give_replica_identity(policy_.relation, parts);
    copy_.remove();
}

bool Split::swap_parts() {
    for (int attempt = 0; attempt < swaps_in_a_row; ++attempt) {
        if (!catch_up() || !old_snapshots_are_gone())
            return false;
        if (take_changes(changes_at_once) > 0) {
            jobs::checkpoint();
            copied_at_ = wall_clock();
        }
        const std::vector<Partition> parts = copy_.partitions();
        behind_ = false;
        try {
            climb(table_, [&] {
                stop_if_cancelled();
                (void)upper();
                as_owner({"LOCK TABLE ONLY " + table_ + " IN ACCESS EXCLUSIVE MODE",
                          "LOCK TABLE ONLY " + subject_ + " IN ACCESS EXCLUSIVE MODE"});
                const std::int64_t locked_at = monotonic_us();
                if (const std::string trouble = copy_.trouble(); !trouble.empty())
                    pg::raise(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, trouble, {}, "The next run begins anew.");
                exchange(parts);
                {
                    pg::Spi spi;
                    spi.execute("UPDATE citadel.lifecycle_policy SET split_after_conversion = false, updated_at = $2 "
                                "WHERE policy_id = $1",
                                {pg::arg(policy_.id), pg::arg_timestamptz(pg::now())});
                }
                audit::Entry record = entry(audit::outcome::done);
                record.reason = "into " + std::to_string(parts.size()) + " regular partitions";
                record.rows = number_in_detail(row_, "rows");
                audit::append(record);
                pg::fault_point("lifecycle_split_swap");
                enter("dropping");
                operation::set_detail(row_, "lock_ms",
                                      std::to_string(static_cast<double>(monotonic_us() - locked_at) / 1000));
            });
            pg::fault_point("lifecycle_split_swapped");
            return true;
        } catch (const pg::Error& error) {
            // A row of a new period came at the last moment: catching up makes its partition.
            if (!behind_ && error.sqlerrcode() != ERRCODE_CHECK_VIOLATION)
                throw;
            jobs::start_over();
            pause(attempt);
            jobs::checkpoint();
        }
    }
    wait_until(pg::now() + come_back_us,
               "rows of " + subject_ + " are written all the time, and some transaction always holds a snapshot");
    return false;
}

// It holds what the new partitions hold, and nobody sees it any more.
void Split::drop_old() {
    climb(subject_, [&] {
        bool there = false;
        {
            pg::Spi spi;
            const pg::Rows rows =
                spi.query("SELECT relispartition FROM pg_class WHERE oid = $1", {pg::arg_oid(row_.subject)});
            there = !rows.empty();
            if (there && rows.boolean(0, 0))
                pg::raise(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
                          subject_ + " was attached again: it is not dropped");
        }
        if (there)
            as_owner({"DROP TABLE " + subject_});
        audit::Entry record = entry(audit::outcome::done);
        record.action = "drop_split";
        record.subject_schema = row_.schema;
        record.subject_name = row_.name;
        record.reason = "its rows are in regular partitions";
        audit::append(record);
        pg::fault_point("lifecycle_split_drop");
        enter("done");
    });
    pg::fault_point("lifecycle_split_dropped");
}

void Split::cancel() {
    bool swapped = false;
    {
        pg::Spi spi;
        swapped = spi.query("SELECT 1 FROM pg_inherits WHERE inhrelid = $1", {pg::arg_oid(row_.subject)}).empty();
    }
    // Too late to give it up: the rest is to drop what nobody sees.
    if (swapped)
        return drop_old();
    climb(subject_, [&] {
        copy_.remove();
        audit::Entry record = entry(audit::outcome::done);
        record.action = "cancel_split";
        audit::append(record);
        pg::fault_point("lifecycle_split_cancel");
        enter("cancelled");
    });
}

} // namespace

void split(const Policy& policy, const Zone& zone, operation::Row row) {
    Split(policy, zone, std::move(row)).run();
}

} // namespace citadel::lifecycle::plain
