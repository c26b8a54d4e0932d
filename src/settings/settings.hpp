// Every setting of citadel_opt (prefix `citadel_opt.`). The table in settings_pg.cpp gives name, unit, bounds, context
// and purpose of each; docs/settings.md explains them.
#pragma once

namespace citadel::settings {

// What happens to the literals and bind values of slow statements.
enum SampleParameters : int { sample_parameters_off, sample_parameters_memory, sample_parameters_store };

// What the maintain job does about users' tables.
enum Maintenance : int { maintenance_off, maintenance_report, maintenance_act };

extern bool enabled;                     // kill switch of everything
extern bool capture;                     // kill switch of capture alone
extern bool capture_nested;              // statements inside functions too
extern int slow_query_threshold_ms;      // -1: none; 0: all
extern double sample_rate;               // share of slow statements that are captured
extern int sample_interval_s;            // scheduler drains that often
extern int sample_parameters;            // SampleParameters
extern int capture_buffer_kb;            // shared memory for samples, texts, plans and parameters
extern bool statement_history;           // counts every statement
extern int statement_buffer_kb;          // shared memory for what statements did in a minute
extern int statement_flush_ms;           // a process adds what it counted to that memory so often
extern double max_overhead;              // share of statements' time that capture may take; 0: never leaves work out
extern char* databases;                  // '*' or a comma-separated list of names
extern int max_job_workers;              // in the whole cluster
extern int advise_planning_limit_ms;     // 0: none
extern int advise_interval_s;            // 0: the advise job is not scheduled
extern int history_statements;           // that have rows of their own in a minute
extern int minute_retention_min;         // age at which minutes are dropped
extern int hour_retention_min;           // hours
extern int day_retention_min;            // days
extern int history_retention_min;        // age at which history is dropped
extern int unused_index_age_min;         // not scanned for so long: unused
extern int lifecycle_batch_ms;           // a batch of rows shall take about that long
extern double lifecycle_load;            // share of the time in which batches run
extern int lifecycle_lock_patience_s;    // a lock is asked for again and again for that long
extern int lifecycle_max_lag_kb;         // rows are not moved while a standby is further behind
extern int lifecycle_max_wal_backlog;    // or more WAL files wait to be archived
extern int audit_retention_min;          // age at which the audit log is sealed; 0: kept for ever
extern int maintenance;                  // Maintenance
extern char* maintenance_hours;          // as 22:00-05:00; empty: any
extern double maintenance_cost_delay_ms; // vacuum_cost_delay of its ANALYZE
extern bool alerts;                      // figures are read and rules judged
extern int alert_interval_s;             // that often
extern int metrics_top;                  // statements, tables, subjects with metrics of their own
extern char* archive_directory;          // below which archives in files lie; empty: none

// For tests and developers; superuser only.
extern int debug_clock_offset_ms;
extern char* debug_fault;
extern double debug_overhead; // the share that capture is made to believe it takes; -1: what it measures

// Defines all settings and reserves the prefix. Those that need preload are defined at preload alone.
void define(bool preloading);

} // namespace citadel::settings
