// SQL functions and procedures that show and run plans.
#include "pg/server.hpp"

#include "audit/audit.hpp"
#include "jobs/jobs.hpp"
#include "jobs/schedule.hpp"
#include "lifecycle/access_pg.hpp"
#include "lifecycle/calendar.hpp"
#include "lifecycle/facts_pg.hpp"
#include "lifecycle/key_pg.hpp"
#include "lifecycle/policy_pg.hpp"
#include "lifecycle/runway_pg.hpp"
#include "pg/boundary.hpp"
#include "pg/clock.hpp"
#include "pg/preload.hpp"
#include "pg/role.hpp"
#include "pg/snapshot.hpp"
#include "pg/spi.hpp"
#include "pg/subtransaction.hpp"
#include "pg/tuplestore.hpp"

#include <map>

extern "C" {
#include "catalog/pg_authid.h"
}

namespace citadel::lifecycle {

namespace {

// Policies that the current user may see or run; those of `relation` alone when it is given.
std::vector<StoredPolicy> policies_for(std::optional<Oid> relation, bool everybody_for_monitors) {
    const bool all = everybody_for_monitors && monitors();
    std::vector<StoredPolicy> policies;
    {
        const pg::RoleScope superuser(BOOTSTRAP_SUPERUSERID);
        policies = load_policies();
    }
    std::vector<StoredPolicy> chosen;
    for (StoredPolicy& stored : policies)
        if ((!relation || stored.policy.relation == *relation) && (all || owns(stored.policy.relation)))
            chosen.push_back(std::move(stored));
    if (relation && chosen.empty()) {
        const std::string name = pg::qualified_name(*relation);
        if (!all)
            require_owner(*relation, name, "see or run the lifecycle policy of");
        pg::raise(ERRCODE_UNDEFINED_OBJECT, "table " + name + " has no lifecycle policy", {},
                  "citadel.create_lifecycle_policy() makes one.");
    }
    return chosen;
}

std::optional<Oid> relation_argument(FunctionCallInfo fcinfo) {
    if (PG_ARGISNULL(0))
        return std::nullopt;
    const Oid relation = PG_GETARG_OID(0);
    if (pg::qualified_name(relation).empty())
        pg::raise(ERRCODE_UNDEFINED_TABLE, "the table does not exist");
    return relation;
}

struct Size {
    std::int64_t rows = 0;
    std::int64_t bytes = 0;
};

std::map<std::uint32_t, Size> sizes_of(const std::vector<Step>& steps) {
    std::string list = "{";
    for (const Step& step : steps)
        if (step.subject != 0)
            list += (list.size() > 1 ? "," : "") + std::to_string(step.subject);
    std::map<std::uint32_t, Size> sizes;
    if (list.size() == 1)
        return sizes;
    pg::Spi spi;
    const pg::Rows rows =
        spi.query("SELECT c.oid, greatest(c.reltuples, 0)::bigint, coalesce(pg_total_relation_size(c.oid), "
                  "0) FROM pg_class c WHERE c.oid = ANY ($1)",
                  {pg::arg_as(OIDARRAYOID, list + "}")});
    for (std::size_t i = 0; i < rows.size(); ++i)
        sizes[rows.oid(i, 0)] = {rows.int64(i, 1), rows.int64(i, 2)};
    return sizes;
}

void show_plan(pg::ResultSet& rows, const StoredPolicy& stored, int& number) {
    const Policy& policy = stored.policy;
    const auto line = [&](const std::string& action, const std::string& target, const Size& size,
                          const std::string& lock, const std::string& reason, const std::string& blocked) {
        rows.row({pg::arg(++number), pg::arg(action), pg::arg(target), pg::arg(size.rows), pg::arg(size.bytes),
                  lock.empty() ? pg::null() : pg::arg(lock), pg::arg(reason),
                  blocked.empty() ? pg::null() : pg::arg(blocked), pg::arg(policy.id),
                  stored.gone ? pg::null(REGCLASSOID) : pg::arg_oid(policy.relation)});
    };
    const std::string table = policy.schema + "." + policy.name;
    if (!stored.active || stored.gone || !stored.error.empty()) {
        line("nothing", table, {}, "", "lifecycle policy " + std::to_string(policy.id),
             stored.gone             ? "its table is gone"
             : !stored.error.empty() ? stored.error
                                     : "the policy is suspended");
        return;
    }
    std::vector<Step> steps;
    const auto error = pg::try_subtransaction([&] { steps = plan_of(policy, true); });
    if (error) {
        line("nothing", table, {}, "", "the plan could not be made", error->what());
        return;
    }
    const auto sizes = sizes_of(steps);
    for (const Step& step : steps) {
        const auto size = sizes.find(step.subject);
        line(action_name(step.action), step.target, size == sizes.end() ? Size{} : size->second, step.lock, step.reason,
             step.blocked);
    }
}

std::int64_t timeout_us(FunctionCallInfo fcinfo, int number) {
    if (PG_ARGISNULL(number))
        pg::raise(ERRCODE_NULL_VALUE_NOT_ALLOWED, "timeout must not be null");
    const Interval* interval = PG_GETARG_INTERVAL_P(number);
    const std::int64_t length = jobs::interval_length(interval->month, interval->day, interval->time);
    if (length < 0)
        pg::raise(ERRCODE_INVALID_PARAMETER_VALUE, "timeout must not be negative");
    return length;
}

// Queues a run of the job for these policies; committed by the wait that follows.
std::int64_t request(const std::vector<std::int64_t>& policies) {
    const pg::RoleScope superuser(BOOTSTRAP_SUPERUSERID);
    const std::int64_t run = jobs::request_run("lifecycle");
    pg::Spi spi;
    for (const std::int64_t id : policies)
        spi.execute("INSERT INTO citadel.lifecycle_request (run_id, policy_id) VALUES ($1, $2)",
                    {pg::arg(run), pg::arg(id)});
    return run;
}

void show_runway(pg::ResultSet& rows, const StoredPolicy& stored) {
    const Policy& policy = stored.policy;
    Runway runway;
    runway.status = !stored.active ? "suspended" : policy.at_home ? "active" : "copy";
    const auto error = pg::try_subtransaction([&] { runway = read_runway(stored); });
    if (error)
        runway.alarm = error->what();
    const auto text = [](const std::string& value) { return value.empty() ? pg::null() : pg::arg(value); };
    pg::Spi spi;
    const pg::Rows last =
        spi.query("SELECT default_rows, last_run_at, last_success_at, last_error, last_error_at, notes "
                  "FROM citadel.lifecycle_status WHERE policy_id = $1",
                  {pg::arg(policy.id)});
    const auto status = [&last](std::size_t column, Oid type) {
        return last.empty() || last.is_null(0, column) ? pg::null(type) : pg::arg_as(type, last.text(0, column));
    };
    rows.row({pg::arg(policy.id),
              pg::arg(pg::quote_identifier(policy.schema) + "." + pg::quote_identifier(policy.name)),
              pg::arg(runway.status), pg::arg(runway.partitions), text(runway.covered_until),
              runway.days_left ? pg::arg(*runway.days_left) : pg::null(FLOAT8OID), pg::arg(runway.ahead),
              pg::arg(policy.premake), status(0, INT8OID), status(1, TIMESTAMPTZOID), status(2, TIMESTAMPTZOID),
              status(3, TEXTOID), status(4, TIMESTAMPTZOID), text(runway.alarm), status(5, TEXTARRAYOID)});
}

} // namespace

} // namespace citadel::lifecycle

