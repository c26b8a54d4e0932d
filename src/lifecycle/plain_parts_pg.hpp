// What the files about plain tables share.
#pragma once

#include "audit/audit.hpp"
#include "lifecycle/model.hpp"
#include "lifecycle/operation_pg.hpp"
#include "lifecycle/throttle.hpp"
#include "pg/server.hpp"

#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace citadel::lifecycle::plain {

// Why the rows of the table cannot be moved away in batches; empty: they can.
std::string keep_obstacle(const Policy& policy);

// Why the table cannot become a partitioned one; empty: it can. The first reason found, with the object's name.
std::string convert_obstacle(const Policy& policy);

// The lowest or highest finite place in `table`, a table of the policy's shape, among rows that satisfy `condition`
// (" AND ..."). Read as the owner.
std::optional<Place> edge(const Policy& policy, const std::string& table, const std::string& condition, bool newest);

// The regular period that holds the place.
std::pair<Place, Place> period_of(const Policy& policy, const Zone& zone, Place place);

// "column >= 'lower' AND column < 'upper'", without the ends that are open.
std::string range_condition(const Policy& policy, Place lower, Place upper);

// Columns in their order, quoted. Generated ones compute themselves where they are left out.
enum class Generated { given, left_out };
std::string writable_columns(Oid table, Generated generated);

// The name of an index that has the time column first and serves a range scan; empty when there is none.
std::string time_index(const Policy& policy);

// Microseconds since some point, never going back.
std::int64_t monotonic_us();

// True when the operation has ended; false: it has to wait, or the policy was changed.
bool move_rows(const Policy& policy, const Zone& zone, operation::Row row);
void convert(const Policy& policy, const Zone& zone, operation::Row row);
void split(const Policy& policy, const Zone& zone, operation::Row row);

// What conversions, splits and moves have in common: a row of citadel.lifecycle_operation whose states they walk
// through, the owner as whom they write, and their entries in the audit log.
class Task {
  protected:
    Task(const Policy& policy, const Zone& zone, operation::Row row, const char* action);
    void enter(const char* state) { operation::enter(row_, state); }
    // Between two steps: raises 57014 when somebody cancelled it. Nobody can from here to the end of the transaction.
    void stop_if_cancelled() const;
    // Statements as the table's owner.
    void as_owner(const std::vector<std::string>& statements) const;
    audit::Entry entry(const char* outcome) const;
    // Whether a long piece of work may go on now: the policy is as it was, the hours allow it, nothing lags. Waits a
    // minute for what lags. False: not now, which the operation then says.
    bool may_go_on();
    void wait_until(std::int64_t time, const std::string& why);
    static Throttle paced_by_blocks();
    // Writes down how many batches there were, and how long the worst one took.
    void note_batches();
    // Runs `batch` until it returns less than 0, adapted and slowed down by `throttle_`. A batch does about
    // throttle_.rows() of whatever it counts, commits, and returns how many it did; one that fails for want of a lock
    // is tried again. False: it has to wait, which the operation says.
    bool pace(const std::function<std::int64_t()>& batch);

    const Policy& policy_;
    const Zone& zone_;
    operation::Row row_;
    Throttle throttle_;
    std::int64_t batches_ = 0; // of this run
    double worst_ms_ = 0;
    std::string table_;   // the policy's, quoted
    std::string subject_; // what the operation is about, quoted: the table, or the partition that is split

  private:
    void make_way();
    const char* action_;
    std::int64_t looked_around_ = 0;
    std::int64_t transactions_ = 0, batches_then_ = 0;
};

} // namespace citadel::lifecycle::plain
