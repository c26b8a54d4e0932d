// CALL citadel.restore_archive(): checks, notes what is wanted, and waits for the lifecycle job to do it.
#include "pg/server.hpp"

#include "audit/audit.hpp"
#include "jobs/jobs.hpp"
#include "jobs/schedule.hpp"
#include "lifecycle/archive_entry_pg.hpp"
#include "pg/boundary.hpp"
#include "pg/compat.hpp"
#include "pg/preload.hpp"
#include "pg/role.hpp"
#include "pg/snapshot.hpp"

extern "C" {
#include "catalog/pg_authid.h"
#include "catalog/pg_class.h"
#include "utils/acl.h"
#include "utils/lsyscache.h"
}

namespace citadel::lifecycle::archive {

namespace {

RestoreAs default_way(const Entry& entry, Oid target) {
    if (!OidIsValid(target))
        return RestoreAs::beside;
    const bool partitioned = pg::guard([target] { return get_rel_relkind(target); }) == RELKIND_PARTITIONED_TABLE;
    return partitioned && !entry.bound.empty() ? RestoreAs::partition : RestoreAs::rows;
}

void check_caller(const Entry& entry, Oid caller, Oid target) {
    const Oid owner = entry.owner;
    if (!pg::guard([=] { return superuser_arg(caller) || (OidIsValid(owner) && has_privs_of_role(caller, owner)); }))
        pg::raise(ERRCODE_INSUFFICIENT_PRIVILEGE,
                  "must be owner of archive " + std::to_string(entry.id) + " to restore it");
    if (!OidIsValid(target))
        return;
    const std::string name = pg::qualified_name(target);
    if (name.empty())
        pg::raise(ERRCODE_UNDEFINED_TABLE, "the target does not exist");
    if (!pg::guard([=] { return pg::owns_relation(target, caller); }))
        pg::raise(ERRCODE_INSUFFICIENT_PRIVILEGE, "must be owner of " + name + " to restore an archive into it");
}

} // namespace

RestoreAs parse_way(const std::string& text) {
    if (text == "partition")
        return RestoreAs::partition;
    if (text == "rows")
        return RestoreAs::rows;
    if (text == "beside")
        return RestoreAs::beside;
    pg::raise(ERRCODE_INVALID_PARAMETER_VALUE, "\"" + text + "\" is no way to restore an archive",
              "It is partition, rows or beside.");
}

// Queues the run that restores; the caller commits.
std::int64_t request_restore(std::int64_t archive_id, Oid target, const std::string& way) {
    const Oid caller = GetUserId();
    const pg::RoleScope superuser(BOOTSTRAP_SUPERUSERID);
    Entry entry;
    {
        pg::Spi spi;
        entry = load(spi, archive_id);
    }
    audit::Entry note;
    note.action = "restore_archive";
    note.outcome = audit::outcome::started;
    note.subject = target;
    note.subject_schema = entry.origin_schema;
    note.subject_name = entry.origin_name;
    if (entry.content) {
        note.rows = entry.content->rows;
        note.checksum = entry.content->hex();
    }
    note.reason = "archive " + std::to_string(archive_id);
    return audit::audited(note, [&] {
        check_caller(entry, caller, target);
        const RestoreAs as = way.empty() ? default_way(entry, target) : parse_way(way);
        if ((as == RestoreAs::beside) != !OidIsValid(target))
            pg::raise(ERRCODE_INVALID_PARAMETER_VALUE,
                      as == RestoreAs::beside ? "an archive that is restored beside has no target"
                                              : "an archive that is restored as " + way + " needs a target");
        // Asked again while it goes on, it goes on; asked for something else, it begins anew.
        const bool same = entry.target == target && entry.restore_as == name_of(as);
        if (entry.state == "restoring" && !same)
            abandon_restore(archive_id);
        if (entry.state != "restoring" || !same)
            begin_restore(archive_id, target, as);
        pg::Spi spi;
        if (spi.query("SELECT 1 FROM citadel.lifecycle_operation WHERE kind = 'restore' AND archive_id = $1 "
                      "AND finished_at IS NULL",
                      {pg::arg(archive_id)})
                .size() == 0)
            spi.execute("INSERT INTO citadel.lifecycle_operation (policy_id, kind, subject_oid, subject_schema, "
                        "subject_name, lower_bound, upper_bound, archive_id) SELECT policy_id, 'restore', NULL, "
                        "source_schema, source_name, lower_bound, upper_bound, archive_id "
                        "FROM citadel.archive_entry WHERE archive_id = $1",
                        {pg::arg(archive_id)});
        audit::append(note);
        const std::int64_t run = jobs::request_run("lifecycle");
        spi.execute("INSERT INTO citadel.lifecycle_request (run_id, policy_id) VALUES ($1, 0)", {pg::arg(run)});
        return run;
    });
}

} // namespace citadel::lifecycle::archive

using namespace citadel;
using namespace citadel::lifecycle;

CITADEL_FUNCTION(citadel_restore_archive) {
    pg::require_preload("restore_archive()");
    jobs::require_top_level(fcinfo, "restore_archive()");
    if (PG_ARGISNULL(0) || PG_ARGISNULL(3))
        pg::raise(ERRCODE_NULL_VALUE_NOT_ALLOWED, "archive_id and timeout must not be null");
    const Interval* timeout = PG_GETARG_INTERVAL_P(3);
    const std::int64_t timeout_us = jobs::interval_length(timeout->month, timeout->day, timeout->time);
    if (timeout_us < 0)
        pg::raise(ERRCODE_INVALID_PARAMETER_VALUE, "timeout must not be negative");
    std::int64_t run = 0;
    {
        const pg::ActiveSnapshot snapshot;
        run = archive::request_restore(PG_GETARG_INT64(0), PG_ARGISNULL(1) ? InvalidOid : PG_GETARG_OID(1),
                                       PG_ARGISNULL(2) ? std::string() : pg::to_string(PG_GETARG_TEXT_PP(2)));
    }
    jobs::wait_for_run(run, timeout_us);
    PG_RETURN_VOID();
}

CITADEL_FUNCTION(citadel_archive_restore_begin) {
    if (PG_ARGISNULL(0) || PG_ARGISNULL(2))
        pg::raise(ERRCODE_NULL_VALUE_NOT_ALLOWED, "archive_id and restore_as must not be null");
    archive::begin_restore(PG_GETARG_INT64(0), PG_ARGISNULL(1) ? InvalidOid : PG_GETARG_OID(1),
                           archive::parse_way(pg::to_string(PG_GETARG_TEXT_PP(2))));
    PG_RETURN_VOID();
}
