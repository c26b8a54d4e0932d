// citadel.cancel_operation()
#include "pg/server.hpp"

#include "audit/audit.hpp"
#include "jobs/jobs.hpp"
#include "lifecycle/access_pg.hpp"
#include "lifecycle/plain_pg.hpp"
#include "lifecycle/policy_pg.hpp"
#include "pg/boundary.hpp"
#include "pg/clock.hpp"
#include "pg/preload.hpp"
#include "pg/role.hpp"
#include "pg/spi.hpp"

extern "C" {
#include "catalog/pg_authid.h"
}

namespace citadel::lifecycle::plain {

namespace {

struct Found {
    std::int64_t policy_id = 0;
    std::string kind;
    bool ended = false;
    StoredPolicy stored;
};

Found find(std::int64_t id) {
    const pg::RoleScope superuser(BOOTSTRAP_SUPERUSERID);
    Found found;
    {
        pg::Spi spi;
        const pg::Rows rows = spi.query("SELECT coalesce(policy_id, 0), kind, finished_at IS NOT NULL FROM "
                                        "citadel.lifecycle_operation WHERE operation_id = $1",
                                        {pg::arg(id)});
        if (rows.empty() || !is_ours(rows.text(0, 1)))
            pg::raise(ERRCODE_UNDEFINED_OBJECT,
                      "lifecycle operation " + std::to_string(id) + " does not exist or cannot be cancelled", {},
                      "citadel.undo_expiry() takes an expiry back.");
        found.policy_id = rows.int64(0, 0);
        found.kind = rows.text(0, 1);
        found.ended = rows.boolean(0, 2);
    }
    const std::vector<StoredPolicy> stored = load_policies({found.policy_id});
    if (stored.empty())
        pg::raise(ERRCODE_UNDEFINED_OBJECT, "the policy of lifecycle operation " + std::to_string(id) + " is gone");
    found.stored = stored.front();
    return found;
}

void cancel(std::int64_t id, const Found& found, const std::string& reason) {
    const Policy& policy = found.stored.policy;
    require_owner(policy.relation, policy.schema + "." + policy.name, "cancel an operation on");
    if (found.ended)
        pg::raise(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, "lifecycle operation " + std::to_string(id) + " has ended");
    audit::Entry entry = audit::about("cancel_operation", policy.relation);
    entry.outcome = audit::outcome::started;
    entry.policy_id = policy.id;
    entry.policy_version = policy.version;
    entry.reason = found.kind + " " + std::to_string(id) + (reason.empty() ? "" : ": " + reason);
    const pg::RoleScope superuser(BOOTSTRAP_SUPERUSERID);
    pg::Spi spi;
    // The worker looks at this row in each of its transactions; it holds it only shortly.
    if (spi.execute("UPDATE citadel.lifecycle_operation SET state = 'cancelling', not_before = NULL, updated_at = $2 "
                    "WHERE operation_id = $1 AND finished_at IS NULL",
                    {pg::arg(id), pg::arg_timestamptz(pg::now())}) == 0)
        pg::raise(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, "lifecycle operation " + std::to_string(id) + " has ended");
    audit::append(entry);
    const std::int64_t run = jobs::request_run("lifecycle");
    spi.execute("INSERT INTO citadel.lifecycle_request (run_id, policy_id) VALUES ($1, $2)",
                {pg::arg(run), pg::arg(policy.id)});
}

} // namespace

} // namespace citadel::lifecycle::plain

using namespace citadel;

CITADEL_FUNCTION(citadel_cancel_operation) {
    pg::require_preload("cancel_operation()");
    if (PG_ARGISNULL(0))
        pg::raise(ERRCODE_NULL_VALUE_NOT_ALLOWED, "operation_id must not be null");
    const std::int64_t id = PG_GETARG_INT64(0);
    const std::string reason =
        PG_ARGISNULL(1) ? std::string() : pg::to_string(pg::guard([&] { return PG_GETARG_TEXT_PP(1); }));
    const auto found = lifecycle::plain::find(id);
    audit::audited(audit::about("cancel_operation", found.stored.policy.relation),
                   [&] { lifecycle::plain::cancel(id, found, reason); });
    PG_RETURN_VOID();
}