using namespace citadel;
using namespace citadel::lifecycle;

CITADEL_FUNCTION(citadel_preview_lifecycle) {
    pg::ResultSet rows(fcinfo);
    const auto policies = policies_for(relation_argument(fcinfo), true);
    const pg::RoleScope superuser(BOOTSTRAP_SUPERUSERID);
    int number = 0;
    for (const StoredPolicy& stored : policies)
        show_plan(rows, stored, number);
    return 0;
}

CITADEL_FUNCTION(citadel_run_lifecycle) {
    pg::require_preload("run_lifecycle()");
    jobs::require_top_level(fcinfo, "run_lifecycle()");
    const std::int64_t timeout = timeout_us(fcinfo, 1);
    std::int64_t run = 0;
    {
        const pg::ActiveSnapshot snapshot;
        std::vector<std::int64_t> ids;
        for (const StoredPolicy& stored : policies_for(relation_argument(fcinfo), false))
            ids.push_back(stored.policy.id);
        if (ids.empty() && !pg::guard([] { return superuser(); }))
            pg::raise(ERRCODE_UNDEFINED_OBJECT, "no table of yours has a lifecycle policy", {},
                      "citadel.create_lifecycle_policy() makes one.");
        if (ids.empty())
            ids.push_back(0);
        run = request(ids);
    }
    jobs::wait_for_run(run, timeout);
    PG_RETURN_VOID();
}

