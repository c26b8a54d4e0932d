// Advice that is no index: rules over measured facts. Each rule is silent unless its figures are beyond a threshold,
// which stands beside the rule with its reason.
#pragma once

#include "advisor/model.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace citadel::advisor {

// What to tell. Two findings with the same kind and subject are the same one, whenever they are found.
struct Finding {
    std::string kind;
    std::string subject;     // what it is about: a table with columns, a setting, a statement
    RelationId relation = 0; // 0: no table
    std::string text;
    std::string remedy;          // a statement to run, or what to write instead; may be empty
    std::string evidence;        // a JSON object
    std::vector<std::size_t> of; // statements of the workload that it concerns, by position; heaviest first
    double load_share = 0.0;     // of those statements, 0..1
};

// Statistics of a table that the workload reads.
struct StatisticsFacts {
    RelationId relation = 0;
    std::string name; // qualified and quoted
    bool partitioned = false;
    bool has_statistics = false; // of a partitioned table: over all partitions together
    double rows = 0.0;           // now, as far as the server knows
    double rows_at_analyze = 0.0;
    double modified = 0.0; // rows changed since
    std::string analyzed;  // when; empty: never, or unknown
    std::vector<std::size_t> of;
    double load_share = 0.0;
};
// 'missing_statistics' or 'stale_statistics'.
std::optional<Finding> judge(const StatisticsFacts& facts);

// Two columns compared with values at once, counted in a sample of n rows. Pairs are ordered pairs of two different
// rows of the sample: how often both rows agree in both columns, and how often they would if the columns were
// independent. Leaving a row's agreement with itself out keeps a small sample of a large table from looking correlated.
struct CorrelationFacts {
    RelationId relation = 0;
    std::string name;
    std::string first_column; // quoted
    std::string second_column;
    double sampled_rows = 0.0;
    double table_rows = 0.0;
    double pairs_alike = 0.0;
    double pairs_if_independent = 0.0;
    bool has_statistics = false; // CREATE STATISTICS over both exists already
    std::string statistics_name; // unused so far, quoted and qualified
    std::vector<std::size_t> of;
    double load_share = 0.0;
};
// 'correlated_columns'.
std::optional<Finding> judge(const CorrelationFacts& facts);

// How a statement wraps a column that it compares, so that an index on the column cannot serve.
enum class Wrapping : std::uint8_t {
    implicit_cast, // the value's type made the server convert the column
    cast,          // column::type
    to_day,        // column::date, date(column)
    truncated,     // date_trunc(unit, column)
    formatted,     // extract, date_part, to_char
    arithmetic,    // column + k, k - column
    coalesce,      // coalesce(column, k)
    text_prefix,   // left(column, n), substring(column, 1, n)
    infix_pattern, // LIKE '%...', a regular expression without ^; only pg_trgm's operator classes serve that
};

struct WrappedColumnFacts {
    RelationId relation = 0;
    std::string name;
    std::string column; // quoted
    Wrapping wrapping = Wrapping::cast;
    std::string expression;  // as SQL, constants as $1, $2 ...
    std::string comparison;  // the operator's name
    std::string column_type; // as format_type() prints it
    std::string other_type;
    std::string index;              // whose first column it is; empty: none
    bool join = false;              // compared with another table's column
    bool trigram_available = false; // pg_trgm could be installed; infix_pattern
    double rows = 0.0;
    double selectivity = 1.0; // of the clause as the planner sees it
    std::vector<std::size_t> of;
    double load_share = 0.0;
};
// 'type_mismatch', 'rewritable_expression' or 'missing_extension'.
std::optional<Finding> judge(const WrappedColumnFacts& facts);

// A statement with its figures over the observed time.
struct StatementFacts {
    std::size_t position = 0;
    std::int64_t query_id = 0;
    std::string query; // without literals
    std::string role;  // quoted
    double calls = 0.0;
    double total_ms = 0.0;
    double jit_ms = 0.0;
    double temp_bytes = 0.0;     // written and read, of all calls
    double most_offset = 0.0;    // among known values; 0: none known
    double returned_rows = 0.0;  // of all calls
    double work_mem_bytes = 0.0; // of that role
    double load_share = 0.0;
};
// 'offset_paging', 'jit', 'work_mem'; each at most once.
std::vector<Finding> judge(const StatementFacts& facts);

// An index that was not considered, because describing it would run code that nobody may be made to run.
struct UntrustedIndexFacts {
    RelationId relation = 0;
    std::string name;
    std::string function;        // qualified, with its arguments; empty: a domain
    bool code_of_others = false; // false: it is the owner's, but others read the table
    std::vector<std::size_t> of;
    double load_share = 0.0;
};
// 'untrusted_expression'.
std::optional<Finding> judge(const UntrustedIndexFacts& facts);

// What the whole server does with its storage, over the observed time.
struct StorageFacts {
    double random_page_cost = 4.0;
    double seq_page_cost = 1.0;
    bool timed = false;      // track_io_timing
    double blocks_hit = 0.0; // found in shared buffers
    double blocks_read = 0.0;
    double read_ms = 0.0;
};
// 'random_page_cost'.
std::optional<Finding> judge(const StorageFacts& facts);

} // namespace citadel::advisor
