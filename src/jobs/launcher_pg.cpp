// The launcher: one a cluster. Keeps one scheduler running in each allowed database that has the extension.
//
// It connects to no database. Whether the extension is there only a worker inside the database can see, so the launcher
// starts the scheduler on trial: one that finds nothing says so and leaves at once, and the launcher comes back to
// that database when something was created or dropped there.
#include "pg/server.hpp"

#include "capture/capture.hpp"
#include "jobs/database_list.hpp"
#include "jobs/worker.hpp"
#include "pg/boundary.hpp"
#include "pg/fault.hpp"
#include "pg/guard.hpp"
#include "pg/transaction.hpp"
#include "settings/settings.hpp"

#include <algorithm>
#include <unordered_map>

extern "C" {
#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/tableam.h"
#include "catalog/pg_database.h"
#include "postmaster/bgworker.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

PGDLLEXPORT void citadel_launcher_main(Datum argument);
}

namespace citadel::jobs {

namespace {

constexpr std::int64_t second_us = 1000000;
constexpr long idle_wait_ms = 30000;
constexpr long sample_waits_ms = 100;                    // while a statement runs past its threshold
constexpr long look_for_slow_ms = 250;                   // to find out whether one does
constexpr int starts_at_once = 3;                        // so that looking around leaves workers for others
constexpr std::int64_t look_again_us = 3600 * second_us; // at databases without the extension, unasked
constexpr std::int64_t shortest_retry_us = 5 * second_us;
constexpr std::int64_t longest_retry_us = 60 * second_us;
constexpr std::int64_t healthy_after_us = 300 * second_us; // a scheduler that lived this long is retried at once

struct Database {
    Oid oid;
    std::string name;
};

// What the launcher knows of a database; in its own memory, learned anew after a restart.
struct Known {
    TimestampTz look_at = 0; // not before
    std::int64_t retry_us = 0;
};

struct Child {
    shared::Ticket ticket;
    Oid database;
    BackgroundWorkerHandle* handle;
};

class Launcher {
  public:
    void cycle();
    long wait_ms() const { return wait_ms_; }

  private:
    void collect_children();
    void read_requests();
    void start_missing(const std::vector<Database>& eligible);
    bool start_scheduler(const Database& database);
    void retry_later(Oid database);
    void wake_by(TimestampTz at, TimestampTz now);

