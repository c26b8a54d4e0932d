// What conversions, splits and batched moves have in common.
#include "pg/server.hpp"

#include "jobs/jobs.hpp"
#include "lifecycle/brake_pg.hpp"
#include "lifecycle/ladder_pg.hpp"
#include "lifecycle/plain_parts_pg.hpp"
#include "lifecycle/plan.hpp"
#include "lifecycle/policy_pg.hpp"
#include "pg/clock.hpp"
#include "pg/fault.hpp"
#include "pg/write_as.hpp"
#include "settings/settings.hpp"

#include <algorithm>

namespace citadel::lifecycle::plain {

namespace {

constexpr std::int64_t look_around_us = 1000 * 1000;     // how often the brake is asked
constexpr std::int64_t patience_us = 60LL * 1000 * 1000; // with the brake on, before the run goes on to other tables
constexpr std::int64_t come_back_us = 5LL * 60 * 1000 * 1000;
constexpr std::int64_t busy_per_second = 25; // transactions of others
constexpr int locks_refused_in_a_row = 40;
constexpr std::int64_t most_blocks = 4096;

} // namespace

Task::Task(const Policy& policy, const Zone& zone, operation::Row row, const char* action)
    : policy_(policy), zone_(zone), row_(std::move(row)),
      throttle_({static_cast<double>(settings::lifecycle_batch_ms), settings::lifecycle_load}),
      table_(relation_name(policy)), subject_(pg::qualified_name(row_.subject)), action_(action) {}

void Task::stop_if_cancelled() const {
    pg::Spi spi;
    if (spi.query("SELECT 1 FROM citadel.lifecycle_operation WHERE operation_id = $1 AND state <> 'cancelling' AND "
                  "finished_at IS NULL FOR UPDATE",
                  {pg::arg(row_.id)})
            .empty())
        pg::raise(ERRCODE_QUERY_CANCELED,
                  "operation " + std::to_string(row_.id) + " (" + row_.kind + ") on " + subject_ + " was cancelled");
}

void Task::as_owner(const std::vector<std::string>& statements) const {
    pg::execute_as(policy_.owner, statements);
}

audit::Entry Task::entry(const char* outcome) const {
    audit::Entry entry = audit::about(action_, row_.subject);
    entry.outcome = outcome;
    entry.policy_id = policy_.id;
    entry.policy_version = policy_.version;
    entry.lower_bound = row_.lower_text;
    entry.upper_bound = row_.upper_text;
    return entry;
}

void Task::wait_until(std::int64_t time, const std::string& why) {
    pg::Spi spi;
    spi.execute("UPDATE citadel.lifecycle_operation SET not_before = $2, last_error = $3, updated_at = $4 WHERE "
                "operation_id = $1",
                {pg::arg(row_.id), pg::arg_timestamptz(time), pg::arg(why), pg::arg_timestamptz(pg::now())});
    jobs::checkpoint();
}

// False: not now, which the operation says.
bool Task::may_go_on() {
    {
        pg::Spi spi;
        if (spi.query("SELECT 1 FROM citadel.lifecycle_policy p JOIN citadel.lifecycle_operation o ON o.operation_id = "
                      "$3 AND o.finished_at IS NULL AND o.state <> 'cancelling' WHERE p.policy_id = $1 AND p.version = "
                      "$2 AND p.status = 'active'",
                      {pg::arg(policy_.id), pg::arg(policy_.version), pg::arg(row_.id)})
                .empty())
            return false;
    }
    if (!hours_allow(policy_, pg::now(), zone_)) {
        wait_until(pg::now() + come_back_us, outside_hours(policy_));
        return false;
    }
    const std::int64_t began = monotonic_us();
    if (began - looked_around_ < look_around_us)
        return true;
    make_way();
    for (;;) {
        const std::string reason = brake();
        looked_around_ = monotonic_us();
        if (reason.empty())
            return true;
        if (looked_around_ - began > patience_us) {
            wait_until(pg::now() + come_back_us, reason);
            return false;
        }
        jobs::checkpoint(); // holds no snapshot while it pauses
        pause(1000);
    }
}

// By how many transactions ended since the last look, without our own.
void Task::make_way() {
    const std::int64_t now = monotonic_us();
    const std::int64_t transactions = transactions_so_far();
    if (looked_around_ > 0) {
        const std::int64_t others = transactions - transactions_ - (batches_ - batches_then_);
        throttle_.make_way(others * 1000000 > busy_per_second * (now - looked_around_));
    }
    transactions_ = transactions;
    batches_then_ = batches_;
}

Throttle Task::paced_by_blocks() {
    return Throttle({static_cast<double>(settings::lifecycle_batch_ms), settings::lifecycle_load, 8, 1, most_blocks});
}

// Of all runs: they add up.
void Task::note_batches() {
    pg::Spi spi;
    spi.execute("UPDATE citadel.lifecycle_operation SET detail = detail || jsonb_build_object('batches', "
                "coalesce((detail->>'batches')::bigint, 0) + $2, 'worst_batch_ms', "
                "greatest((detail->>'worst_batch_ms')::numeric, $3::numeric)) WHERE operation_id = $1",
                {pg::arg(row_.id), pg::arg(batches_), pg::arg(worst_ms_)});
    batches_ = 0;
    batches_then_ = 0;
}

bool Task::pace(const std::function<std::int64_t()>& batch) {
    int refused = 0;
    for (;;) {
        if (!may_go_on()) {
            note_batches();
            jobs::checkpoint();
            return false;
        }
        const std::int64_t began = monotonic_us();
        std::int64_t done = 0;
        try {
            {
                pg::Spi spi;
                // A batch that a crash takes back is done again; nobody is told that it is on disk.
                spi.query("SELECT set_config('lock_timeout', '150ms', true), set_config('synchronous_commit', 'off', "
                          "true)");
            }
            done = batch();
            refused = 0;
        } catch (const pg::Error& error) {
            const int code = error.sqlerrcode();
            if ((code != ERRCODE_LOCK_NOT_AVAILABLE && code != ERRCODE_T_R_DEADLOCK_DETECTED &&
                 code != ERRCODE_T_R_SERIALIZATION_FAILURE) ||
                ++refused > locks_refused_in_a_row)
                throw;
            jobs::start_over();
            throttle_.held_up();
        }
        if (done < 0)
            return true;
        if (done > 0) {
            const double took_ms = static_cast<double>(monotonic_us() - began) / 1000;
            worst_ms_ = std::max(worst_ms_, took_ms);
            ++batches_;
            throttle_.done(done, took_ms);
        }
        pg::fault_point("lifecycle_move_committed");
        if (throttle_.rest_ms() >= 1)
            pause(static_cast<long>(throttle_.rest_ms()));
    }
}

} // namespace citadel::lifecycle::plain
