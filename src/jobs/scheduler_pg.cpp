// The scheduler: one a database. Runs the ticks that other rooms registered, and starts jobs that are due.
#include "pg/server.hpp"

#include "capture/capture.hpp"
#include "jobs/jobs.hpp"
#include "jobs/run_log.hpp"
#include "jobs/schedule.hpp"
#include "jobs/worker.hpp"
#include "pg/boundary.hpp"
#include "pg/clock.hpp"
#include "pg/fault.hpp"
#include "pg/memory.hpp"
#include "pg/transaction.hpp"
#include "pg/version.hpp"
#include "settings/settings.hpp"

#include <algorithm>
#include <map>
#include <utility>

extern "C" {
#include "postmaster/bgworker.h"

PGDLLEXPORT void citadel_scheduler_main(Datum argument);
}

namespace citadel::jobs {

namespace {

constexpr std::int64_t longest_wait_us = 30 * microseconds_per_second;
constexpr std::int64_t shortest_wait_us = 10 * microseconds_per_millisecond;
constexpr std::int64_t jobs_look_us = 60 * microseconds_per_second; // at least that often, whatever was notified
constexpr std::int64_t start_retry_us = 5 * microseconds_per_second;
constexpr std::int64_t housekeeping_us = microseconds_per_hour;
constexpr int starts_per_run = 3;
constexpr const char* lock_timeout = "5s"; // a tick that waits for somebody's lock gives up and comes back

struct Child {
    std::int64_t run_id;
    shared::Ticket ticket;
    BackgroundWorkerHandle* handle;
};

enum class Extension {
    usable,
    of_other_version, // library and SQL: nothing is touched until they are of one
    absent
};

class Scheduler {
  public:
    explicit Scheduler(Oid database) : database_(database) {}
    // Until the worker shall leave; its outcome is then set.
    void run();

  private:
    bool begin();
    bool cycle();
    void run_ticks();
    void run_tick(std::size_t i);
    void look_at_jobs();
    void start(const run_log::Run& run, std::vector<run_log::Run>& hopeless);
    bool children_ended();
    Extension look_at_extension();
    std::int64_t wait_us() const;

