#include "capture/record_pg.hpp"

#include "capture/explain_pg.hpp"
#include "capture/overhead_pg.hpp"
#include "capture/plan_identity_pg.hpp"
#include "capture/plan_shape_pg.hpp"
#include "capture/random.hpp"
#include "capture/shape_hash.hpp"
#include "capture/shared_pg.hpp"
#include "pg/clock.hpp"
#include "pg/compat.hpp"
#include "settings/settings.hpp"

extern "C" {
#include "catalog/namespace.h"
#include "executor/instrument.h"
#include "jit/jit.h"
#include "parser/parser.h"
}

namespace citadel::capture {

namespace {

constexpr int most_nodes = 2000;                          // of a plan that is still written out
constexpr std::int64_t rearm_after = 10 * 60 * 1'000'000; // between two attempts to count rows (microseconds)

Random& generator() {
    static Random random(static_cast<std::uint64_t>(GetCurrentTimestamp()) ^
                         (static_cast<std::uint64_t>(MyProcPid) << 32));
    return random;
}

StatementKey key_of(const Watched& watched) {
    return {MyDatabaseId, watched.user, watched.query_id};
}

void count_stored(Store::Stored stored) {
    if (stored == Store::Stored::no_room)
        shared_buffer()->count(count_dropped_memory);
    else if (stored == Store::Stored::busy)
        shared_buffer()->count(count_dropped_busy);
}

// The text of just this statement, of the several that one string may hold, and of that only what is a query.
std::string_view statement_text(const Watched& watched) {
    if (watched.query->sourceText == nullptr)
        return {};
    std::string_view text(watched.query->sourceText);
    if (watched.location >= 0 && static_cast<std::size_t>(watched.location) <= text.size()) {
        text.remove_prefix(static_cast<std::size_t>(watched.location));
        if (watched.length > 0)
            text = text.substr(0, static_cast<std::size_t>(watched.length));
    }
    return plannable_part(text, standard_conforming_strings);
}

Normalized normalized_text(const QueryDesc* query, std::string_view source) {
    const NormalizeOptions options{standard_conforming_strings,
                                   query->params != nullptr ? query->params->numParams : 0};
    return normalize_into(source, options, scratch().text, Scratch::text_size, scratch().literals,
                          Scratch::max_literals);
}

void remember_text(const Watched& watched, std::int64_t now) {
    Store store(*shared_buffer());
    const StatementKey key = key_of(watched);
    const Store::Known known = store.statement_known(key, now);
    if (known != Store::Known::no) {
        if (known == Store::Known::busy)
            shared_buffer()->count(count_dropped_busy);
        return;
    }
    const std::string_view source = statement_text(watched);
    const Normalized text = normalized_text(watched.query, source);
    if (text.truncated)
        shared_buffer()->count(count_texts_truncated);
    const char* path = namespace_search_path != nullptr ? namespace_search_path : "";
    count_stored(store.store_statement(key, {scratch().text, text.length}, path, text.truncated,
                                       text.literals_complete ? static_cast<std::uint32_t>(text.literals) : no_index,
                                       now));
}

// The plan's text, when this plan has none yet (or, with rows, none with rows).
void remember_plan(const Watched& watched, const PlanShape& shape, bool with_rows, std::int64_t now) {
    if (shed_level() >= shed_details)
        return;
    Store store(*shared_buffer());
    const StatementKey key = key_of(watched);
    Store::PlanState state = store.plan_state(key, shape.id, now, rearm_after);
    if (state.known == Store::Known::busy || !catalogue_usable())
        return;
    if (state.known == Store::Known::no || (with_rows && !state.has_row_counts)) {
        std::size_t length = 0;
        if (shape.nodes <= most_nodes)
            length = explain_into(watched.query, with_rows, scratch().plan, Scratch::plan_size);
        shared_buffer()->count(length > 0 ? count_plans_captured : count_plans_failed);
        count_stored(store.store_plan(key, shape.id, {scratch().plan, length}, with_rows && length > 0, now));
        state = store.plan_state(key, shape.id, now, rearm_after);
    }
    if (state.should_arm)
        shared_buffer()->arm(key.database, key.query_id, shape.id, armed_row_counts);
}

void remember_parameters(const Watched& watched) {
    if (settings::sample_parameters == settings::sample_parameters_off || shed_level() >= shed_details)
        return;
    Store store(*shared_buffer());
    const StatementKey key = key_of(watched);
    const Store::Offered offered = store.count_parameter_set(key);
    if (offered.seen == 0 || offered.literals == no_index)
        return;
    const int slot = reservoir_slot(offered.seen, parameter_slots, generator());
    if (slot < 0)
        return;
    const std::string_view source = statement_text(watched);
    const Normalized text = normalized_text(watched.query, source);
    if (!text.literals_complete || text.literals != offered.literals)
        return; // another spelling of the same statement: its literals do not fit the text we keep
    ParameterWriter writer(scratch().parameters, Scratch::parameters_size);
    for (std::size_t i = 0; i < text.literals; ++i)
        writer.literal(source.substr(scratch().literals[i].offset, scratch().literals[i].length));
    if (!writer.complete() || !append_binds(watched.query->params, writer) || writer.packed().empty())
        return;
    count_stored(store.store_parameters(key, slot, writer.packed()));
}

double jit_milliseconds(const EState* estate) {
    if (estate == nullptr)
        return 0;
    JitInstrumentation sum{};
    if (estate->es_jit != nullptr)
        InstrJitAgg(&sum, &estate->es_jit->instr);
    if (estate->es_jit_worker_instr != nullptr)
        InstrJitAgg(&sum, estate->es_jit_worker_instr);
    instr_time time = sum.generation_counter;
    INSTR_TIME_ADD(time, sum.inlining_counter);
    INSTR_TIME_ADD(time, sum.optimization_counter);
    INSTR_TIME_ADD(time, sum.emission_counter);
    return INSTR_TIME_GET_MILLISEC(time);
}

void copy_waits(const Watched& watched, Sample& sample) {
    const BackendSlot* slot = my_slot();
    if (watched.generation == 0 || slot == nullptr ||
        slot->counted_generation.load(std::memory_order_acquire) != watched.generation)
        return;
    for (int i = 0; i < wait_class_count; ++i)
        sample.waits[i] = slot->waits[i].load(std::memory_order_relaxed);
}

Sample sample_of(const Watched& watched, double duration_ms, const PlanShape& shape, TimestampTz now) {
    Sample sample{};
    const QueryDesc* query = watched.query;
    const Instrumentation* total = query->totaltime;
    sample.kind = Sample::Kind::slow_statement;
    sample.nested = watched.nested;
    sample.has_row_counts_armed = watched.counts_rows;
    sample.database = MyDatabaseId;
    sample.user = watched.user;
    sample.query_id = watched.query_id;
    sample.plan_id = shape.id;
    sample.ended_at = now;
    sample.started_at = now - static_cast<std::int64_t>(duration_ms * 1000);
    sample.duration_ms = duration_ms;
    sample.jit_ms = jit_milliseconds(query->estate);
    sample.repeats = 1;
    if (total != nullptr) {
        const BufferUsage& use = total->bufusage;
        // es_processed starts anew with each ExecutorRun: the instrumentation adds them up.
        sample.rows = static_cast<std::int64_t>(total->ntuples + total->tuplecount);
        sample.shared_hit = use.shared_blks_hit;
        sample.shared_read = use.shared_blks_read;
        sample.shared_dirtied = use.shared_blks_dirtied;
        sample.shared_written = use.shared_blks_written;
        sample.local_read = use.local_blks_read;
        sample.temp_read = use.temp_blks_read;
        sample.temp_written = use.temp_blks_written;
        sample.wal_bytes = total->walusage.wal_bytes;
        sample.io_ms = pg::io_milliseconds(use);
    }
    copy_waits(watched, sample);
    return sample;
}

} // namespace

std::uint64_t text_identity(const Watched& watched) {
    const Normalized text = normalized_text(watched.query, statement_text(watched));
    ShapeHash hash;
    for (std::size_t i = 0; i < text.length; ++i)
        hash.add(static_cast<unsigned char>(scratch().text[i]));
    return text.length > 0 ? hash.value() | 1 : 0;
}

void put(Sample& sample) {
    const int index = captured_database();
    if (index < 0)
        return;
    Buffer& buffer = *shared_buffer();
    const Database& database = buffer.database(index);
    if (database.consumer.load(std::memory_order_relaxed) == -1)
        buffer.forget_abandoned(sample.ended_at, reader_patience);
    if (buffer.push(index, sample) == Buffer::Pushed::stored_and_half_full)
        wake_reader(database);
}

void record_finished(const Watched& watched, double duration_ms) {
    const TimestampTz now = pg::now();
    const PlanShape shape = plan_shape(watched.query->plannedstmt);
    Sample sample = sample_of(watched, duration_ms, shape, now);
    put(sample);
    remember_text(watched, now);
    remember_plan(watched, shape, watched.counts_rows, now);
    remember_parameters(watched);
}

void note_slow(Watched& watched, double duration_ms) {
    if (watched.plan_id == 0)
        watched.plan_id = plan_identity(watched.query->plannedstmt);
    if (watched.slow_ms <= 0)
        remember_text(watched, pg::now());
    watched.slow_ms = duration_ms;
}

// The query itself is gone by now, and its buffer counts with it.
void record_rolled_back(const Watched& watched) {
    Sample sample{};
    sample.kind = Sample::Kind::slow_statement;
    sample.nested = watched.nested;
    sample.database = MyDatabaseId;
    sample.user = watched.user;
    sample.query_id = watched.query_id;
    sample.plan_id = watched.plan_id;
    sample.ended_at = pg::now();
    sample.started_at = sample.ended_at - static_cast<std::int64_t>(watched.slow_ms * 1000);
    sample.duration_ms = watched.slow_ms;
    sample.rows = watched.rows;
    sample.repeats = 1;
    put(sample);
}

void record_failed(const Watched& watched, double duration_ms, Outcome outcome, int sqlstate) {
    const TimestampTz now = pg::now();
    const PlanShape shape = plan_shape(watched.query->plannedstmt);
    Sample sample = sample_of(watched, duration_ms, shape, now);
    sample.outcome = outcome;
    sample.sqlstate = sqlstate;
    put(sample);
    remember_text(watched, now);
    // The plan needs the catalogue, which is out of reach now: the next run writes it down before it starts.
    Store store(*shared_buffer());
    const StatementKey key = key_of(watched);
    if (store.plan_state(key, shape.id, now, rearm_after).known == Store::Known::no)
        shared_buffer()->arm(key.database, key.query_id, shape.id, armed_plan_at_start);
}

void remember(const Watched& watched) {
    const TimestampTz now = pg::now();
    remember_text(watched, now);
    remember_plan(watched, plan_shape(watched.query->plannedstmt), watched.counts_rows, now);
    remember_parameters(watched);
}

void record_plan_at_start(const Watched& watched) {
    remember_plan(watched, plan_shape(watched.query->plannedstmt), false, pg::now());
}

void record_row_counts(const Watched& watched) {
    shared_buffer()->count(count_row_counts);
    remember_plan(watched, plan_shape(watched.query->plannedstmt), true, pg::now());
}

} // namespace citadel::capture
