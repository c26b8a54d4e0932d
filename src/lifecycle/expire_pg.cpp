#include "lifecycle/expire_pg.hpp"

#include "audit/audit.hpp"
#include "jobs/jobs.hpp"
#include "lifecycle/archive_pg.hpp"
#include "lifecycle/create_pg.hpp"
#include "lifecycle/facts_pg.hpp"
#include "lifecycle/holds_pg.hpp"
#include "lifecycle/key_pg.hpp"
#include "lifecycle/ladder_pg.hpp"
#include "lifecycle/lifecycle.hpp"
#include "lifecycle/operation_pg.hpp"
#include "lifecycle/policy_pg.hpp"
#include "lifecycle/writers_pg.hpp"
#include "pg/clock.hpp"
#include "pg/fault.hpp"
#include "pg/spi.hpp"
#include "pg/write_as.hpp"
#include "settings/settings.hpp"

#include <set>

namespace citadel::lifecycle {

namespace {

// A concurrent detach waits for everybody who uses the table, and nobody waits for it; but the other tables do.
std::string detach_wait() {
    return std::to_string(2 * settings::lifecycle_lock_patience_s) + "s";
}

enum class Attachment { gone, attached, pending, detached };

Attachment attachment_of(Oid parent, Oid partition) {
    pg::Spi spi;
    const pg::Rows rows = spi.query("SELECT i.inhdetachpending FROM pg_class c LEFT JOIN pg_inherits i ON i.inhrelid = "
                                    "c.oid AND i.inhparent = $1 WHERE c.oid = $2",
                                    {pg::arg_oid(parent), pg::arg_oid(partition)});
    if (rows.empty())
        return Attachment::gone;
    if (rows.is_null(0, 0))
        return Attachment::detached;
    return rows.boolean(0, 0) ? Attachment::pending : Attachment::attached;
}

bool has_default(Oid parent) {
    pg::Spi spi;
    return spi.query("SELECT partdefid <> 0 FROM pg_partitioned_table WHERE partrelid = $1", {pg::arg_oid(parent)})
        .boolean(0, 0);
}

audit::Entry entry_for(const Policy& policy, const operation::Row& row, const char* action) {
    audit::Entry entry = audit::about(action, row.subject);
    entry.actor = job_actor;
    if (entry.subject_name.empty()) {
        entry.subject_schema = row.schema;
        entry.subject_name = row.name;
    }
    entry.policy_id = policy.id;
    entry.policy_version = policy.version;
    if (!row.lower_text.empty())
        entry.lower_bound = row.lower_text;
    if (!row.upper_text.empty())
        entry.upper_bound = row.upper_text;
    return entry;
}

class Expiry {
  public:
    Expiry(const Policy& policy, const Zone& zone, operation::Row row)
        : policy_(policy), zone_(zone), row_(std::move(row)) {}

    void detach();
    void close();
    void archive();
    void verify();
    void drop();
    void undo();

  private:
    bool in(const std::set<std::string>& states) const { return states.count(row_.state) > 0; }
    void enter(const char* state) { operation::enter(row_, state); }
    // Commits the start of a step before it acts.
    void announce(const char* state) {
        if (row_.state == state)
            return;
        enter(state);
        jobs::checkpoint();
    }
    void append(const char* action) { audit::append(entry_for(policy_, row_, action)); }
    void reload() { row_ = operation::read(row_.id); }
    // An expiry that has begun to archive goes on as it began, whatever the policy says now.
    bool archives() const { return row_.archive_id != 0 || policy_.on_expiry == OnExpiry::archive; }
    bool moves() const {
        return archives() && (row_.archive_id != 0 ? row_.destination : policy_.archive_to).rfind("schema", 0) == 0;
    }
    bool cancelled_if_gone() {
        if (attachment_of(policy_.relation, row_.subject) != Attachment::gone)
            return false;
        if (row_.archive_id != 0)
            archive::give_up(row_.archive_id);
        enter("cancelled");
        {
            pg::Spi spi;
            spi.execute(
                "UPDATE citadel.lifecycle_operation SET last_error = 'the partition was dropped by somebody else' "
                "WHERE operation_id = $1",
                {pg::arg(row_.id)});
        }
        audit::Entry entry = entry_for(policy_, row_, "expire");
        entry.outcome = audit::outcome::failed;
        entry.reason = "the partition was dropped by somebody else";
        audit::append(entry);
        jobs::checkpoint();
        return true;
    }
    // In the transaction that takes rows away, before any lock on the table.
    void refuse_held() {
        lock_holds();
        const std::string reason = holds_on(policy_, row_.subject, row_.lower, row_.upper, zone_);
        if (!reason.empty())
            pg::raise(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, name() + " is held: " + reason);
    }
    // In the transaction that drops rows: what the plan was made from still holds, and goes on holding until it ends.
    void require_unchanged() const {
        pg::Spi spi;
        if (spi.query("SELECT 1 FROM citadel.lifecycle_policy WHERE policy_id = $1 AND version = $2 AND status = "
                      "'active' FOR SHARE",
                      {pg::arg(policy_.id), pg::arg(policy_.version)})
                .empty())
            pg::raise(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
                      "lifecycle policy " + std::to_string(policy_.id) + " was changed or suspended meanwhile");
    }
    template <class Work>
    void copying(const Work& work);
    std::string name() const { return pg::qualified_name(row_.subject); }
    void detach_with_ladder();
    void detach_concurrently(bool finalize);
    void detached();
    void start_quarantine();
    void archived();
    bool moved_already();
    archive::Source source() const;

