#include "settings/settings.hpp"

#include "pg/clock.hpp"
#include "pg/fault.hpp"
#include "pg/guard.hpp"

#include <climits>
#include <variant>

namespace citadel::settings {

bool enabled = true;
bool capture = true;
bool capture_nested = false;
int slow_query_threshold_ms = 1000;
double sample_rate = 1.0;
int sample_interval_s = 10;
int sample_parameters = sample_parameters_memory;
int capture_buffer_kb = 16 * 1024;
bool statement_history = true;
int statement_buffer_kb = 4 * 1024;
int statement_flush_ms = 2000;
double max_overhead = 0.01;
char* databases = nullptr;
int max_job_workers = 2;
int advise_interval_s = 60 * 60;
int advise_planning_limit_ms = 5000;
int history_statements = 200;
int minute_retention_min = 7 * 24 * 60;
int hour_retention_min = 90 * 24 * 60;
int day_retention_min = 732 * 24 * 60;
int history_retention_min = 30 * 24 * 60;
int unused_index_age_min = 30 * 24 * 60;
int audit_retention_min = 0;
int lifecycle_batch_ms = 100;
double lifecycle_load = 0.5;
int lifecycle_lock_patience_s = 30;
int lifecycle_max_lag_kb = 256 * 1024;
int lifecycle_max_wal_backlog = 64;
int maintenance = maintenance_report;
char* maintenance_hours = nullptr;
double maintenance_cost_delay_ms = 2.0;
bool alerts = true;
int alert_interval_s = 30;
int metrics_top = 20;
char* archive_directory = nullptr;
int debug_clock_offset_ms = 0;
char* debug_fault = nullptr;
double debug_overhead = -1;

namespace {

const config_enum_entry sample_parameters_values[] = {
    {"off", sample_parameters_off, false},
    {"memory", sample_parameters_memory, false},
    {"store", sample_parameters_store, false},
    {nullptr, 0, false},
};

const config_enum_entry maintenance_values[] = {
    {"off", maintenance_off, false},
    {"report", maintenance_report, false},
    {"act", maintenance_act, false},
    {nullptr, 0, false},
};

struct Bool {
    bool* variable;
};
struct Int {
    int* variable;
    int minimum;
    int maximum;
};
struct Real {
    double* variable;
    double minimum;
    double maximum;
};
struct String {
    char** variable;
    const char* initial;
};
struct Enum {
    int* variable;
    const config_enum_entry* values;
};

// One setting. Defaults are the initial values of the variables above (strings name theirs).
struct Setting {
    const char* name;
    std::variant<Bool, Int, Real, String, Enum> kind;
    GucContext context;
    int flags; // the unit among them
    const char* summary;
    const char* detail;
};

constexpr int day_min = 24 * 60;

const Setting table[] = {
    {"citadel_opt.enabled", Bool{&enabled}, PGC_SIGHUP, 0, "Turns citadel_opt on or off.",
     "Off stops capture, jobs and history; works by reload."},
    {"citadel_opt.capture", Bool{&capture}, PGC_SIGHUP, 0, "Captures slow statements.",
     "Off leaves only a check of this flag in each statement; works by reload."},
    {"citadel_opt.slow_query_threshold", Int{&slow_query_threshold_ms, -1, INT_MAX / 2}, PGC_SUSET, GUC_UNIT_MS,
     "Statements that run at least this long are captured.",
     "0 captures every statement, -1 none. Can be set for a role or a database."},
    {"citadel_opt.sample_rate", Real{&sample_rate, 0.0, 1.0}, PGC_SUSET, 0,
     "Share of the slow statements that are captured.", "Each slow statement is captured with this probability."},
    {"citadel_opt.sample_parameters", Enum{&sample_parameters, sample_parameters_values}, PGC_SUSET, 0,
     "What happens to literals and bind values of slow statements.",
     "off: not looked at. memory: kept in shared memory for costing, not stored. store: stored."},
    {"citadel_opt.capture_nested", Bool{&capture_nested}, PGC_SUSET, 0,
     "Captures statements that run inside functions and procedures.", nullptr},
    {"citadel_opt.sample_interval", Int{&sample_interval_s, 1, 3600}, PGC_SIGHUP, GUC_UNIT_S,
     "Captured samples are written to the history tables this often.",
     "They are written earlier when the buffer is half full."},
    {"citadel_opt.capture_buffer_size", Int{&capture_buffer_kb, 1024, 1024 * 1024}, PGC_POSTMASTER, GUC_UNIT_KB,
     "Shared memory for captured samples, texts, plans and parameters.", "What does not fit is dropped and counted."},
    {"citadel_opt.statement_history", Bool{&statement_history}, PGC_SUSET, 0,
     "Counts what every statement did: calls, errors, time, rows, blocks, and a histogram of latencies.",
     "Slow or not; slow ones are captured besides."},
    {"citadel_opt.statement_buffer_size", Int{&statement_buffer_kb, 64, 1024 * 1024}, PGC_POSTMASTER, GUC_UNIT_KB,
     "Shared memory for what statements did in the last minute.",
     "When it is full the least used statements are counted together."},
    {"citadel_opt.statement_flush_interval", Int{&statement_flush_ms, 10, 60 * 1000}, PGC_SIGHUP, GUC_UNIT_MS,
     "Each process adds what it counted to shared memory this often.", nullptr},
    {"citadel_opt.max_overhead", Real{&max_overhead, 0.0, 1.0}, PGC_SIGHUP, 0,
     "Share of the time of statements that capture may take.",
     "When it takes more, parts of its work are left out, step by step. 0: that is neither measured nor done."},
    {"citadel_opt.databases", String{&databases, "*"}, PGC_SIGHUP, GUC_LIST_INPUT,
     "Databases in which the background workers may run.", "A comma-separated list of names, or * for all."},
    {"citadel_opt.max_job_workers", Int{&max_job_workers, 0, 64}, PGC_SIGHUP, 0,
     "Jobs that may run at once in the whole cluster.", "They count against max_worker_processes."},
    {"citadel_opt.advise_planning_limit", Int{&advise_planning_limit_ms, 0, INT_MAX}, PGC_USERSET, GUC_UNIT_MS,
     "The index advisor skips a statement that takes longer to plan.",
     "Looked at whenever the planner joins two relations. 0 turns the limit off."},
    {"citadel_opt.advise_interval", Int{&advise_interval_s, 0, INT_MAX / 1000}, PGC_SIGHUP, GUC_UNIT_S,
     "The index advisor runs this often in each database.", "0 turns the schedule off; run_job('advise') still works."},
    {"citadel_opt.history_retention", Int{&history_retention_min, day_min, 100 * 366 * day_min}, PGC_SIGHUP,
     GUC_UNIT_MIN, "Age at which history is dropped.", "History is dropped by whole days."},
    {"citadel_opt.history_statements", Int{&history_statements, 1, 10000}, PGC_SIGHUP, 0,
     "Statements that have rows of their own in the history of a minute.",
     "Those with the most time; the others share a row. Hours and days have five times as many."},
    {"citadel_opt.minute_retention", Int{&minute_retention_min, day_min, 100 * 366 * day_min}, PGC_SIGHUP, GUC_UNIT_MIN,
     "Age at which what statements did minute by minute is dropped.", "By whole days."},
    {"citadel_opt.hour_retention", Int{&hour_retention_min, day_min, 100 * 366 * day_min}, PGC_SIGHUP, GUC_UNIT_MIN,
     "Age at which what statements did hour by hour is dropped.", "By whole days."},
    {"citadel_opt.day_retention", Int{&day_retention_min, day_min, 100 * 366 * day_min}, PGC_SIGHUP, GUC_UNIT_MIN,
     "Age at which what statements did day by day is deleted.", nullptr},
    {"citadel_opt.unused_index_age", Int{&unused_index_age_min, day_min, 100 * 366 * day_min}, PGC_SUSET, GUC_UNIT_MIN,
     "An index counts as unused when nothing scanned it for so long.", "It must have been watched that long, too."},
    {"citadel_opt.lifecycle_batch_ms", Int{&lifecycle_batch_ms, 1, 60 * 1000}, PGC_SIGHUP, GUC_UNIT_MS,
     "Rows are moved in batches that take about this long.", "The number of rows in a batch adapts itself."},
    {"citadel_opt.lifecycle_load", Real{&lifecycle_load, 0.01, 1.0}, PGC_SIGHUP, 0,
     "Share of the time in which batches of rows are moved.", "The rest of the time is a pause after each batch."},
    {"citadel_opt.lifecycle_lock_patience", Int{&lifecycle_lock_patience_s, 1, 3600}, PGC_SIGHUP, GUC_UNIT_S,
     "A lifecycle step asks for a lock that it is not granted for about this long.",
     "In tries of 0.1 to 0.2 s with growing pauses; then the step fails, and the next run tries again."},
    {"citadel_opt.lifecycle_max_lag", Int{&lifecycle_max_lag_kb, 0, INT_MAX}, PGC_SIGHUP, GUC_UNIT_KB,
     "No rows are moved while a connected standby is further behind than this.", nullptr},
    {"citadel_opt.lifecycle_max_wal_backlog", Int{&lifecycle_max_wal_backlog, 0, INT_MAX}, PGC_SIGHUP, 0,
     "No rows are moved while more WAL files than this wait to be archived.", nullptr},
    {"citadel_opt.audit_retention", Int{&audit_retention_min, 0, 100 * 366 * day_min}, PGC_SIGHUP, GUC_UNIT_MIN,
     "Age at which entries of the audit log are removed.",
     "0 keeps them for ever. The hash at which the chain goes on is kept."},
    {"citadel_opt.maintenance", Enum{&maintenance, maintenance_values}, PGC_SIGHUP, 0,
     "What the maintain job does about users' tables.",
     "off: nothing. report: it says what it would do. act: it runs ANALYZE and removes its own invalid indexes."},
    {"citadel_opt.maintenance_hours", String{&maintenance_hours, ""}, PGC_SIGHUP, 0,
     "Hours in which the maintain job acts, as 22:00-05:00.", "In the server's TimeZone; empty: at any time."},
    {"citadel_opt.maintenance_cost_delay", Real{&maintenance_cost_delay_ms, 0.0, 100.0}, PGC_SIGHUP, GUC_UNIT_MS,
     "vacuum_cost_delay of the ANALYZE that the maintain job runs.", "0: as fast as it goes."},
    {"citadel_opt.alerts", Bool{&alerts}, PGC_SIGHUP, 0, "Reads figures and judges the rules of citadel.alert_rule.",
     "Off leaves open alerts as they are."},
    {"citadel_opt.alert_interval", Int{&alert_interval_s, 1, 3600}, PGC_SIGHUP, GUC_UNIT_S,
     "Figures are read and rules judged this often.", nullptr},
    {"citadel_opt.metrics_top", Int{&metrics_top, 1, 1000}, PGC_SUSET, 0,
     "Statements, tables and subjects of figures that have metrics of their own.", "The rest is 'other'."},
    {"citadel_opt.archive_directory", String{&archive_directory, ""}, PGC_SUSET, GUC_SUPERUSER_ONLY,
     "Folder below which archives in files may lie.", "An absolute path; empty switches file: destinations off."},
    {"citadel_opt.debug_clock_offset", Int{&debug_clock_offset_ms, INT_MIN, INT_MAX}, PGC_SUSET,
     GUC_UNIT_MS | GUC_NOT_IN_SAMPLE | GUC_NO_SHOW_ALL, "Shifts the clock of citadel_opt, for tests.", nullptr},
    {"citadel_opt.debug_fault", String{&debug_fault, ""}, PGC_SUSET, GUC_NOT_IN_SAMPLE | GUC_NO_SHOW_ALL,
     "Arms a fault point, for tests.", "name:error, name:crash, name:sleep=MILLISECONDS or name:wait."},
    {"citadel_opt.debug_overhead", Real{&debug_overhead, -1.0, 1.0}, PGC_SIGHUP, GUC_NOT_IN_SAMPLE | GUC_NO_SHOW_ALL,
     "The share of time that capture is to believe it takes, for tests.", "-1: what it measures."},
};

void define_one(const Setting& s) {
    if (const auto* b = std::get_if<Bool>(&s.kind))
        DefineCustomBoolVariable(s.name, s.summary, s.detail, b->variable, *b->variable, s.context, s.flags, nullptr,
                                 nullptr, nullptr);
    else if (const auto* i = std::get_if<Int>(&s.kind))
        DefineCustomIntVariable(s.name, s.summary, s.detail, i->variable, *i->variable, i->minimum, i->maximum,
                                s.context, s.flags, nullptr, nullptr, nullptr);
    else if (const auto* r = std::get_if<Real>(&s.kind))
        DefineCustomRealVariable(s.name, s.summary, s.detail, r->variable, *r->variable, r->minimum, r->maximum,
                                 s.context, s.flags, nullptr, nullptr, nullptr);
    else if (const auto* t = std::get_if<String>(&s.kind))
        DefineCustomStringVariable(s.name, s.summary, s.detail, t->variable, t->initial, s.context, s.flags, nullptr,
                                   nullptr, nullptr);
    else if (const auto* e = std::get_if<Enum>(&s.kind))
        DefineCustomEnumVariable(s.name, s.summary, s.detail, e->variable, *e->variable, e->values, s.context, s.flags,
                                 nullptr, nullptr, nullptr);
}

} // namespace

void define(bool preloading) {
    for (const Setting& setting : table) {
        // The server refuses postmaster settings once it has started.
        if (setting.context == PGC_POSTMASTER && !preloading)
            continue;
        pg::guard([&setting] { define_one(setting); });
    }
    pg::guard([] { MarkGUCPrefixReserved("citadel_opt"); });
    pg::set_clock_offset_source(&debug_clock_offset_ms);
    pg::set_fault_source(&debug_fault);
}

} // namespace citadel::settings
