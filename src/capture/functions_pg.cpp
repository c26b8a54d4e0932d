// The SQL functions of capture.sql.
#include "pg/server.hpp"

#include "capture/capture.hpp"
#include "capture/functions_pg.hpp"
#include "capture/overhead_pg.hpp"
#include "capture/shared_pg.hpp"
#include "pg/boundary.hpp"
#include "pg/clock.hpp"
#include "pg/preload.hpp"
#include "pg/text.hpp"
#include "pg/tuplestore.hpp"
#include "settings/settings.hpp"
#include "text/hex.hpp"

#include <memory>

namespace capture = citadel::capture;
namespace pg = citadel::pg;

namespace {

std::int64_t signed_id(std::uint64_t id) {
    return static_cast<std::int64_t>(id);
}

std::string unpacked_sqlstate(int packed) {
    std::string state;
    for (int i = 0; i < 5; ++i, packed >>= 6)
        state += PGUNSIXBIT(packed);
    return state;
}

// What was sampled of the waits, as JSON; only classes that were seen.
std::string waits_json(const capture::Sample& sample) {
    std::string json = "{";
    for (int i = 0; i < capture::wait_class_count; ++i)
        if (sample.waits[i] > 0) {
            json += json.size() > 1 ? ", \"" : "\"";
            json += capture::wait_class_names[i];
            json += "\": " + std::to_string(sample.waits[i]);
        }
    return json + "}";
}

pg::Arg parameters_arg(const std::vector<capture::ParameterSet>& sets) {
    if (sets.empty())
        return pg::null(TEXTARRAYOID);
    std::vector<std::string> lines;
    for (const capture::ParameterSet& set : sets) {
        std::string line;
        for (const std::string& literal : set.literals)
            line += (line.empty() ? "" : ", ") + literal;
        for (const auto& bind : set.binds)
            line += (line.empty() ? "" : ", ") + (bind ? pg::quote_literal(*bind) : std::string("NULL"));
        lines.push_back(line);
    }
    return pg::arg_as(TEXTARRAYOID, pg::text_array_literal(lines));
}

} // namespace

CITADEL_FUNCTION(citadel_capture_counters) {
    const capture::Counters c = capture::counters();
    auto number = [](std::uint64_t value) { return pg::arg(static_cast<std::int64_t>(value)); };
    return pg::composite(
        fcinfo,
        {number(c.captured),      number(c.dropped_full),   number(c.dropped_memory), number(c.dropped_busy),
         number(c.discarded),     number(c.plans_captured), number(c.plans_failed),   number(c.texts_truncated),
         number(c.evicted),       number(c.repeated),       number(c.row_counts),     number(c.hook_errors),
         number(c.statements),    number(c.plans),          number(c.buffer_used),    number(c.buffer_size),
         number(c.delta_entries), number(c.delta_capacity), number(c.deltas_evicted), number(c.deltas_discarded),
         number(c.deltas_busy),   number(c.delta_bytes)});
}

CITADEL_FUNCTION(citadel_overhead) {
    pg::require_preload("citadel.overhead()");
    const capture::SharedOverhead& overhead = *capture::shared_overhead();
    const int level = overhead.level.load(std::memory_order_relaxed);
    std::vector<std::string> left_out;
    for (int i = capture::shed_nothing + 1; i <= level; ++i)
        left_out.emplace_back(capture::shed_part(i));
    const std::int64_t since = overhead.since.load(std::memory_order_relaxed);
    return pg::composite(fcinfo,
                         {pg::arg(static_cast<double>(overhead.share_ppm.load(std::memory_order_relaxed)) / 1e6),
                          pg::arg(citadel::settings::max_overhead), pg::arg(std::int32_t{level}),
                          since == 0 ? pg::null(TIMESTAMPTZOID) : pg::arg_timestamptz(since),
                          pg::arg_as(TEXTARRAYOID, pg::text_array_literal(left_out)),
                          pg::arg(static_cast<double>(overhead.own_ns.load(std::memory_order_relaxed)) / 1e6),
                          pg::arg(static_cast<double>(overhead.busy_us.load(std::memory_order_relaxed)) / 1e3),
                          pg::arg(static_cast<std::int64_t>(overhead.timed_runs.load(std::memory_order_relaxed))),
                          pg::arg(static_cast<std::int64_t>(overhead.changes.load(std::memory_order_relaxed)))});
}

