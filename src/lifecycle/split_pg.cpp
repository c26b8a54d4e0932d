// The first partition of a converted table, which holds all that was there before, is split into regular ones.
//
// planned -> checking -> swapping -> done: it becomes the default partition, in one short transaction that scans
// nothing, because a validated CHECK says that its rows belong to no other partition. From then on it is the ordinary
// work of the policy: rows in the default partition are copied in batches into regular partitions while these are still
// detached, period by period, and the default partition is dropped when it is empty (default_pg.cpp).
#include "pg/server.hpp"

#include "audit/audit.hpp"
#include "lifecycle/key_pg.hpp"
#include "lifecycle/ladder_pg.hpp"
#include "lifecycle/plain_parts_pg.hpp"
#include "pg/clock.hpp"
#include "pg/fault.hpp"
#include "pg/write_as.hpp"

#include <algorithm>

namespace citadel::lifecycle::plain {

namespace {

class Split : Task {
  public:
    Split(const Policy& policy, operation::Row row)
        : Task(policy, std::move(row), "split"), part_(subject_),
          check_(pg::quote_identifier("citadel_split_" + std::to_string(row_.id))) {}

    void run() {
        if (row_.state == "cancelling")
            return cancel();
        if (row_.state == "planned")
            add_check();
        if (row_.state == "checking")
            validate();
        if (row_.state == "swapping")
            make_default();
    }

  private:
    Place upper() const;
    void add_check();
    void validate();
    void make_default();
    void cancel();

    std::string part_, check_;
};

// Where the partition ends; refuses what cannot be split.
Place Split::upper() const {
    Place end = open_high;
    bool found = false;
    for (const Partition& partition : read_partitions(policy_.relation, policy_.kind)) {
        if (partition.is_default)
            pg::raise(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
                      table_ + " has a default partition: " + part_ + " cannot be split", {},
                      "The rows in it go into regular partitions first; drop it when it is empty.");
        if (partition.oid == row_.subject) {
            found = true;
            end = partition.upper;
        }
    }
    if (!found)
        pg::raise(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, part_ + " is not a partition of " + table_ + " any more");
    return end;
}

void Split::add_check() {
    const std::string column = pg::quote_identifier(policy_.column);
    const std::string condition = column + " IS NOT NULL AND " + range_condition(policy_, open_low, upper());
    climb(part_, [&] {
        stop_if_cancelled();
        as_owner({"ALTER TABLE " + part_ + " ADD CONSTRAINT " + check_ + " CHECK (" + condition + ") NOT VALID"});
        audit::append(entry(audit::outcome::started));
        pg::fault_point("lifecycle_split_check");
        enter("checking");
    });
}

void Split::validate() {
    climb(part_, [&] {
        stop_if_cancelled();
        as_owner({"ALTER TABLE " + part_ + " VALIDATE CONSTRAINT " + check_});
        pg::fault_point("lifecycle_split_validate");
        enter("swapping");
    });
}

void Split::make_default() {
    (void)upper();
    climb(table_, [&] {
        stop_if_cancelled();
        as_owner({"ALTER TABLE " + table_ + " DETACH PARTITION " + part_,
                  "ALTER TABLE " + table_ + " ATTACH PARTITION " + part_ + " DEFAULT",
                  "ALTER TABLE " + part_ + " DROP CONSTRAINT " + check_});
        pg::Spi spi;
        spi.execute("UPDATE citadel.lifecycle_policy SET default_partition = false, split_after_conversion = false, "
                    "updated_at = $2 WHERE policy_id = $1",
                    {pg::arg(policy_.id), pg::arg_timestamptz(pg::now())});
        audit::Entry record = entry(audit::outcome::done);
        record.reason = "it is the default partition until its rows are in regular ones";
        audit::append(record);
        pg::fault_point("lifecycle_split_swap");
        enter("done");
    });
    pg::fault_point("lifecycle_split_swapped");
}

void Split::cancel() {
    climb(part_, [&] {
        as_owner({"ALTER TABLE " + part_ + " DROP CONSTRAINT IF EXISTS " + check_});
        audit::Entry record = entry(audit::outcome::done);
        record.action = "cancel_split";
        audit::append(record);
        enter("cancelled");
    });
}

} // namespace

void split(const Policy& policy, const Zone&, operation::Row row) {
    Split(policy, std::move(row)).run();
}

} // namespace citadel::lifecycle::plain