    std::unordered_map<Oid, Known> known_;
    std::vector<Child> children_;
    long wait_ms_ = idle_wait_ms;
};

// Databases one can connect to, by name and OID. The scan runs in a guard, so it collects plain memory first.
std::vector<Database> connectable_databases() {
    struct Found {
        Oid oid;
        NameData name;
    };
    std::vector<Database> databases;
    pg::Transaction transaction("looking for databases");
    List* found = pg::guard([] {
        List* rows = NIL;
        Relation catalog = table_open(DatabaseRelationId, AccessShareLock);
        TableScanDesc scan = table_beginscan_catalog(catalog, 0, nullptr);
        HeapTuple tuple = nullptr;
        while (HeapTupleIsValid(tuple = heap_getnext(scan, ForwardScanDirection))) {
            const auto* row = reinterpret_cast<Form_pg_database>(GETSTRUCT(tuple));
            // A connection limit below -1 marks a database whose DROP was interrupted.
            if (!row->datallowconn || row->datistemplate || row->datconnlimit < -1)
                continue;
            auto* one = static_cast<Found*>(palloc(sizeof(Found)));
            one->oid = row->oid;
            one->name = row->datname;
            rows = lappend(rows, one);
        }
        table_endscan(scan);
        table_close(catalog, AccessShareLock);
        return rows;
    });
    for (int i = 0; i < list_length(found); ++i) {
        const auto* one = static_cast<const Found*>(list_nth(found, i));
        databases.push_back({one->oid, NameStr(one->name)});
    }
    transaction.commit();
    return databases;
}

bool contains(const std::vector<Database>& databases, Oid oid) {
    return std::any_of(databases.begin(), databases.end(), [oid](const Database& d) { return d.oid == oid; });
}

void Launcher::wake_by(TimestampTz at, TimestampTz now) {
    const std::int64_t ms = std::max<std::int64_t>((at - now) / 1000 + 1, 10);
    wait_ms_ = std::min<std::int64_t>(wait_ms_, ms);
}

void Launcher::retry_later(Oid database) {
    Known& known = known_[database];
    known.retry_us = std::clamp(known.retry_us * 2, shortest_retry_us, longest_retry_us);
    known.look_at = GetCurrentTimestamp() + known.retry_us;
}

void Launcher::collect_children() {
    for (std::size_t i = 0; i < children_.size();) {
        if (!worker::has_ended(children_[i].handle)) {
            ++i;
            continue;
        }
        if (shared::discard(children_[i].ticket)) // it never came up
            retry_later(children_[i].database);
        children_[i] = children_.back();
        children_.pop_back();
    }
    const TimestampTz now = GetCurrentTimestamp();
    for (const shared::Ended& ended : shared::collect_ended()) {
        Known& known = known_[ended.database];
        if (ended.outcome == shared::Outcome::failed) {
            if (now - ended.started_at > healthy_after_us)
                known.retry_us = 0;
            retry_later(ended.database);
        } else {
            known.retry_us = 0;
            known.look_at = ended.outcome == shared::Outcome::absent ? now + look_again_us : now;
        }
    }
}

void Launcher::read_requests() {
    bool overflow = false;
    for (const Oid database : shared::take_requests(overflow))
        known_.erase(database);
    if (overflow)
        known_.clear();
}

bool Launcher::start_scheduler(const Database& database) {
    auto refusal = shared::Refusal::none;
    const shared::Ticket ticket = shared::reserve_scheduler(database.oid, refusal);
    if (!ticket.valid())
        return refusal != shared::Refusal::no_slot;
    const std::string name = "citadel_opt scheduler in " + database.name;
    BackgroundWorkerHandle* handle =
        worker::start("citadel_opt scheduler", name.c_str(), "citadel_scheduler_main", ticket);
    if (handle == nullptr) {
        shared::discard(ticket);
        return false;
    }
    children_.push_back({ticket, database.oid, handle});
    return true;
}

void Launcher::start_missing(const std::vector<Database>& eligible) {
    const TimestampTz now = GetCurrentTimestamp();
    int starting = shared::starting_schedulers();
    for (const Database& database : eligible) {
        if (shared::has_scheduler(database.oid))
            continue;
        const Known& known = known_[database.oid];
        if (known.look_at > now) {
            wake_by(known.look_at, now);
            continue;
        }
        if (starting >= starts_at_once) {
            wake_by(now + second_us, now);
            return;
        }
        if (start_scheduler(database)) {
            ++starting;
            continue;
        }
        const std::string message =
            "no background worker is free for the scheduler of database \"" + database.name + "\"";
        shared::launcher_note_error(message.c_str());
        worker::log_rarely(message, "Raise max_worker_processes, or name fewer databases in citadel_opt.databases.");
        wake_by(now + shortest_retry_us, now);
        return;
    }
}

void Launcher::cycle() {
    wait_ms_ = idle_wait_ms;
    shared::launcher_count_cycle();
    pg::fault_point("jobs.launcher");
    collect_children();
    read_requests();

    std::vector<Database> eligible = connectable_databases();
    const char* allowed = settings::databases == nullptr ? "" : settings::databases;
    eligible.erase(std::remove_if(eligible.begin(), eligible.end(),
                                  [allowed](const Database& d) { return !database_allowed(allowed, d.name); }),
                   eligible.end());

    for (auto it = known_.begin(); it != known_.end();)
        it = contains(eligible, it->first) ? std::next(it) : known_.erase(it);
    std::vector<Oid> unwanted;
    for (const Oid database : shared::scheduled_databases())
        if (!contains(eligible, database))
            unwanted.push_back(database);
    shared::stop_schedulers(unwanted);

    if (settings::enabled)
        start_missing(eligible);
}

// Waits for something to do. What slow statements wait for is sampled meanwhile, since this process is the one that has
// nothing better to do.
void wait_and_sample(long milliseconds) {
    const TimestampTz end = GetCurrentTimestamp() + milliseconds * 1000;
    for (;;) {
        const long left = static_cast<long>((end - GetCurrentTimestamp()) / 1000);
        if (left <= 0)
            return;
        long slice = left;
        if (settings::enabled && settings::capture) {
            capture::judge_overhead();
            const bool wanted = capture::wait_sampling_wanted();
            if (wanted)
                capture::sample_waits();
            slice = std::min(left, wanted ? sample_waits_ms : look_for_slow_ms);
        }
        if (worker::wait(slice))
            return;
    }
}

void launcher_main() {
    worker::take_signals();
    if (!shared::launcher_attach())
        return;
    worker::connect_to_none();
    Launcher launcher;
    for (;;) {
        long wait_ms = 1000;
        try {
            launcher.cycle();
            wait_ms = launcher.wait_ms();
        } catch (const pg::Error& error) {
            shared::launcher_note_error(error.what());
            worker::log_rarely(std::string("launcher: ") + error.what());
        }
        try {
            wait_and_sample(wait_ms);
        } catch (const pg::Error& error) { // a cancel request, or an error in the configuration files
            worker::log_rarely(std::string("launcher: ") + error.what());
        }
    }
}

} // namespace

void register_launcher() {
    BackgroundWorker launcher{};
    strlcpy(launcher.bgw_name, "citadel_opt launcher", BGW_MAXLEN);
    strlcpy(launcher.bgw_type, "citadel_opt launcher", BGW_MAXLEN);
    launcher.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
    // Not before recovery has finished: on a standby it starts with the promotion.
    launcher.bgw_start_time = BgWorkerStart_RecoveryFinished;
    launcher.bgw_restart_time = 5;
    strlcpy(launcher.bgw_library_name, "citadel_opt", sizeof(launcher.bgw_library_name));
    strlcpy(launcher.bgw_function_name, "citadel_launcher_main", sizeof(launcher.bgw_function_name));
    pg::guard([&launcher] { RegisterBackgroundWorker(&launcher); });
}

} // namespace citadel::jobs

extern "C" void citadel_launcher_main(Datum) {
    citadel::pg::boundary([] { citadel::jobs::launcher_main(); });
}
