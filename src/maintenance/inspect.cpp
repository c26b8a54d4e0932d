#include "maintenance/inspect.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace citadel::maintenance {

namespace {

// A count in words of a report: 1,234,567.
std::string count(double value) {
    char digits[32];
    std::snprintf(digits, sizeof(digits), "%.0f", std::max(0.0, value));
    std::string text = digits;
    for (auto place = static_cast<int>(text.size()) - 3; place > 0; place -= 3)
        text.insert(static_cast<std::size_t>(place), 1, ',');
    return text;
}

std::string percent(double share) {
    return count(std::round(share * 100)) + " %";
}

std::string megabytes(double bytes) {
    return count(bytes / (1024.0 * 1024.0)) + " MB";
}

// autovacuum analyzes at 50 rows and a tenth of the table; a fifth means that it does not keep up, is off, or waits for
// its turn. It never analyzes a partitioned table, only its partitions. Below 1,000 rows every plan is quick.
constexpr double few_rows = 1000;
constexpr double stale_share = 0.2;
// A scan that brings ten times the rows expected turns nested loops into hours. Only rows that came in unexpectedly
// count: a scan that was stopped early (LIMIT, a semi-join) brings too few without any error.
constexpr double wrong_factor = 10;
constexpr double wrong_rows = 1000;
// ANALYZE of an unchanged table would find the same once more: correlated columns or an expression are to blame then.
constexpr double changed_share = 0.01;

std::optional<Proposal> stale_statistics(const TableFacts& facts) {
    Proposal proposal{Kind::analyze, {}, "ANALYZE " + facts.name, 0, {{"rows", facts.rows}}};
    const double drift = facts.partitioned ? std::abs(facts.rows - facts.rows_at_analyze) : facts.modified;
    if (facts.rows < few_rows)
        return std::nullopt;
    if (!facts.analyzed) {
        proposal.urgency = 100;
        proposal.reason = "about " + count(facts.rows) + " rows and never analyzed";
        return proposal;
    }
    proposal.figures.emplace_back("rows_modified", drift);
    const double share = drift / std::max(facts.partitioned ? facts.rows_at_analyze : facts.rows, 1.0);
    if (facts.worst_error && facts.worst_error->actual_rows >= wrong_rows &&
        facts.worst_error->captured_us > facts.analyzed_us.value_or(INT64_MIN) && share >= changed_share) {
        const double factor = facts.worst_error->actual_rows / std::max(facts.worst_error->planned_rows, 1.0);
        if (factor >= wrong_factor) {
            proposal.urgency = 10 + factor;
            proposal.reason = "a scan brought " + count(facts.worst_error->actual_rows) +
                              " rows where the planner expected " + count(facts.worst_error->planned_rows) + ", and " +
                              count(drift) + " rows changed since the last ANALYZE";
            proposal.figures.emplace_back("planned_rows", facts.worst_error->planned_rows);
            proposal.figures.emplace_back("actual_rows", facts.worst_error->actual_rows);
            return proposal;
        }
    }
    if (drift < few_rows || share < stale_share)
        return std::nullopt;
    proposal.urgency = std::min(share, 10.0);
    proposal.reason = count(drift) + " rows changed since the last ANALYZE, of " +
                      count(facts.partitioned ? facts.rows_at_analyze : facts.rows) +
                      (facts.partitioned ? " in all partitions then" : "");
    return proposal;
}

// autovacuum comes at a fifth of dead rows; at two fifths something holds it back: a long transaction, a slot,
// settings.
std::optional<Proposal> dead_rows(const TableFacts& facts) {
    constexpr double least_dead = 10000;
    constexpr double dead_share = 0.4;
    const double share = facts.dead_rows / std::max(facts.rows + facts.dead_rows, 1.0);
    if (facts.dead_rows < least_dead || share < dead_share)
        return std::nullopt;
    return Proposal{Kind::vacuum,
                    percent(share) + " of the rows are dead (" + count(facts.dead_rows) +
                        "): autovacuum does not keep up, or old transactions and slots hold it back",
                    "VACUUM " + facts.name,
                    share,
                    {{"rows", facts.rows}, {"dead_rows", facts.dead_rows}}};
}

// autovacuum freezes at freeze_max_age by itself, even where it is off; half as much again means that it cannot.
std::optional<Proposal> old_rows(const TableFacts& facts) {
    constexpr double allowed_factor = 1.5;
    if (facts.xid_age < allowed_factor * facts.freeze_max_age)
        return std::nullopt;
    return Proposal{Kind::freeze,
                    count(facts.xid_age) +
                        " transactions since its oldest row that is not frozen; autovacuum was due at " +
                        count(facts.freeze_max_age),
                    "VACUUM (FREEZE) " + facts.name,
                    facts.xid_age,
                    {{"xid_age", facts.xid_age}, {"freeze_max_age", facts.freeze_max_age}}};
}

// The estimate is good to some per cent, and free space is filled again by later rows: only what is large in itself and
// of the table is worth a rewrite.
std::optional<Proposal> bloat(const TableFacts& facts) {
    constexpr double least_bytes = 100.0 * 1024 * 1024;
    constexpr double bloat_share = 0.5;
    if (facts.bloat_bytes < least_bytes || facts.bloat_bytes < bloat_share * facts.bytes)
        return std::nullopt;
    return Proposal{Kind::rewrite,
                    megabytes(facts.bloat_bytes) + " of " + megabytes(facts.bytes) +
                        " are empty (estimated). VACUUM FULL locks the table for as long as it takes; pg_repack and "
                        "pg_squeeze do not",
                    "VACUUM (FULL, ANALYZE) " + facts.name,
                    facts.bloat_bytes,
                    {{"bytes", facts.bytes}, {"bloat_bytes", facts.bloat_bytes}}};
}

} // namespace

const char* kind_name(Kind kind) {
    switch (kind) {
    case Kind::analyze:
        return "analyze";
    case Kind::vacuum:
        return "vacuum";
    case Kind::freeze:
        return "freeze";
    case Kind::rewrite:
        return "rewrite";
    }
    return "";
}

std::vector<Proposal> inspect(const TableFacts& facts) {
    std::vector<Proposal> proposals;
    for (const auto& rule : {stale_statistics, dead_rows, old_rows, bloat})
        if (auto proposal = rule(facts))
            proposals.push_back(std::move(*proposal));
    return proposals;
}

std::string figures_json(const std::vector<std::pair<std::string, double>>& figures) {
    std::string json = "{";
    for (const auto& [name, value] : figures) {
        char number[32];
        std::snprintf(number, sizeof(number), "%.15g", std::isfinite(value) ? value : 0.0);
        json += (json.size() > 1 ? ", \"" : "\"") + name + "\": " + number;
    }
    return json + "}";
}

} // namespace citadel::maintenance
