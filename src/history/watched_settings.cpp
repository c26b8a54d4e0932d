#include "history/watched_settings.hpp"

#include <algorithm>
#include <iterator>

namespace citadel::history {

namespace {

using namespace std::string_view_literals;

constexpr std::string_view planning_prefixes[] = {"enable_"sv, "geqo"sv, "jit"sv, "cpu_"sv, "plan_"sv};
constexpr std::string_view planning[] = {
    "seq_page_cost"sv,
    "random_page_cost"sv,
    "parallel_setup_cost"sv,
    "parallel_tuple_cost"sv,
    "min_parallel_table_scan_size"sv,
    "min_parallel_index_scan_size"sv,
    "max_parallel_workers_per_gather"sv,
    "effective_cache_size"sv,
    "cursor_tuple_fraction"sv,
    "constraint_exclusion"sv,
    "default_statistics_target"sv,
    "from_collapse_limit"sv,
    "join_collapse_limit"sv,
    "recursive_worktable_factor"sv,
};
constexpr std::string_view memory[] = {"work_mem"sv, "hash_mem_multiplier"sv, "temp_buffers"sv,
                                       "logical_decoding_work_mem"sv, "maintenance_work_mem"sv};
constexpr std::string_view io[] = {
    "shared_buffers"sv,
    "huge_pages"sv,
    "effective_io_concurrency"sv,
    "io_combine_limit"sv,
    "io_method"sv,
    "io_workers"sv,
    "max_parallel_workers"sv,
    "max_worker_processes"sv,
    "parallel_leader_participation"sv,
    "temp_tablespaces"sv,
    "synchronous_commit"sv,
    "synchronous_standby_names"sv,
    "fsync"sv,
    "full_page_writes"sv,
    "wal_compression"sv,
    "wal_level"sv,
    "wal_buffers"sv,
    "wal_sync_method"sv,
    "commit_delay"sv,
    "checkpoint_timeout"sv,
    "checkpoint_completion_target"sv,
    "checkpoint_flush_after"sv,
    "max_wal_size"sv,
    "bgwriter_delay"sv,
    "bgwriter_lru_maxpages"sv,
    "backend_flush_after"sv,
    "autovacuum"sv,
    "autovacuum_naptime"sv,
    "autovacuum_max_workers"sv,
    "autovacuum_vacuum_cost_delay"sv,
    "autovacuum_vacuum_cost_limit"sv,
    "autovacuum_analyze_scale_factor"sv,
    "autovacuum_analyze_threshold"sv,
    "autovacuum_vacuum_scale_factor"sv,
    "vacuum_cost_delay"sv,
    "vacuum_cost_limit"sv,
    "track_io_timing"sv,
};

template <std::size_t size>
bool contains(const std::string_view (&list)[size], std::string_view setting) {
    return std::find(std::begin(list), std::end(list), setting) != std::end(list);
}

} // namespace

SettingEffect effect_of(std::string_view setting) {
    const auto is_prefix = [setting](std::string_view prefix) { return setting.substr(0, prefix.size()) == prefix; };
    if (std::any_of(std::begin(planning_prefixes), std::end(planning_prefixes), is_prefix) ||
        contains(planning, setting))
        return SettingEffect::planning;
    if (contains(memory, setting))
        return SettingEffect::memory;
    return contains(io, setting) ? SettingEffect::io : SettingEffect::none;
}

} // namespace citadel::history
