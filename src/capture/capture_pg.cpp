#include "pg/server.hpp"

#include "capture/capture.hpp"

#include "capture/errors_pg.hpp"
#include "capture/fast_path_pg.hpp"
#include "capture/functions_pg.hpp"
#include "capture/hooks_pg.hpp"
#include "capture/overhead_pg.hpp"
#include "capture/parameters.hpp"
#include "capture/plan_identity_pg.hpp"
#include "capture/shared_pg.hpp"
#include "pg/clock.hpp"
#include "pg/compat.hpp"
#include "pg/guard.hpp"
#include "pg/preload.hpp"
#include "settings/settings.hpp"

#include <memory>

namespace citadel::capture {

namespace {

// A statement that is used again a day after its text was taken is handed out once more: history may have dropped it.
constexpr std::int64_t renew_after = 24LL * 60 * 60 * 1'000'000;

int reading = -1; // index of the database whose reader this process is

Buffer& buffer() {
    pg::require_preload("capture");
    return *shared_buffer();
}

void reader_leaves(int, Datum) {
    if (reading >= 0)
        shared_buffer()->leave(reading, pg::my_proc_number(), GetCurrentTimestamp());
    reading = -1;
}

bool still_reader() {
    return buffer().is_consumer(reading, MyDatabaseId, pg::my_proc_number());
}

// One text and one search_path.
struct Room {
    std::unique_ptr<char[]> bytes{new char[size]};
    static constexpr std::size_t size = Store::longest_text + Store::longest_search_path;
};

ParameterSet unpacked(std::string_view packed) {
    ParameterSet set;
    ParameterReader reader(packed);
    for (ParameterReader::Item item{}; reader.next(item);) {
        if (item.kind == 'l') {
            set.literals.emplace_back(item.value);
            continue;
        }
        set.bind_types.push_back(item.type);
        set.binds.push_back(item.null ? std::nullopt : std::optional<std::string>(item.value));
    }
    return set;
}

} // namespace

void install() {
    register_buffer();
    register_statements();
    register_overhead();
    pg::guard([] { EnableQueryId(); });
    install_hooks();
    install_plan_identity();
    install_error_hook();
}

namespace detail {

bool become_reader(bool hold) {
    static bool registered = false;
    bool changed = false;
    const int index = buffer().become_consumer(MyDatabaseId, pg::my_proc_number(), hold, changed);
    if (index < 0)
        return false;
    reading = index;
    if (!registered) {
        pg::guard([] { before_shmem_exit(reader_leaves, 0); });
        registered = true;
    }
    if (changed)
        Store(buffer()).forget_taken(MyDatabaseId);
    return true;
}

void stop_reading() {
    reader_leaves(0, 0);
}

} // namespace detail

void become_consumer() {
    (void)detail::become_reader(false);
}

size_t drain(std::vector<Sample>& out) {
    if (!still_reader())
        return 0;
    const size_t before = out.size();
    buffer().drain(
        reading, [&](size_t count) { out.reserve(before + count); },
        [&](const Sample& sample) {
            if (sample.database == MyDatabaseId) // another database had this slot a moment ago
                out.push_back(sample);
        });
    buffer().forget_abandoned(pg::now(), reader_patience);
    return out.size() - before;
}

std::vector<StatementText> take_new_statements() {
    std::vector<StatementText> taken;
    if (!still_reader())
        return taken;
    const Room room;
    Store(buffer()).take_new(
        Entry::Kind::statement, MyDatabaseId, room.bytes.get(), Room::size, pg::now(), renew_after,
        [&](const Entry& entry, std::string_view text, std::string_view path) {
            taken.push_back({entry.query_id, entry.user, std::string(text), std::string(path), entry.truncated});
        });
    if (settings::sample_parameters == settings::sample_parameters_off)
        Store(buffer()).clear_parameters(MyDatabaseId);
    return taken;
}

std::vector<PlanText> take_new_plans() {
    std::vector<PlanText> taken;
    if (!still_reader())
        return taken;
    const Room room;
    Store(buffer()).take_new(
        Entry::Kind::plan, MyDatabaseId, room.bytes.get(), Room::size, pg::now(), renew_after,
        [&](const Entry& entry, std::string_view text, std::string_view) {
            taken.push_back({entry.query_id, entry.plan_id, entry.user, std::string(text), entry.has_row_counts});
        });
    return taken;
}

void take_counted_runs(uint32_t running_minute, CountedRuns& out) {
    if (!still_reader())
        return;
    StatementTable& table = *shared_statements();
    table.drain(MyDatabaseId, running_minute, [&out](const SharedDelta& delta) { out.statements.push_back(delta); });
    Figures figures;
    ErrorClasses errors;
    if (table.take_rest(reading, MyDatabaseId, figures, errors, out.rest_latencies)) {
        out.has_rest = true;
        out.rest.add(figures);
        out.rest_errors.add(errors);
    }
}

void flush_counted_runs() {
    pg::require_preload("capture");
    flush_statements();
}

std::vector<ParameterSet> parameter_sets(uint64_t query_id, uint32_t user) {
    std::vector<ParameterSet> sets;
    if (settings::sample_parameters == settings::sample_parameters_off)
        return sets;
    const Room room;
    Store(buffer()).read_parameters({MyDatabaseId, user, query_id}, room.bytes.get(), Room::size,
                                    [&](std::string_view packed) { sets.push_back(unpacked(packed)); });
    return sets;
}

void write_plan_once(uint64_t query_id, uint64_t plan_id) {
    buffer().arm(MyDatabaseId, query_id, plan_id, armed_plan_at_start);
}

bool samples_half_full() {
    return buffer().samples_used() >= buffer().sample_capacity() / 2;
}

Counters counters() {
    Buffer& b = buffer();
    Store store(b);
    Counters c{};
    c.captured = b.counted(count_captured);
    c.dropped_full = b.counted(count_dropped_full);
    c.dropped_memory = b.counted(count_dropped_memory);
    c.dropped_busy = b.counted(count_dropped_busy);
    c.discarded = b.counted(count_discarded);
    c.plans_captured = b.counted(count_plans_captured);
    c.plans_failed = b.counted(count_plans_failed);
    c.texts_truncated = b.counted(count_texts_truncated);
    c.evicted = b.counted(count_evicted);
    c.repeated = b.counted(count_repeated);
    c.row_counts = b.counted(count_row_counts);
    c.hook_errors = b.counted(count_hook_errors);
    c.buffer_used = b.bytes_used();
    c.buffer_size = b.bytes();
    c.statements = store.count(Entry::Kind::statement);
    c.plans = store.count(Entry::Kind::plan);
    const StatementTable& table = *shared_statements();
    c.delta_bytes = table.bytes();
    c.delta_entries = table.used();
    c.delta_capacity = table.capacity();
    c.deltas_evicted = table.evicted();
    c.deltas_discarded = table.discarded();
    c.deltas_busy = table.busy();
    return c;
}

} // namespace citadel::capture