// What shared memory remembers of this database's statements. Literals for superusers and the statement's own user.
CITADEL_FUNCTION(citadel_captured_statements) {
    pg::require_preload("citadel.captured_statements()");
    pg::ResultSet rows(fcinfo);
    capture::Store store(*capture::shared_buffer());
    constexpr std::size_t room_size = capture::Store::longest_text + capture::Store::longest_search_path;
    const std::unique_ptr<char[]> room(new char[room_size]);
    const bool all_literals = superuser();
    const Oid me = GetUserId();
    store.visit(MyDatabaseId, room.get(), room_size,
                [&](const capture::Entry& entry, std::string_view text, std::string_view path) {
                    const bool statement = entry.kind == capture::Entry::Kind::statement;
                    const bool literals = statement && (all_literals || entry.user == me);
                    rows.row({pg::arg(signed_id(entry.query_id)),
                              statement ? pg::null(INT8OID) : pg::arg(signed_id(entry.plan_id)),
                              pg::arg_oid(entry.user), statement ? pg::arg(std::string(text)) : pg::null(TEXTOID),
                              statement ? pg::arg(std::string(path)) : pg::null(TEXTOID), pg::arg(entry.truncated),
                              statement || text.empty() ? pg::null(JSONBOID) : pg::arg_as(JSONBOID, std::string(text)),
                              pg::arg(entry.has_row_counts), pg::arg_timestamptz(entry.last_used),
                              literals ? parameters_arg(capture::parameter_sets(entry.query_id, entry.user))
                                       : pg::null(TEXTARRAYOID)});
                });
    return 0;
}

// For tests and debugging: this session becomes the reader of its database's samples, until it ends or lets go.
CITADEL_FUNCTION(citadel_debug_hold_capture) {
    pg::require_preload("citadel.debug_hold_capture()");
    PG_RETURN_BOOL(capture::detail::become_reader(true));
}

CITADEL_FUNCTION(citadel_debug_release_capture) {
    pg::require_preload("citadel.debug_release_capture()");
    capture::detail::stop_reading();
    PG_RETURN_VOID();
}

CITADEL_FUNCTION(citadel_debug_drain_capture) {
    pg::require_preload("citadel.debug_drain_capture()");
    pg::ResultSet rows(fcinfo);
    std::vector<capture::Sample> samples;
    capture::drain(samples);
    for (const capture::Sample& s : samples)
        rows.row(
            {pg::arg(s.kind == capture::Sample::Kind::slow_statement ? "slow_statement" : "repeated_in_transaction"),
             pg::arg(outcome_name(s.outcome)),
             s.sqlstate == 0 ? pg::null(TEXTOID) : pg::arg(unpacked_sqlstate(s.sqlstate)),
             pg::arg(s.nested),
             pg::arg(s.has_row_counts_armed),
             pg::arg(signed_id(s.query_id)),
             pg::arg(signed_id(s.plan_id)),
             pg::arg_oid(s.user),
             pg::arg_timestamptz(s.started_at),
             pg::arg_timestamptz(s.ended_at),
             pg::arg(s.duration_ms),
             pg::arg(s.rows),
             pg::arg(s.shared_hit),
             pg::arg(s.shared_read),
             pg::arg(s.shared_dirtied),
             pg::arg(s.shared_written),
             pg::arg(s.temp_read),
             pg::arg(s.temp_written),
             pg::arg(static_cast<std::int64_t>(s.wal_bytes)),
             pg::arg(s.io_ms),
             pg::arg(s.jit_ms),
             pg::arg_as(JSONBOID, waits_json(s)),
             pg::arg(static_cast<std::int32_t>(s.repeats))});
    return 0;
}

// The launcher's part in one call, for tests that run without it.
CITADEL_FUNCTION(citadel_debug_sample_waits) {
    pg::require_preload("citadel.debug_sample_waits()");
    const bool wanted = capture::wait_sampling_wanted();
    if (wanted)
        capture::sample_waits();
    PG_RETURN_BOOL(wanted);
}

CITADEL_FUNCTION(citadel_debug_take_runs) {
    pg::require_preload("citadel.debug_take_runs()");
    pg::ResultSet rows(fcinfo);
    capture::flush_counted_runs();
    capture::CountedRuns runs;
    capture::take_counted_runs(capture::all_minutes, runs);
    const auto number = [](std::uint64_t value) { return pg::arg(static_cast<std::int64_t>(value)); };
    const auto add = [&](const capture::DeltaKey& key, const capture::Figures& f, const capture::ErrorClasses& errors,
                         const capture::LatencyHistogram& latencies) {
        const std::string serial = latencies.serial();
        const std::string hex =
            "\\x" + citadel::hexadecimal(reinterpret_cast<const unsigned char*>(serial.data()), serial.size());
        const std::string classes = capture::error_classes_json(errors);
        rows.row({number(key.query_id), number(key.plan_id), pg::arg_oid(key.user), pg::arg(key.nested == 0),
                  pg::arg_timestamptz(static_cast<TimestampTz>(key.minute) * USECS_PER_MINUTE), number(f.calls),
                  number(f.errors), pg::arg(f.total_ms), pg::arg(f.max_ms), number(f.rows), number(f.shared_hit),
                  number(f.shared_read), number(f.temp_blocks), pg::arg_as(BYTEAOID, hex),
                  classes.empty() ? pg::null(JSONBOID) : pg::arg_as(JSONBOID, classes)});
    };
    for (const capture::SharedDelta& delta : runs.statements) {
        capture::LatencyHistogram latencies;
        for (std::uint32_t i = 0; i < delta.bucket_count; ++i)
            latencies.add(delta.buckets[i], delta.counts[i]);
        add(delta.key, delta.figures, delta.errors, latencies);
    }
    if (runs.has_rest)
        add({}, runs.rest, runs.rest_errors, runs.rest_latencies);
    return 0;
}
