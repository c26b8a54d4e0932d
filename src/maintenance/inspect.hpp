// What a table needs, from facts about it: rules with their thresholds and reasons, no server.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace citadel::maintenance {

// A scan of the table in a captured plan that brought far more rows than the planner had expected.
struct EstimateError {
    std::int64_t query_id = 0;
    double planned_rows = 0; // a loop
    double actual_rows = 0;
    std::int64_t captured_us = 0;
};

struct TableFacts {
    std::string name; // qualified and quoted
    bool partitioned = false;
    double rows = 0;
    double rows_at_analyze = 0; // of a partitioned table alone
    double modified = 0;        // rows since the last ANALYZE; of a partitioned table: unknown
    bool analyzed = false;      // statistics exist
    std::optional<std::int64_t> analyzed_us;
    std::optional<EstimateError> worst_error;
    double dead_rows = 0;
    double bytes = 0;
    double bloat_bytes = 0;
    double xid_age = 0;
    double freeze_max_age = 200e6; // autovacuum_freeze_max_age of the table
};

enum class Kind { analyze, vacuum, freeze, rewrite };
const char* kind_name(Kind kind);

struct Proposal {
    Kind kind = Kind::analyze;
    std::string reason;
    std::string statement;
    double urgency = 0; // larger first; comparable within a kind
    std::vector<std::pair<std::string, double>> figures;
};

std::vector<Proposal> inspect(const TableFacts& facts);

// A JSON object of figures.
std::string figures_json(const std::vector<std::pair<std::string, double>>& figures);

} // namespace citadel::maintenance
