// The SQL functions of this room.
#include "pg/server.hpp"

#include "jobs/database_list.hpp"
#include "jobs/jobs.hpp"
#include "jobs/schedule.hpp"
#include "jobs/shared_state.hpp"
#include "jobs/utility_hook.hpp"
#include "pg/boundary.hpp"
#include "pg/clock.hpp"
#include "pg/preload.hpp"
#include "pg/spi.hpp"
#include "pg/tuplestore.hpp"
#include "settings/settings.hpp"

extern "C" {
#include "access/htup_details.h"
#include "commands/dbcommands.h"
#include "commands/trigger.h"
#include "utils/lsyscache.h"
}

namespace citadel::jobs {

namespace {

constexpr std::int64_t longest_setting = 100 * 366 * microseconds_per_day;

// The name of a job that exists; raises an error otherwise.
std::string job_name(FunctionCallInfo fcinfo, int argument) {
    if (PG_ARGISNULL(argument))
        pg::raise(ERRCODE_NULL_VALUE_NOT_ALLOWED, "job name must not be null");
    std::string name = pg::to_string(pg::guard([&] { return PG_GETARG_TEXT_PP(argument); }));
    if (find_job(name) != nullptr)
        return name;
    std::string known;
    for (std::size_t i = 0; i < job_count(); ++i)
        known += (i == 0 ? "" : ", ") + std::string(job_at(i).name);
    if (name.size() > max_job_name)
        name = "of " + std::to_string(name.size()) + " bytes";
    else
        name = '"' + name + '"';
    pg::raise(ERRCODE_UNDEFINED_OBJECT, "job " + name + " does not exist", {},
              known.empty() ? "This server has no jobs." : "The jobs of this version are: " + known + ".");
}

std::int64_t length_of(const Interval& interval) {
    return interval_length(interval.month, interval.day, interval.time);
}

// An interval argument for alter_job: NULL stays, zero means back to the default.
pg::Arg setting_interval(FunctionCallInfo fcinfo, int argument, const char* what) {
    if (PG_ARGISNULL(argument))
        return pg::null(INTERVALOID);
    const std::int64_t length = length_of(*PG_GETARG_INTERVAL_P(argument));
    if (length != 0 && length < microseconds_per_second)
        pg::raise(ERRCODE_INVALID_PARAMETER_VALUE, std::string(what) + " must be at least one second", {},
                  "Give interval '0' to return to the default.");
    if (length > longest_setting)
        pg::raise(ERRCODE_INVALID_PARAMETER_VALUE, std::string(what) + " must be at most 100 years");
    return pg::arg_as(INTERVALOID, pg::to_string(PG_GETARG_DATUM(argument), INTERVALOID));
}

std::string default_schedule(const JobDefinition& job) {
    if (job.schedule_s == nullptr)
        return job.default_schedule;
    const int seconds = job.schedule_s();
    return seconds > 0 ? std::to_string(seconds) + " seconds" : "";
}

const char* state_name(shared::State state) {
    switch (state) {
    case shared::State::reserved:
    case shared::State::connecting:
        return "starting";
    case shared::State::idle:
        return "idle";
    case shared::State::working:
        return "working";
    case shared::State::paused:
        return "paused";
    case shared::State::ended:
        return "ended";
    case shared::State::free:
        break;
    }
    return "free";
}

pg::Arg time_or_null(TimestampTz time) {
    return time == 0 ? pg::null(TIMESTAMPTZOID) : pg::arg_timestamptz(time);
}

pg::Arg text_or_null(const char* text) {
    return text == nullptr || *text == '\0' ? pg::null() : pg::arg(text);
}

} // namespace

std::int64_t request_run(const std::string& name) {
    if (!settings::enabled)
        pg::raise(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, "citadel_opt is switched off", {},
                  "Set citadel_opt.enabled = on and reload the configuration.");
    const char* database = pg::guard([] { return get_database_name(MyDatabaseId); });
    const char* allowed = settings::databases == nullptr ? "" : settings::databases;
    if (database != nullptr && !database_allowed(allowed, database))
        pg::raise(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
                  "no workers run in database \"" + std::string(database) + "\"", {},
                  "Add it to citadel_opt.databases and reload the configuration.");
    pg::Spi spi;
    if (find_job(name)->destructive && spi.query("SELECT citadel.database_is_copy()").boolean(0, 0))
        pg::raise(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
                  "job \"" + name + "\" removes data and does not start in a restored or cloned database", {},
                  "Look at the policies, then call citadel.adopt_database().");
    const pg::Rows rows = spi.query("INSERT INTO citadel.job_run_log (job_name, requested_by, queued_at) "
                                    "VALUES ($1, session_user, $2) RETURNING run_id",
                                    {pg::arg(name), pg::arg_timestamptz(pg::now())});
    wake_scheduler_at_commit();
    return rows.int64(0, 0);
}

} // namespace citadel::jobs