    const Policy& policy_;
    const Zone& zone_;
    operation::Row row_;
};

// The bounds may have been changed since the plan was made (detached and attached again by hand).
void require_same_bounds(const Policy& policy, const operation::Row& row) {
    for (const Partition& partition : read_partitions(policy.relation, policy.kind))
        if (partition.oid == row.subject && (partition.lower != row.lower || partition.upper != row.upper))
            pg::raise(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
                      "the bounds of " + pg::qualified_name(row.subject) + " have changed since its expiry began");
}

void Expiry::detached() {
    enter("detached");
    append("detach");
    if (policy_.on_expiry == OnExpiry::detach)
        enter("done");
}

void Expiry::detach_with_ladder() {
    climb(relation_name(policy_), [this] {
        refuse_held();
        pg::execute_as(policy_.owner, {"ALTER TABLE " + relation_name(policy_) + " DETACH PARTITION " + name()});
        pg::fault_point("lifecycle_detach_ladder");
        detached();
    });
}

// The server insists on a transaction of its own. It evaluates the constant parts of the partition's constraints, so
// that is done as the owner.
void run_detach_outside(const std::string& statement, Oid owner) {
    const std::string wait = detach_wait();
    const char* wait_text = wait.c_str();
    pg::guard([wait_text] {
        (void)set_config_option("lock_timeout", wait_text, PGC_SUSET, PGC_S_SESSION, GUC_ACTION_SET, true, 0, false);
    });
    const auto reset = [] {
        pg::guard([] {
            (void)set_config_option("lock_timeout", "0", PGC_SUSET, PGC_S_SESSION, GUC_ACTION_SET, true, 0, false);
        });
    };
    try {
        jobs::run_outside(statement, owner);
    } catch (...) {
        reset();
        throw;
    }
    reset();
}

void Expiry::detach_concurrently(bool finalize) {
    if (!finalize)
        refuse_held();
    const std::string statement = "ALTER TABLE " + relation_name(policy_) + " DETACH PARTITION " + name() +
                                  (finalize ? " FINALIZE" : " CONCURRENTLY");
    run_detach_outside(statement, policy_.owner);
    pg::fault_point("lifecycle_detach_concurrent");
    detached();
    jobs::checkpoint();
}

void Expiry::detach() {
    if (!in({"planned", "detaching"}) || cancelled_if_gone())
        return;
    announce("detaching");
    pg::fault_point("lifecycle_detach_start");
    switch (attachment_of(policy_.relation, row_.subject)) {
    case Attachment::attached:
        require_same_bounds(policy_, row_);
        if (has_default(policy_.relation))
            detach_with_ladder();
        else
            detach_concurrently(false);
        break;
    case Attachment::pending:
        detach_concurrently(true);
        break;
    case Attachment::detached:
    case Attachment::gone:
        detached();
        jobs::checkpoint();
        break;
    }
    pg::fault_point("lifecycle_detached");
}

void Expiry::start_quarantine() {
    enter("quarantined");
    operation::set_not_before(row_, pg::now() + policy_.quarantine_us);
}

void Expiry::close() {
    if (!in({"detached"}) || cancelled_if_gone())
        return;
    pg::fault_point("lifecycle_close_start");
    climb(name(), [this] {
        // What an interrupted run saved stays: a second look would find nothing left to take.
        const std::string saved = close_to_writers(row_.subject);
        if (!saved.empty())
            operation::set_detail(row_, "privileges", saved);
        enter("closed");
        if (policy_.on_expiry == OnExpiry::drop)
            start_quarantine();
        pg::fault_point("lifecycle_close");
    });
    reload();
    pg::fault_point("lifecycle_closed");
}

archive::Source Expiry::source() const {
    archive::Source source;
    source.policy_id = policy_.id;
    source.relation = row_.subject;
    source.destination = policy_.archive_to;
    source.tablespace = policy_.archive_tablespace;
    source.origin_schema = policy_.schema;
    source.origin_name = policy_.name;
    source.lower_bound = row_.lower_text;
    source.upper_bound = row_.upper_text;
    source.partition_bound = row_.bound;
    source.privileges = row_.privileges;
    return source;
}

// A copy that cannot become whole any more is given up, and the next run makes another: the source was changed, or what
// was copied is lost. The error is raised all the same.
template <class Work>
void Expiry::copying(const Work& work) {
    try {
        work();
    } catch (const pg::Error& error) {
        const int code = error.sqlerrcode();
        if (row_.archive_id == 0 || (code != ERRCODE_DATA_CORRUPTED && code != ERRCODE_DATATYPE_MISMATCH &&
                                     code != ERRCODE_UNDEFINED_FILE && code != ERRCODE_UNDEFINED_TABLE))
            throw;
        jobs::start_over();
        climb(name(), [this] {
            archive::give_up(row_.archive_id);
            operation::begin_anew(row_);
            audit::Entry entry = entry_for(policy_, row_, "archive");
            entry.outcome = audit::outcome::failed;
            entry.reason = "the unfinished copy " + std::to_string(row_.archive_id) + " was given up";
            audit::append(entry);
        });
        throw;
    }
}

void Expiry::archive() {
    if (!in({"closed", "copying"}) || cancelled_if_gone())
        return;
    if (row_.archive_id == 0) {
        pg::fault_point("lifecycle_archive_start");
        climb(name(), [this] {
            refuse_held();
            const std::int64_t id = archive::begin(source());
            operation::set_archive(row_, id);
            enter("copying");
            audit::Entry entry = entry_for(policy_, row_, "archive");
            entry.outcome = audit::outcome::started;
            entry.reason = "to " + policy_.archive_to;
            audit::append(entry);
            pg::fault_point("lifecycle_archive_begin");
        });
        reload();
    }
    pg::fault_point("lifecycle_copying");
    archive::Progress progress = archive::Progress::more;
    copying([&] {
        while (progress == archive::Progress::more) {
            climb(name(), [&] {
                if (moves())
                    refuse_held();
                progress = archive::copy_some(row_.archive_id);
                pg::fault_point("lifecycle_copy");
                if (progress == archive::Progress::done)
                    enter("verifying");
            });
        }
    });
    pg::fault_point("lifecycle_copied");
}

void Expiry::verify() {
    if (!in({"verifying"}) || cancelled_if_gone())
        return;
    pg::fault_point("lifecycle_verify_start");
    archive::Progress progress = archive::Progress::more;
    copying([&] {
        while (progress == archive::Progress::more) {
            climb(name(), [&] {
                progress = archive::verify_some(row_.archive_id);
                pg::fault_point("lifecycle_verify");
                if (progress == archive::Progress::done)
                    archived();
            });
        }
    });
    pg::fault_point("lifecycle_verified");
}

void Expiry::archived() {
    audit::Entry entry = entry_for(policy_, row_, "archive");
    {
        pg::Spi spi;
        const pg::Rows found =
            spi.query("SELECT rows, encode(hash, 'hex'), verification, location FROM citadel.archive_entry "
                      "WHERE archive_id = $1",
                      {pg::arg(row_.archive_id)});
        entry.rows = found.int64(0, 0);
        entry.checksum = found.text(0, 1);
        entry.reason = found.text(0, 2) + " in " + found.text(0, 3);
    }
    audit::append(entry);
    if (moves())
        enter("done");
    else
        start_quarantine();
}

void Expiry::drop() {
    if (!in({"quarantined", "dropping"}))
        return;
    // Not before, whatever the plan was made from. Once the quarantine is over, what is noted there is the pause after
    // a failure, which who waits for a run need not keep.
    if (row_.state == "quarantined") {
        pg::Spi spi;
        if (spi.query(
                   "SELECT coalesce(not_before > $2, false) FROM citadel.lifecycle_operation WHERE operation_id = $1",
                   {pg::arg(row_.id), pg::arg_timestamptz(pg::now())})
                .boolean(0, 0))
            return;
    }
    announce("dropping");
    pg::fault_point("lifecycle_drop_start");
    switch (attachment_of(policy_.relation, row_.subject)) {
    case Attachment::gone:
        enter("done");
        jobs::checkpoint();
        return;
    case Attachment::attached:
    case Attachment::pending:
        pg::raise(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, name() + " was attached again: nothing is dropped", {},
                  "citadel.undo_expiry() ends the operation.");
    case Attachment::detached:
        break;
    }
    // The copy was verified before the quarantine; since then a disk, another server or a promotion may have lost it.
    if (archives() && row_.archive_id != 0)
        archive::require_copy(row_.archive_id);
    climb(name(), [this] {
        refuse_held();
        require_unchanged();
        audit::Entry entry = entry_for(policy_, row_, "drop");
        {
            pg::Spi spi;
            spi.execute("LOCK TABLE ONLY " + name() + " IN ACCESS EXCLUSIVE MODE");
            if (archives()) {
                if (row_.archive_id == 0 || !archive::source_matches(row_.archive_id))
                    pg::raise(ERRCODE_DATA_CORRUPTED,
                              name() + " is no longer what its archive holds: it is not dropped", {},
                              "Somebody wrote to it after it was archived. citadel.undo_expiry() gives it back.");
                const pg::Rows found =
                    spi.query("SELECT rows, encode(hash, 'hex') FROM citadel.archive_entry WHERE archive_id = $1 "
                              "AND verification = 'verified'",
                              {pg::arg(row_.archive_id)});
                if (found.empty())
                    pg::raise(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
                              "archive " + std::to_string(row_.archive_id) + " is not verified: nothing is dropped");
                entry.rows = found.int64(0, 0);
                entry.checksum = found.text(0, 1);
            }
        }
        entry.reason = archives() ? "archived and verified" : "the policy says drop";
        audit::append(entry);
        enter("done");
        pg::execute_as(policy_.owner, {"DROP TABLE " + name()});
        pg::fault_point("lifecycle_drop");
    });
    pg::fault_point("lifecycle_dropped");
}

// A table that lies in the archive's schema is no copy that could be given up: the expiry ends as it would have.
bool Expiry::moved_already() {
    if (!moves() || row_.archive_id == 0)
        return false;
    {
        pg::Spi spi;
        if (spi.query("SELECT 1 FROM citadel.archive_entry WHERE archive_id = $1 AND state IN ('copied', 'complete')",
                      {pg::arg(row_.archive_id)})
                .empty())
            return false;
    }
    while (archive::verify_some(row_.archive_id) == archive::Progress::more)
        continue;
    archived();
    jobs::checkpoint();
    pg::raise(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
              name() + " has been moved already: its expiry cannot be undone any more", {},
              "CALL citadel.restore_archive(" + std::to_string(row_.archive_id) + ", ...) brings it back.");
}

void Expiry::undo() {
    if (row_.state != "undoing" || cancelled_if_gone())
        return;
    pg::fault_point("lifecycle_undo_start");
    if (moved_already())
        return;
    if (row_.archive_id != 0) {
        archive::discard_copy(row_.archive_id);
        jobs::checkpoint();
        pg::fault_point("lifecycle_undo_discarded");
    }
    if (attachment_of(policy_.relation, row_.subject) == Attachment::pending)
        run_detach_outside("ALTER TABLE " + relation_name(policy_) + " DETACH PARTITION " + name() + " FINALIZE",
                           policy_.owner);
    climb(relation_name(policy_), [this] {
        open_to_writers(row_.subject, row_.privileges);
        if (attachment_of(policy_.relation, row_.subject) == Attachment::detached)
            attach(policy_, row_.subject, row_.lower, row_.upper);
        pg::Spi spi;
        spi.execute("UPDATE citadel.lifecycle_operation SET detail = detail || jsonb_build_object('undone_version', "
                    "(SELECT version FROM citadel.lifecycle_policy WHERE policy_id = $2)) WHERE operation_id = $1",
                    {pg::arg(row_.id), pg::arg(policy_.id)});
        enter("undone");
        append("undo");
        pg::fault_point("lifecycle_undo");
    });
}

} // namespace

void take_expiry_step(const Policy& policy, const Zone& zone, const Step& step, std::int64_t& operation_id) {
    operation::Row row = operation_id != 0 || step.operation_id != 0
                             ? operation::read(operation_id != 0 ? operation_id : step.operation_id)
                             : operation::open_expiry(policy, step.subject, step.lower, step.upper);
    operation_id = row.id;
    Expiry expiry(policy, zone, std::move(row));
    switch (step.action) {
    case Action::detach:
        return expiry.detach();
    case Action::close_to_writers:
        return expiry.close();
    case Action::archive:
        return expiry.archive();
    case Action::verify:
        return expiry.verify();
    case Action::drop:
        return expiry.drop();
    case Action::undo:
        return expiry.undo();
    default:
        return;
    }
}

void finalize_detach(const Policy& policy, const Step& step) {
    if (attachment_of(policy.relation, step.subject) != Attachment::pending)
        return;
    pg::fault_point("lifecycle_finalize");
    run_detach_outside("ALTER TABLE " + relation_name(policy) + " DETACH PARTITION " +
                           pg::qualified_name(step.subject) + " FINALIZE",
                       policy.owner);
    audit::Entry entry = audit::about("finalize_detach", step.subject);
    entry.actor = job_actor;
    entry.policy_id = policy.id;
    entry.policy_version = policy.version;
    entry.reason = step.reason;
    audit::append(entry);
    jobs::checkpoint();
}

} // namespace citadel::lifecycle