CITADEL_FUNCTION(citadel_undo_expiry) {
    pg::require_preload("undo_expiry()");
    jobs::require_top_level(fcinfo, "undo_expiry()");
    if (PG_ARGISNULL(0))
        pg::raise(ERRCODE_NULL_VALUE_NOT_ALLOWED, "operation_id must not be null");
    const std::int64_t id = PG_GETARG_INT64(0);
    const std::int64_t timeout = timeout_us(fcinfo, 1);
    std::int64_t run = 0;
    {
        const pg::ActiveSnapshot snapshot;
        std::optional<StoredPolicy> found;
        std::string state;
        {
            const pg::RoleScope superuser(BOOTSTRAP_SUPERUSERID);
            pg::Spi spi;
            const pg::Rows rows =
                spi.query("SELECT policy_id, CASE WHEN finished_at IS NULL THEN state ELSE 'ended: ' || "
                          "state END FROM citadel.lifecycle_operation WHERE operation_id = $1 AND kind = "
                          "'expire'",
                          {pg::arg(id)});
            if (!rows.empty()) {
                state = rows.text(0, 1);
                auto policies = load_policies({rows.int64(0, 0)});
                if (!policies.empty())
                    found = policies.front();
            }
        }
        if (!found)
            pg::raise(ERRCODE_UNDEFINED_OBJECT, "expiry " + std::to_string(id) + " does not exist", {},
                      "Look at citadel.lifecycle_step.");
        require_owner(found->policy.relation, found->policy.schema + "." + found->policy.name, "undo an expiry of");
        if (state.rfind("ended", 0) == 0)
            pg::raise(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, "expiry " + std::to_string(id) + " has " + state, {},
                      "citadel.restore_archive() brings an archive back.");
        if (found->policy.mode == TableMode::keep)
            pg::raise(ERRCODE_FEATURE_NOT_SUPPORTED, "what was collected from a plain table is not put back by an undo",
                      {},
                      "Once it is archived, citadel.restore_archive() puts it back as rows; let the policy keep them "
                      "longer first.");
        const std::string policy = std::to_string(found->policy.id);
        if (!found->active || !found->policy.at_home)
            pg::raise(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
                      "lifecycle policy " + policy +
                          (found->active ? " is not meant for this restored or cloned database yet" : " is suspended") +
                          ": nothing of it is undone now",
                      {},
                      "Call citadel.resume_lifecycle_policy(" + policy + ") first; citadel.alter_lifecycle_policy(" +
                          policy + ", drop_enabled => false) keeps everything else from being dropped then.");
        const pg::RoleScope superuser(BOOTSTRAP_SUPERUSERID);
        pg::Spi spi;
        spi.execute(
            "UPDATE citadel.lifecycle_operation SET state = 'undoing', not_before = NULL, updated_at = $2 WHERE "
            "operation_id = $1 AND finished_at IS NULL",
            {pg::arg(id), pg::arg_timestamptz(pg::now())});
        audit::Entry entry = audit::about("undo_expiry", found->policy.relation);
        entry.outcome = audit::outcome::started;
        entry.policy_id = found->policy.id;
        entry.policy_version = found->policy.version;
        entry.reason = "operation " + std::to_string(id) + " in state " + state;
        audit::append(entry);
        run = request({found->policy.id});
    }
    jobs::wait_for_run(run, timeout);
    PG_RETURN_VOID();
}

CITADEL_FUNCTION(citadel_lifecycle_runway) {
    pg::ResultSet rows(fcinfo);
    const auto policies = policies_for(std::nullopt, true);
    const pg::RoleScope superuser(BOOTSTRAP_SUPERUSERID);
    for (const StoredPolicy& stored : policies)
        show_runway(rows, stored);
    return 0;
}