    Oid database_;
    std::optional<std::int64_t> tick_ran_[max_ticks];
    std::vector<Child> children_;
    std::map<std::int64_t, int> starts_; // of runs that are still queued
    std::int64_t next_jobs_look_ = 0;
    std::optional<std::int64_t> housekept_;
    bool first_look_ = true;
    int reloads_ = 0;
    Extension extension_ = Extension::usable;
};

// A periodic task in a transaction of its own; its error is reported and counted, and ends nothing else.
void Scheduler::run_tick(std::size_t i) {
    const Tick& tick = tick_at(i);
    tick_ran_[i] = pg::now();
    std::string failure;
    try {
        pg::Transaction transaction(tick.name);
        pg::fault_point("jobs.tick");
        tick.run();
        transaction.commit();
    } catch (const std::exception& error) {
        failure = std::string(tick.name) + ": " + error.what();
    }
    shared::count_tick(!failure.empty());
    if (failure.empty() || shared::stop_requested() || look_at_extension() != Extension::usable)
        return;
    shared::note_error(failure.c_str());
    worker::log_rarely("periodic task " + failure);
}

void Scheduler::run_ticks() {
    for (std::size_t i = 0; i < tick_count() && !shared::stop_requested() && extension_ == Extension::usable; ++i) {
        const Tick& tick = tick_at(i);
        const std::int64_t period = std::max(tick.period_ms(), 1) * microseconds_per_millisecond;
        if (!period_passed(tick_ran_[i], pg::now(), period) && (tick.urgent == nullptr || !tick.urgent()))
            continue;
        // Who changed a setting and then asked for this finds it heeded.
        worker::take_reload();
        if (!settings::enabled)
            return;
        run_tick(i);
    }
}

Extension Scheduler::look_at_extension() {
    pg::Transaction transaction("looking for the extension");
    const bool present = worker::extension_present();
    const std::optional<pg::VersionProblem> problem = pg::version_problem();
    transaction.commit();
    if (problem && extension_ != Extension::of_other_version)
        worker::log_rarely("the workers wait: " + problem->message, problem->hint);
    if (!present)
        shared::set_outcome(shared::Outcome::absent);
    extension_ = !present ? Extension::absent : problem ? Extension::of_other_version : Extension::usable;
    return extension_;
}

bool Scheduler::children_ended() {
    bool ended = false;
    for (std::size_t i = 0; i < children_.size();) {
        if (!worker::has_ended(children_[i].handle)) {
            ++i;
            continue;
        }
        shared::discard(children_[i].ticket);
        children_[i] = children_.back();
        children_.pop_back();
        ended = true;
    }
    return ended;
}

void Scheduler::start(const run_log::Run& run, std::vector<run_log::Run>& hopeless) {
    const int before = starts_[run.run_id];
    if (before >= starts_per_run) {
        hopeless.push_back(run);
        return;
    }
    auto refusal = shared::Refusal::none;
    const shared::Ticket ticket =
        shared::reserve_job(database_, run.run_id, run.job_name.c_str(), settings::max_job_workers, refusal);
    if (!ticket.valid())
        return; // woken when a place is free
    const std::string name = "citadel_opt job " + run.job_name;
    BackgroundWorkerHandle* handle = worker::start("citadel_opt job", name.c_str(), "citadel_job_worker_main", ticket);
    if (handle == nullptr) {
        shared::discard(ticket);
        const std::string message = "no background worker is free for job \"" + run.job_name + "\"";
        shared::note_error(message.c_str());
        worker::log_rarely(message, "Raise max_worker_processes.");
        next_jobs_look_ = pg::now() + start_retry_us;
        return;
    }
    // Only a worker that left its run queued is seen here again; it is given a moment first.
    starts_[run.run_id] = before + 1;
    if (before > 0)
        next_jobs_look_ = pg::now() + start_retry_us;
    children_.push_back({run.run_id, ticket, handle});
}

void Scheduler::look_at_jobs() {
    const std::int64_t now = pg::now();
    next_jobs_look_ = now + jobs_look_us;
    std::vector<run_log::Run> runs;
    {
        pg::Transaction transaction("looking for jobs that are due");
        pg::fault_point("jobs.scheduler");
        if (first_look_)
            run_log::record_identity();
        run_log::fail_vanished(database_);
        run_log::queue_due();
        runs = run_log::startable();
        if (const auto next = run_log::milliseconds_to_next())
            next_jobs_look_ =
                std::min(next_jobs_look_, now + std::max<std::int64_t>(*next, 100) * microseconds_per_millisecond);
        if (period_passed(housekept_, now, housekeeping_us)) {
            run_log::forget_old(settings::history_retention_min / 60);
            housekept_ = now;
        }
        transaction.commit();
    }
    first_look_ = false;

    for (auto it = starts_.begin(); it != starts_.end();) {
        const bool queued =
            std::any_of(runs.begin(), runs.end(), [&it](const run_log::Run& run) { return run.run_id == it->first; });
        it = queued ? std::next(it) : starts_.erase(it);
    }
    std::vector<run_log::Run> hopeless;
    for (const run_log::Run& run : runs)
        if (!shared::run_is_alive(run.run_id, database_))
            start(run, hopeless);
    if (!hopeless.empty()) {
        pg::Transaction transaction("giving up job runs");
        for (const run_log::Run& run : hopeless)
            run_log::fail_start(run.run_id, "Its worker was started " + std::to_string(starts_per_run) +
                                                " times and ended each time before the run began.");
        transaction.commit();
    }
}

std::int64_t Scheduler::wait_us() const {
    const std::int64_t now = pg::now();
    std::int64_t wait = std::min(longest_wait_us, next_jobs_look_ - now);
    for (std::size_t i = 0; i < tick_count(); ++i) {
        const std::int64_t period = std::max(tick_at(i).period_ms(), 1) * microseconds_per_millisecond;
        wait = std::min(wait, tick_ran_[i].value_or(now) + period - now);
    }
    return std::clamp(wait, shortest_wait_us, longest_wait_us);
}

// False when it is time to leave.
bool Scheduler::cycle() {
    shared::count_cycle();
    if (shared::stop_requested()) {
        shared::set_outcome(shared::Outcome::asked);
        return false;
    }
    const bool ended = children_ended();
    if (std::exchange(reloads_, worker::reloads()) != worker::reloads())
        next_jobs_look_ = 0; // more workers may be allowed, or another schedule
    if (!settings::enabled) {
        shared::set_state(shared::State::paused);
        shared::cancel_jobs(database_);
        next_jobs_look_ = 0;
        return true;
    }
    if (extension_ == Extension::of_other_version) {
        if (look_at_extension() == Extension::absent)
            return false;
        if (extension_ == Extension::of_other_version) {
            shared::set_state(shared::State::paused);
            return true;
        }
    }
    shared::set_state(shared::State::working);
    capture::become_consumer();
    run_ticks();
    worker::take_reload();
    if (!settings::enabled)
        return true;
    if (shared::take_jobs_changed() || ended || pg::now() >= next_jobs_look_) {
        if (look_at_extension() == Extension::absent)
            return false;
        if (!shared::stop_requested() && extension_ == Extension::usable)
            look_at_jobs();
    }
    shared::set_state(shared::State::idle);
    return true;
}

bool Scheduler::begin() {
    if (look_at_extension() == Extension::absent)
        return false;
    pg::guard([] { SetConfigOption("lock_timeout", lock_timeout, PGC_SUSET, PGC_S_OVERRIDE); });
    return true;
}

void Scheduler::run() {
    if (!begin())
        return;
    pg::MemoryScope scratch("citadel_opt scheduler cycle", TopMemoryContext);
    for (;;) {
        std::int64_t wait = microseconds_per_second;
        // The end of a transaction leaves TopMemoryContext current.
        MemoryContextSwitchTo(scratch.context());
        try {
            if (!cycle())
                return;
            wait = settings::enabled && extension_ == Extension::usable ? wait_us() : longest_wait_us;
        } catch (const pg::Error& error) {
            // Also a cancel request that reached the scheduler between its transactions.
            if (!shared::stop_requested() && look_at_extension() == Extension::absent)
                return;
            if (!shared::stop_requested()) {
                shared::note_error(error.what());
                worker::log_rarely(std::string("scheduler: ") + error.what());
                next_jobs_look_ = pg::now() + start_retry_us;
            }
        }
        MemoryContextSwitchTo(scratch.context());
        scratch.reset();
        try {
            if (reloads_ != worker::reloads())
                wait = shortest_wait_us; // the cycle began under other settings
            if (!shared::stop_requested())
                worker::wait(static_cast<long>(wait / microseconds_per_millisecond));
        } catch (const pg::Error& error) {
            worker::log_rarely(std::string("scheduler: ") + error.what());
        }
    }
}

void scheduler_main() {
    const shared::Ticket ticket = worker::own_ticket();
    if (!shared::attach(ticket))
        return;
    const Oid database = shared::own()->database;
    worker::take_signals();
    worker::connect(database, "citadel_opt scheduler");
    shared::set_state(shared::State::idle);
    Scheduler scheduler(database);
    scheduler.run();
}

} // namespace

} // namespace citadel::jobs

extern "C" void citadel_scheduler_main(Datum) {
    citadel::pg::boundary([] { citadel::jobs::scheduler_main(); });
}
