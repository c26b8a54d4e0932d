// The job `lifecycle`: walks through the plans of all policies, partitions ahead of time first, then what expires. Each
// table is its own failure, and each partition, too.
#include "pg/server.hpp"

#include "audit/audit.hpp"
#include "jobs/jobs.hpp"
#include "lifecycle/archive_pg.hpp"
#include "lifecycle/create_pg.hpp"
#include "lifecycle/default_pg.hpp"
#include "lifecycle/expire_pg.hpp"
#include "lifecycle/facts_pg.hpp"
#include "lifecycle/key_pg.hpp"
#include "lifecycle/ladder_pg.hpp"
#include "lifecycle/lifecycle.hpp"
#include "lifecycle/operation_pg.hpp"
#include "lifecycle/partman_pg.hpp"
#include "lifecycle/plain_pg.hpp"
#include "lifecycle/policy_pg.hpp"
#include "lifecycle/runway_pg.hpp"
#include "pg/clock.hpp"
#include "pg/fault.hpp"
#include "pg/spi.hpp"

#include <map>
#include <set>

namespace citadel::lifecycle {

namespace {

constexpr std::size_t most_notes = 20;

// Partitions ahead of time are what inserts depend on, so all tables get theirs before anything long begins.
bool is_urgent(Action action) {
    return action == Action::finalize_detach || action == Action::create_partition || action == Action::create_default;
}

class Run {
  public:
    explicit Run(std::int64_t run_id) {
        pg::Spi spi;
        const pg::Rows rows = spi.query("SELECT policy_id FROM citadel.lifecycle_request WHERE run_id = $1 ORDER BY 1",
                                        {pg::arg(run_id)});
        for (std::size_t i = 0; i < rows.size(); ++i)
            if (rows.int64(i, 0) != 0)
                wanted_.push_back(rows.int64(i, 0));
        impatient_ = !rows.empty();
        restores_only_ = impatient_ && wanted_.empty();
        spi.execute("DELETE FROM citadel.lifecycle_request WHERE run_id <= $1", {pg::arg(run_id)});
    }

    void work() {
        jobs::checkpoint();
        restores();
        if (!restores_only_) {
            pass(true);
            pass(false);
            for (const auto& stored : policies_)
                finish(stored);
        }
        if (failures_ > 0)
            pg::raise(first_code_,
                      std::to_string(failures_) + (failures_ == 1 ? " table" : " tables") +
                          " could not be worked on: " + first_failure_,
                      {}, "Look at citadel.partition_runway and citadel.lifecycle_step.");
    }

  private:
    void restores();
    void pass(bool urgent);
    void work_on(const StoredPolicy& stored, bool urgent);
    void take(const Policy& policy, const Zone& zone, const Step& step, std::int64_t& operation_id);
    void failed(const StoredPolicy& stored, const pg::Error& error);
    void finish(const StoredPolicy& stored);
    void warn(const StoredPolicy& stored);
    void note(const Policy& policy, const std::string& text) {
        auto& notes = notes_[policy.id];
        if (notes.size() < most_notes)
            notes.push_back(text);
    }