using namespace citadel;

CITADEL_FUNCTION(citadel_job_definitions) {
    pg::ResultSet rows(fcinfo);
    for (std::size_t i = 0; i < jobs::job_count(); ++i) {
        const jobs::JobDefinition& job = jobs::job_at(i);
        const std::string schedule = jobs::default_schedule(job);
        rows.row({pg::arg(job.name), pg::arg(job.description),
                  schedule.empty() ? pg::null(INTERVALOID) : pg::arg_as(INTERVALOID, schedule),
                  pg::arg(job.destructive)});
    }
    return 0;
}

// job_name, schedule, retry_delay, destructive, known_since, last_start, last_finish, failures_in_a_row
CITADEL_FUNCTION(citadel_next_job_run) {
    if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
        PG_RETURN_NULL();
    jobs::Schedule schedule;
    schedule.interval = jobs::length_of(*PG_GETARG_INTERVAL_P(1));
    if (!PG_ARGISNULL(2))
        schedule.retry_delay = jobs::length_of(*PG_GETARG_INTERVAL_P(2));
    // A restored dump brings its policies before anybody can have adopted it: a destructive job takes its time.
    if (!PG_ARGISNULL(3) && PG_GETARG_BOOL(3))
        schedule.settle = schedule.interval;
    const std::string name = pg::to_string(pg::guard([&] { return PG_GETARG_TEXT_PP(0); }));
    schedule.spread_key = jobs::stable_hash(name, MyDatabaseId);
    const std::int64_t now = pg::now();
    jobs::History history;
    history.known_since = PG_ARGISNULL(4) ? now : PG_GETARG_TIMESTAMPTZ(4);
    if (!PG_ARGISNULL(5))
        history.last_start = PG_GETARG_TIMESTAMPTZ(5);
    if (!PG_ARGISNULL(6))
        history.last_finish = PG_GETARG_TIMESTAMPTZ(6);
    history.failures_in_a_row = PG_ARGISNULL(7) ? 0 : PG_GETARG_INT32(7);
    const std::int64_t next = jobs::next_run(schedule, history, now);
    PG_RETURN_TIMESTAMPTZ(next >= END_TIMESTAMP ? DT_NOEND : next);
}

CITADEL_FUNCTION(citadel_alter_job) {
    const std::string name = jobs::job_name(fcinfo, 0);
    const pg::Arg enabled = PG_ARGISNULL(1) ? pg::null(BOOLOID) : pg::arg(PG_GETARG_BOOL(1));
    const pg::Arg schedule = jobs::setting_interval(fcinfo, 2, "schedule");
    const pg::Arg max_runtime = jobs::setting_interval(fcinfo, 3, "max_runtime");
    const pg::Arg retry_delay = jobs::setting_interval(fcinfo, 4, "retry_delay");
    pg::Spi spi;
    spi.execute("INSERT INTO citadel.job_setting (job_name) SELECT $1 "
                "WHERE NOT EXISTS (SELECT FROM citadel.job_setting s WHERE s.job_name = $1)",
                {pg::arg(name)});
    spi.execute("UPDATE citadel.job_setting SET enabled = coalesce($2, enabled), "
                "schedule = CASE WHEN $3 IS NULL THEN schedule ELSE nullif($3, interval '0') END, "
                "max_runtime = CASE WHEN $4 IS NULL THEN max_runtime ELSE nullif($4, interval '0') END, "
                "retry_delay = CASE WHEN $5 IS NULL THEN retry_delay "
                "                   ELSE coalesce(nullif($5, interval '0'), interval '1 minute') END, "
                "changed_at = $6, changed_by = session_user WHERE job_name = $1",
                {pg::arg(name), enabled, schedule, max_runtime, retry_delay, pg::arg_timestamptz(pg::now())});
    jobs::wake_scheduler_at_commit();
    PG_RETURN_VOID();
}

