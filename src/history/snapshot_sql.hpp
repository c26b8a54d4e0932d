// The statements that turn the server's counters into deltas, as text: pg_stat_statements lies in whatever schema its
// owner chose, and its columns vary with its version.
//
// Each takes the same parameters:
//   $1 timestamptz  time of this snapshot
//   $2 boolean      first snapshot of this source here: remember the counters, store no deltas (they would tell of the
//                   time before)
//   $3 boolean      the source was reset as a whole since the last snapshot
//   $4 timestamptz  time of the last snapshot, or NULL
//
// A counter lower than it was last seen means a reset of its row (pg_stat_statements_reset, pg_stat_reset, crash
// recovery, eviction and return): then the row's values are the delta. So does a row never seen before.
//
// What it costs, once a minute: statements and tables are read in full (some microseconds each, no text), but rows are
// written only for those that did something since: with s statements, t tables and i indexes known and a share a of
// them active, reading grows with s + t + i, writing with a * (s + t + i). At most max_statement_rows rows of
// statement_delta are written a snapshot, however many statements there are.
#pragma once

#include <set>
#include <string>

namespace citadel::history {

inline constexpr int max_statement_rows = 500;
inline constexpr int max_measured_tables = 500; // whose size is looked up, a few files each

struct StatementSource {
    std::string schema;            // of the extension pg_stat_statements, quoted
    std::set<std::string> columns; // of the view pg_stat_statements
    bool usable() const { return columns.count("total_exec_time") > 0 && columns.count("queryid") > 0; }
};

// Returns one row: rows of statement_delta written.
std::string statement_snapshot_sql(const StatementSource& source);

// user, query id and text of the statements in the snapshot taken at $1 whose text was not looked at yet.
std::string new_texts_sql(const StatementSource& source);

std::string table_snapshot_sql();

// Rows of citadel.index_counter whose index is not here by its OID, because they came with a restored dump or because
// REINDEX CONCURRENTLY gave the index a new one: the index of the same name takes them over. Then, those of indexes
// that are gone for good. Neither takes parameters.
std::string adopt_index_usage_sql();
std::string forget_index_usage_sql();

// has_last_scan: pg_stat_user_indexes has last_idx_scan (16 and later), more exact than the minute of the snapshot.
std::string index_snapshot_sql(bool has_last_scan);

} // namespace citadel::history
