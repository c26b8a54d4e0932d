#include "history/buckets.hpp"

#include <algorithm>
#include <map>
#include <tuple>

namespace citadel::history {

namespace {

using capture::DeltaKey;
using capture::SharedDelta;

auto order_of(const DeltaKey& key) {
    return std::tie(key.minute, key.query_id, key.plan_id, key.user, key.nested);
}

// One statement in one minute.
struct Group {
    DeltaKey key;
    capture::Figures figures;
    capture::ErrorClasses errors;
    capture::LatencyHistogram latencies;
};

void add(Group& group, const SharedDelta& delta) {
    group.figures.add(delta.figures);
    group.errors.add(delta.errors);
    for (std::uint32_t i = 0; i < delta.bucket_count; ++i)
        group.latencies.add(delta.buckets[i], delta.counts[i]);
}

BucketRow row_of(const Group& group) {
    return {group.key, group.figures, group.errors, group.latencies.serial()};
}

// Ranges of the sorted deltas that are of one key, with their time.
struct Range {
    std::size_t begin, end;
    double total_ms;
};

std::vector<Range> ranges_of(const std::vector<SharedDelta>& sorted) {
    std::vector<Range> ranges;
    for (std::size_t i = 0; i < sorted.size(); ++i) {
        if (ranges.empty() || !(sorted[ranges.back().begin].key == sorted[i].key))
            ranges.push_back({i, i, 0});
        ranges.back().end = i + 1;
        ranges.back().total_ms += sorted[i].figures.total_ms;
    }
    return ranges;
}

} // namespace

std::vector<BucketRow> bucket_rows(std::vector<SharedDelta> taken, const BucketRow* rest, std::size_t most) {
    std::sort(taken.begin(), taken.end(),
              [](const SharedDelta& a, const SharedDelta& b) { return order_of(a.key) < order_of(b.key); });
    std::vector<Range> ranges = ranges_of(taken);
    const std::size_t kept = std::min(most, ranges.size());
    std::stable_sort(ranges.begin(), ranges.end(),
                     [](const Range& a, const Range& b) { return a.total_ms > b.total_ms; });
    std::vector<BucketRow> rows;
    std::map<std::uint32_t, Group> others;
    for (std::size_t place = 0; place < ranges.size(); ++place) {
        const DeltaKey& key = taken[ranges[place].begin].key;
        Group own;
        own.key = key;
        Group& group = place < kept ? own : others[key.minute];
        for (std::size_t i = ranges[place].begin; i < ranges[place].end; ++i)
            add(group, taken[i]);
        if (place < kept)
            rows.push_back(row_of(own));
        else
            group.key = {0, 0, key.database, 0, key.minute, 0};
    }
    if (rest != nullptr) {
        Group& group = others[rest->key.minute];
        group.key = {0, 0, rest->key.database, 0, rest->key.minute, 0};
        group.figures.add(rest->figures);
        group.errors.add(rest->errors);
        (void)group.latencies.merge_serial(rest->latency);
    }
    for (const auto& [minute, group] : others)
        rows.push_back(row_of(group));
    return rows;
}

const char* step_name(Step step) {
    return step == Step::hour ? "hour" : "day";
}

const char* step_length(Step step) {
    return step == Step::hour ? "1 hour" : "24 hours";
}

namespace {

std::string source_of(Step step) {
    return step == Step::hour ? "citadel.statement_minute" : "citadel.statement_hour";
}

std::string target_of(Step step) {
    return std::string("citadel.statement_") + step_name(step);
}

constexpr const char* columns = "at, query_id, plan_id, user_id, toplevel, calls, errors, total_ms, max_ms, rows, "
                                "shared_hit, shared_read, temp_blocks, latency, error_classes";
constexpr const char* sums =
    "sum(calls)::bigint AS calls, sum(errors)::bigint AS errors, sum(total_ms) AS total_ms, max(max_ms) AS max_ms, "
    "sum(rows)::bigint AS rows, sum(shared_hit)::bigint AS shared_hit, sum(shared_read)::bigint AS shared_read, "
    "sum(temp_blocks)::bigint AS temp_blocks, citadel.latency_merge(array_agg(latency)) AS latency, "
    "citadel.merge_error_classes(array_agg(error_classes) FILTER (WHERE error_classes IS NOT NULL)) AS error_classes";
constexpr const char* figures = "calls, errors, total_ms, max_ms, rows, shared_hit, shared_read, temp_blocks, latency, "
                                "error_classes";

} // namespace

std::string clear_bucket_sql(Step step) {
    return "DELETE FROM " + target_of(step) + " WHERE at = $1";
}

std::string sum_up_sql(Step step) {
    return "WITH grouped AS MATERIALIZED (SELECT query_id, plan_id, user_id, toplevel, " + std::string(sums) +
           ", row_number() OVER (ORDER BY query_id = 0, sum(total_ms) DESC) AS place FROM " + source_of(step) +
           " WHERE at >= $1 AND at < $1 + interval '" + step_length(step) +
           "' GROUP BY query_id, plan_id, user_id, toplevel) INSERT INTO " + target_of(step) + " (" + columns +
           ") SELECT $1, query_id, plan_id, user_id, toplevel, " + figures +
           " FROM grouped WHERE place <= $2 AND query_id <> 0 UNION ALL SELECT $1, 0, 0, 0::oid, true, " + sums +
           " FROM grouped WHERE place > $2 OR query_id = 0 HAVING count(*) > 0";
}

std::string buckets_to_sum_up_sql(Step step) {
    const std::string name = step_name(step);
    return "SELECT (extract(epoch FROM b.at) * 1000000)::bigint - 946684800000000 FROM (SELECT DISTINCT date_trunc('" +
           name + "', at, 'UTC') AS at FROM " + source_of(step) + " WHERE at >= $1 AND at < $2) AS b ORDER BY 1";
}

} // namespace citadel::history