    std::vector<std::int64_t> wanted_;
    bool impatient_ = false;
    bool restores_only_ = false;
    std::vector<StoredPolicy> policies_;
    std::set<std::int64_t> idle_; // nothing to do there
    std::map<std::int64_t, std::vector<std::string>> notes_;
    std::map<std::int64_t, std::string> errors_;
    int failures_ = 0;
    int first_code_ = ERRCODE_INTERNAL_ERROR;
    std::string first_failure_;
};

void Run::failed(const StoredPolicy& stored, const pg::Error& error) {
    if (error.is_intervention())
        throw error;
    jobs::start_over();
    const std::string table = stored.policy.schema + "." + stored.policy.name;
    if (errors_.emplace(stored.policy.id, error.what()).second) {
        ++failures_;
        if (failures_ == 1) {
            first_failure_ = table + ": " + error.what();
            first_code_ = error.sqlerrcode();
        }
    }
}

void append_for(const Policy& policy, const char* action) {
    audit::Entry entry = audit::about(action, policy.relation);
    entry.actor = job_actor;
    entry.policy_id = policy.id;
    entry.policy_version = policy.version;
    audit::append(entry);
}

// One of a kind of work that may fail by itself; the failure is the operation's and the table's.
void Run::take(const Policy& policy, const Zone& zone, const Step& step, std::int64_t& operation_id) {
    switch (step.action) {
    case Action::create_partition: {
        climb(relation_name(policy), [&] {
            const Oid made = make_partition(policy, step.lower, step.upper);
            audit::Entry entry = audit::about("create_partition", made);
            entry.actor = job_actor;
            entry.policy_id = policy.id;
            entry.policy_version = policy.version;
            entry.lower_bound = place_text(step.lower, policy);
            entry.upper_bound = place_text(step.upper, policy);
            audit::append(entry);
        });
        pg::fault_point("lifecycle_created");
        return;
    }
    case Action::create_default:
        return climb(relation_name(policy), [&] {
            (void)make_default_partition(policy);
            append_for(policy, "create_default_partition");
        });
    case Action::drop_default:
        if (drop_default(policy))
            append_for(policy, "drop_default_partition");
        return jobs::checkpoint();
    case Action::move_default_rows:
        (void)move_default_rows(policy, step.lower, step.upper, operation_id);
        return;
    case Action::finalize_detach:
        return finalize_detach(policy, step);
    case Action::move_rows:
    case Action::convert:
    case Action::split:
        operation_id = plain::begin(policy, step);
        jobs::checkpoint();
        return plain::advance(operation_id);
    default:
        return take_expiry_step(policy, zone, step, operation_id);
    }
}

// Whether nobody changed or suspended the policy since its plan was made.
bool unchanged(const Policy& policy) {
    pg::Spi spi;
    return !spi.query(
                   "SELECT 1 FROM citadel.lifecycle_policy WHERE policy_id = $1 AND version = $2 AND status = 'active'",
                   {pg::arg(policy.id), pg::arg(policy.version)})
                .empty();
}

void Run::work_on(const StoredPolicy& stored, bool urgent) {
    const Policy& policy = stored.policy;
    const auto zone = make_zone(policy.time_zone);
    std::uint32_t chain = 0;       // subject of the steps that belong together
    std::int64_t operation_id = 0; // of that subject
    bool stopped = false;          // the rest of that subject's steps wait
    const std::vector<Step> steps = plan_of(policy, impatient_);
    if (steps.empty())
        idle_.insert(policy.id);
    for (const Step& step : steps) {
        if (is_urgent(step.action) != urgent)
            continue;
        if (step.subject != chain || step.subject == 0) {
            chain = step.subject;
            operation_id = step.operation_id;
            stopped = false;
        }
        if (stopped)
            continue;
        if (!step.blocked.empty()) {
            stopped = true;
            note(policy, std::string(action_name(step.action)) + " " + step.target + ": " + step.blocked);
            continue;
        }
        if (!unchanged(policy))
            return;
        try {
            take(policy, *zone, step, operation_id);
        } catch (const pg::Error& error) {
            failed(stored, error);
            stopped = true;
            if (operation_id != 0) {
                operation::note_failure(operation_id, error);
                jobs::checkpoint();
            }
        }
    }
}

void Run::pass(bool urgent) {
    if (urgent) {
        policies_ = load_policies(wanted_);
        for (StoredPolicy& stored : policies_) {
            try {
                if (stored.active && stored.gone)
                    suspend_gone(stored);
                else if (stored.renamed)
                    note_new_name(stored);
                jobs::checkpoint();
            } catch (const pg::Error& error) {
                failed(stored, error);
            }
        }
    }
    for (const StoredPolicy& stored : policies_) {
        if (!stored.active || stored.gone || idle_.count(stored.policy.id) > 0)
            continue;
        try {
            if (!stored.error.empty())
                pg::raise(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, stored.error);
            work_on(stored, urgent);
        } catch (const pg::Error& error) {
            failed(stored, error);
        }
    }
}

// Once for each error: what goes on failing for the same reason is one entry.
void note_failed_run(const Policy& policy, const std::string& reason) {
    {
        pg::Spi spi;
        if (!spi.query("SELECT 1 FROM citadel.lifecycle_status WHERE policy_id = $1 AND last_error = $2",
                       {pg::arg(policy.id), pg::arg(reason)})
                 .empty())
            return;
    }
    audit::Entry entry = audit::about("run_policy", policy.relation);
    entry.actor = job_actor;
    entry.outcome = audit::outcome::failed;
    entry.subject_schema = policy.schema;
    entry.subject_name = policy.name;
    entry.policy_id = policy.id;
    entry.policy_version = policy.version;
    entry.reason = reason;
    audit::append(entry);
}

void Run::finish(const StoredPolicy& stored) {
    const Policy& policy = stored.policy;
    // What it says can be found out again: it need not be on disk before the next table's turn.
    pg::guard([] {
        (void)set_config_option("synchronous_commit", "off", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_LOCAL, true, 0,
                                false);
    });
    if (!stored.active)
        return warn(stored);
    const auto error = errors_.find(policy.id);
    std::int64_t default_rows = -1;
    const bool quiet = error == errors_.end() && notes_.count(policy.id) == 0;
    if (!stored.gone && policy.mode == TableMode::partitioned) {
        try {
            default_rows = count_default_rows(policy);
            for (const std::string& warning : partman::warnings(policy))
                note(policy, warning);
        } catch (const pg::Error& failure) {
            failed(stored, failure);
        }
    }
    if (error != errors_.end())
        note_failed_run(policy, error->second);
    {
        pg::Spi spi;
        spi.execute(
            "INSERT INTO citadel.lifecycle_status AS s (policy_id, last_run_at, last_success_at, last_error, "
            "last_error_at, default_rows, notes) SELECT p.policy_id, $2::timestamptz, CASE WHEN $3::text IS NULL "
            "THEN $2::timestamptz END, $3, CASE WHEN $3::text IS NOT NULL THEN $2::timestamptz END, nullif($4, -1), "
            "$5 FROM citadel.lifecycle_policy p WHERE p.policy_id = $1 ON CONFLICT (policy_id) DO UPDATE SET "
            "last_run_at = excluded.last_run_at, last_success_at = coalesce(excluded.last_success_at, "
            "s.last_success_at), last_error = excluded.last_error, last_error_at = coalesce(excluded.last_error_at, "
            "s.last_error_at), default_rows = excluded.default_rows, notes = excluded.notes",
            {pg::arg(policy.id), pg::arg_timestamptz(pg::now()),
             error == errors_.end() ? pg::null() : pg::arg(error->second), pg::arg(default_rows),
             pg::arg_as(TEXTARRAYOID, pg::text_array_literal(notes_[policy.id]))});
    }
    jobs::checkpoint();
    // Where all went well and nothing was left undone, the partitions are there.
    if (!quiet || default_rows > 0)
        warn(stored);
}

void Run::warn(const StoredPolicy& stored) {
    if (stored.gone)
        return;
    try {
        warn_of_alarm(stored);
        jobs::checkpoint();
    } catch (const pg::Error& error) {
        failed(stored, error);
    }
}

audit::Entry restore_entry(const operation::Row& row) {
    audit::Entry entry;
    entry.action = "restore_archive";
    entry.actor = job_actor;
    entry.reason = "archive " + std::to_string(row.archive_id);
    pg::Spi spi;
    const pg::Rows found = spi.query("SELECT origin_schema, origin_name, rows, encode(hash, 'hex'), lower_bound, "
                                     "upper_bound, coalesce(restored_oid, 0::oid) FROM citadel.archive_entry WHERE "
                                     "archive_id = $1",
                                     {pg::arg(row.archive_id)});
    if (found.empty())
        return entry;
    entry.subject_schema = found.text(0, 0);
    entry.subject_name = found.text(0, 1);
    entry.rows = found.int64(0, 2);
    entry.checksum = found.text(0, 3);
    if (!found.is_null(0, 4))
        entry.lower_bound = found.text(0, 4);
    if (!found.is_null(0, 5))
        entry.upper_bound = found.text(0, 5);
    entry.subject = found.oid(0, 6);
    return entry;
}

// Restores that CALL citadel.restore_archive() asked for.
void Run::restores() {
    std::vector<std::int64_t> waiting;
    {
        pg::Spi spi;
        const pg::Rows rows =
            spi.query("SELECT operation_id FROM citadel.lifecycle_operation WHERE kind = 'restore' AND "
                      "finished_at IS NULL AND ($1 OR not_before IS NULL OR not_before <= $2) ORDER BY 1",
                      {pg::arg(impatient_), pg::arg_timestamptz(pg::now())});
        for (std::size_t i = 0; i < rows.size(); ++i)
            waiting.push_back(rows.int64(i, 0));
    }
    for (const std::int64_t id : waiting) {
        try {
            const operation::Row row = operation::read(id);
            operation::set_state(row, "restoring");
            archive::Progress progress = archive::Progress::more;
            while (progress == archive::Progress::more)
                climb("the target of archive " + std::to_string(row.archive_id), [&] {
                    progress = archive::restore_some(row.archive_id);
                    pg::fault_point("lifecycle_restore");
                    if (progress == archive::Progress::done) {
                        operation::set_state(row, "done");
                        audit::append(restore_entry(row));
                    }
                });
        } catch (const pg::Error& error) {
            if (error.is_intervention())
                throw;
            jobs::start_over();
            audit::Entry entry = restore_entry(operation::read(id));
            entry.outcome = audit::outcome::failed;
            entry.reason += ": " + std::string(error.what());
            audit::append(entry);
            operation::note_failure(id, error);
            jobs::checkpoint();
            ++failures_;
            if (failures_ == 1) {
                first_failure_ = error.what();
                first_code_ = error.sqlerrcode();
            }
        }
    }
}

void run(std::int64_t run_id) {
    Run(run_id).work();
}

} // namespace

void install() {
    // Not `destructive`: in a copied database partitions are still made ahead; each policy decides about the rest.
    jobs::register_job(
        {"lifecycle", "makes partitions ahead of time, archives and drops what has expired", "1 hour", false, run});
}

} // namespace citadel::lifecycle