CITADEL_FUNCTION(citadel_run_job) {
    pg::require_preload("run_job()");
    const std::string name = jobs::job_name(fcinfo, 0);
    PG_RETURN_INT64(jobs::request_run(name));
}

CITADEL_FUNCTION(citadel_adopt_database) {
    pg::Spi spi;
    const bool was_copy = spi.query("SELECT citadel.database_is_copy()").boolean(0, 0);
    if (was_copy) {
        spi.execute("DELETE FROM citadel.database_identity");
        spi.execute("INSERT INTO citadel.database_identity (system_identifier, database_oid, recorded_at) "
                    "SELECT c.system_identifier, d.oid, $1 FROM pg_control_system() c, pg_database d "
                    "WHERE d.datname = current_database()",
                    {pg::arg_timestamptz(pg::now())});
        jobs::wake_scheduler_at_commit();
    }
    PG_RETURN_BOOL(was_copy);
}

CITADEL_FUNCTION(citadel_job_setting_merge) {
    if (!CALLED_AS_TRIGGER(fcinfo))
        pg::raise(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED, "job_setting_merge() is a trigger function");
    const auto* trigger = reinterpret_cast<TriggerData*>(fcinfo->context);
    if (!TRIGGER_FIRED_BEFORE(trigger->tg_event) || !TRIGGER_FIRED_FOR_ROW(trigger->tg_event) ||
        !TRIGGER_FIRED_BY_INSERT(trigger->tg_event))
        pg::raise(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED,
                  "job_setting_merge() fires before an insert, for each row");
    HeapTuple row = trigger->tg_trigtuple;
    TupleDesc columns = RelationGetDescr(trigger->tg_relation);
    const Datum record = pg::guard([=] { return heap_copy_tuple_as_datum(row, columns); });
    const std::string text = pg::to_string(record, columns->tdtypeid);
    pg::Spi spi;
    const std::uint64_t merged =
        spi.execute("UPDATE citadel.job_setting s SET enabled = n.enabled, schedule = n.schedule, "
                    "max_runtime = n.max_runtime, retry_delay = n.retry_delay, changed_at = n.changed_at, "
                    "changed_by = n.changed_by "
                    "FROM (SELECT ($1::text::citadel.job_setting).*) n WHERE s.job_name = n.job_name",
                    {pg::arg(text)});
    return PointerGetDatum(merged > 0 ? nullptr : row);
}

CITADEL_FUNCTION(citadel_worker_status) {
    pg::ResultSet rows(fcinfo);
    const jobs::shared::LauncherStatus launcher = jobs::shared::launcher();
    if (launcher.pid != 0)
        rows.row({pg::arg("launcher"), pg::arg(launcher.pid), pg::null(), pg::arg("idle"), pg::null(),
                  pg::null(INT8OID), jobs::time_or_null(launcher.started_at),
                  jobs::time_or_null(launcher.last_cycle_at), pg::arg(launcher.cycles), pg::null(INT8OID),
                  pg::null(INT8OID), jobs::text_or_null(launcher.last_error),
                  jobs::time_or_null(launcher.last_error_at)});
    for (const jobs::shared::Slot& slot : jobs::shared::slots()) {
        if (slot.state == jobs::shared::State::ended)
            continue;
        const bool job = slot.kind == jobs::shared::Kind::job;
        const Oid oid = slot.database;
        const char* database = pg::guard([oid] { return get_database_name(oid); });
        rows.row({pg::arg(job ? "job" : "scheduler"), slot.pid == 0 ? pg::null(INT4OID) : pg::arg(slot.pid),
                  jobs::text_or_null(database), pg::arg(jobs::state_name(slot.state)),
                  jobs::text_or_null(slot.job_name), job ? pg::arg(slot.run_id) : pg::null(INT8OID),
                  jobs::time_or_null(slot.started_at), jobs::time_or_null(slot.last_cycle_at),
                  job ? pg::null(INT8OID) : pg::arg(slot.cycles), job ? pg::null(INT8OID) : pg::arg(slot.tick_runs),
                  job ? pg::null(INT8OID) : pg::arg(slot.tick_errors), jobs::text_or_null(slot.last_error),
                  jobs::time_or_null(slot.last_error_at)});
    }
    return 0;
}
