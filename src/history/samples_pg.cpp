// From the capture buffer into citadel.sample, statement, plan and parameter_set.
//
// What was taken out of the buffer exists nowhere else, so it is kept in this process until the transaction that stored
// it has committed; an error (a lock not had in time, a full disk) only means that the next round stores it.
#include "pg/server.hpp"

#include "capture/capture.hpp"
#include "history/arrays_pg.hpp"
#include "history/partition.hpp"
#include "history/tasks_pg.hpp"
#include "pg/clock.hpp"
#include "pg/spi.hpp"
#include "pg/subtransaction.hpp"
#include "settings/settings.hpp"

#include <algorithm>
#include <iterator>
#include <set>

namespace citadel::history {

namespace {

// Beyond this the samples stay in the buffer, which drops and counts when it is full: 100,000 samples are about 20 MB
// here.
constexpr std::size_t most_pending = 100000;
constexpr std::size_t samples_per_insert = 1000;
constexpr const char* most_parameter_sets = "20"; // kept for each statement

struct Pending {
    std::vector<capture::Sample> samples;
    std::vector<capture::StatementText> statements;
    std::vector<capture::PlanText> plans;
    bool samples_stored = false;
    bool texts_stored = false;
    bool plans_stored = false;
};

Pending& pending() {
    static Pending held;
    return held;
}

std::string waits_json(const capture::Sample& sample) {
    std::string json;
    for (int i = 0; i < capture::wait_class_count; ++i) {
        if (sample.waits[i] == 0)
            continue;
        json += json.empty() ? "{\"" : ", \"";
        json += capture::wait_class_names[i];
        json += "\": " + std::to_string(sample.waits[i]);
    }
    return json.empty() ? json : json + "}";
}

void insert_samples(const capture::Sample* first, const capture::Sample* last) {
    TextArray kind, outcome, sqlstate, waits;
    ValueArray nested(BOOLOID), user(OIDOID), query_id(INT8OID), plan_id(INT8OID), started_at(TIMESTAMPTZOID),
        ended_at(TIMESTAMPTZOID), duration(FLOAT8OID), rows(INT8OID), hit(INT8OID), read(INT8OID), dirtied(INT8OID),
        written(INT8OID), temp_read(INT8OID), temp_written(INT8OID), wal(INT8OID), io(FLOAT8OID), jit(FLOAT8OID),
        repeats(INT4OID);
    for (const capture::Sample* s = first; s != last; ++s) {
        const bool slow = s->kind == capture::Sample::Kind::slow_statement;
        kind.add(slow ? "slow_statement" : "repeated_in_transaction");
        outcome.add(outcome_name(s->outcome));
        s->sqlstate == 0 ? sqlstate.add_null() : sqlstate.add(unpack_sql_state(s->sqlstate));
        const std::string waited = waits_json(*s);
        waited.empty() ? waits.add_null() : waits.add(waited);
        nested.add(BoolGetDatum(s->nested));
        user.add(ObjectIdGetDatum(s->user));
        query_id.add(Int64GetDatum(static_cast<int64>(s->query_id)));
        s->plan_id == 0 ? plan_id.add_null() : plan_id.add(Int64GetDatum(static_cast<int64>(s->plan_id)));
        started_at.add(TimestampTzGetDatum(s->started_at));
        ended_at.add(TimestampTzGetDatum(s->ended_at));
        duration.add(Float8GetDatum(s->duration_ms));
        rows.add(Int64GetDatum(s->rows));
        hit.add(Int64GetDatum(s->shared_hit));
        read.add(Int64GetDatum(s->shared_read));
        dirtied.add(Int64GetDatum(s->shared_dirtied));
        written.add(Int64GetDatum(s->shared_written));
        temp_read.add(Int64GetDatum(s->temp_read));
        temp_written.add(Int64GetDatum(s->temp_written));
        wal.add(Int64GetDatum(static_cast<int64>(s->wal_bytes)));
        io.add(Float8GetDatum(s->io_ms));
        jit.add(Float8GetDatum(s->jit_ms));
        slow ? repeats.add_null() : repeats.add(Int32GetDatum(static_cast<int32>(s->repeats)));
    }
    pg::Spi spi;
    spi.execute(
        "INSERT INTO citadel.sample (kind, outcome, sqlstate, nested, query_id, plan_id, user_id, started_at, "
        "ended_at, duration_ms, rows, shared_hit, shared_read, shared_dirtied, shared_written, temp_read, "
        "temp_written, wal_bytes, io_ms, jit_ms, waits, repeats) "
        "SELECT k, o, s, n, q, p, u, b, e, d, r, sh, sr, sd, sw, tr, tw, w, i, j, x::jsonb, c FROM unnest($1, $2, $3, "
        "$4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22) "
        "AS a (k, o, s, n, q, p, u, b, e, d, r, sh, sr, sd, sw, tr, tw, w, i, j, x, c)",
        {kind.arg(), outcome.arg(),    sqlstate.arg(), nested.arg(),    query_id.arg(),     plan_id.arg(),
         user.arg(), started_at.arg(), ended_at.arg(), duration.arg(),  rows.arg(),         hit.arg(),
         read.arg(), dirtied.arg(),    written.arg(),  temp_read.arg(), temp_written.arg(), wal.arg(),
         io.arg(),   jit.arg(),        waits.arg(),    repeats.arg()});
}

using StatementKey = std::pair<std::uint64_t, std::uint32_t>; // query id, user

std::set<StatementKey> statements_of(const std::vector<capture::Sample>& samples) {
    std::set<StatementKey> keys;
    for (const capture::Sample& sample : samples)
        keys.emplace(sample.query_id, sample.user);
    return keys;
}

// last_seen keeps statements from being pruned, so an hour's precision will do.
void touch_statements(const std::set<StatementKey>& keys, TimestampTz now) {
    ValueArray query_id(INT8OID), user(OIDOID);
    for (const auto& [id, role] : keys) {
        query_id.add(Int64GetDatum(static_cast<int64>(id)));
        user.add(ObjectIdGetDatum(role));
    }
    pg::Spi spi;
    spi.execute(
        "UPDATE citadel.statement s SET last_seen = $3 FROM unnest($1, $2) AS k (query_id, user_id) WHERE s.query_id = "
        "k.query_id AND s.user_id = k.user_id AND s.last_seen < $3 - interval '1 hour'",
        {query_id.arg(), user.arg(), pg::arg_timestamptz(now)});
}

void store_samples(TimestampTz now) {
    const std::vector<capture::Sample>& samples = pending().samples;
    std::set<std::int64_t> days;
    for (const capture::Sample& sample : samples)
        days.insert(day_of(sample.ended_at));
    for (const std::int64_t day : days)
        ensure_partition("sample", day);
    for (std::size_t i = 0; i < samples.size(); i += samples_per_insert)
        insert_samples(&samples[i], &samples[i] + std::min(samples_per_insert, samples.size() - i));
    touch_statements(statements_of(samples), now);
}

// The text that capture took replaces the one of pg_stat_statements: the placeholders of the parameter sets fit it.
void insert_statement(const capture::StatementText& statement, TimestampTz now) {
    pg::Spi spi;
    spi.execute(
        "INSERT INTO citadel.statement (query_id, user_id, query, search_path, truncated, first_seen, last_seen) "
        "VALUES ($1, $2, $3, $4, $5, $6, $6) ON CONFLICT (query_id, user_id) DO UPDATE SET query = excluded.query, "
        "search_path = excluded.search_path, truncated = excluded.truncated, last_seen = excluded.last_seen",
        {pg::arg(static_cast<std::int64_t>(statement.query_id)), pg::arg_oid(statement.user), pg::arg(statement.text),
         pg::arg(statement.search_path), pg::arg(statement.truncated), pg::arg_timestamptz(now)});
}

// A plan with row counts is not replaced by one without.
void insert_plan(const capture::PlanText& plan, TimestampTz now) {
    pg::Spi spi;
    spi.execute("INSERT INTO citadel.plan AS k (query_id, user_id, plan_id, plan, has_row_counts, captured_at) "
                "VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (query_id, user_id, plan_id) DO UPDATE SET plan = "
                "excluded.plan, has_row_counts = excluded.has_row_counts, captured_at = excluded.captured_at "
                "WHERE excluded.has_row_counts OR NOT k.has_row_counts",
                {pg::arg(static_cast<std::int64_t>(plan.query_id)), pg::arg_oid(plan.user),
                 pg::arg(static_cast<std::int64_t>(plan.plan_id)), pg::arg_as(JSONBOID, plan.json),
                 pg::arg(plan.has_row_counts), pg::arg_timestamptz(now)});
}

// An entry that the server cannot take as a value (no JSON, nested too deeply, too long) never will be, so it must not
// keep the others waiting; any other error does.
bool hopeless(const pg::Error& error) {
    const int category = ERRCODE_TO_CATEGORY(error.sqlerrcode());
    return category == ERRCODE_DATA_EXCEPTION || category == ERRCODE_PROGRAM_LIMIT_EXCEEDED;
}

template <class Entry>
void store_each(const std::vector<Entry>& entries, void (*insert)(const Entry&, TimestampTz), const char* what,
                TimestampTz now) {
    for (const Entry& entry : entries) {
        const auto error = pg::try_subtransaction([&] { insert(entry, now); });
        if (!error)
            continue;
        if (!hopeless(*error))
            throw *error;
        const char* message = error->what();
        const auto id = static_cast<std::int64_t>(entry.query_id);
        pg::guard([=] {
            ereport(LOG, (errmsg("citadel_opt could not store the %s of statement %lld: %s", what,
                                 static_cast<long long>(id), message)));
        });
    }
}

// Without an array of arrays of different lengths, one set a statement; these are few by design.
void store_parameters(const std::set<StatementKey>& keys, TimestampTz now) {
    for (const auto& [id, role] : keys) {
        for (const capture::ParameterSet& set : capture::parameter_sets(id, role)) {
            TextArray literals, binds;
            ValueArray types(OIDOID);
            for (const std::string& literal : set.literals)
                literals.add(literal);
            for (const auto& bind : set.binds)
                bind ? binds.add(*bind) : binds.add_null();
            for (const std::uint32_t type : set.bind_types)
                types.add(ObjectIdGetDatum(type));
            pg::Spi spi;
            spi.execute(
                std::string(
                    "INSERT INTO citadel.parameter_set (query_id, user_id, captured_at, literals, "
                    "bind_types, binds) SELECT $1, $2, $3, $4, $5, $6 WHERE NOT EXISTS (SELECT FROM "
                    "citadel.parameter_set p WHERE p.query_id = $1 AND p.user_id = $2 AND (p.literals, p.binds) "
                    "IS NOT DISTINCT FROM ($4, $6)) AND (SELECT count(*) FROM citadel.parameter_set p WHERE "
                    "p.query_id = $1 AND p.user_id = $2) < ") +
                    most_parameter_sets,
                {pg::arg(static_cast<std::int64_t>(id)), pg::arg_oid(role), pg::arg_timestamptz(now), literals.arg(),
                 types.arg(), binds.arg()});
        }
    }
}

template <class Entry>
void append(std::vector<Entry>& to, std::vector<Entry>&& more) {
    to.insert(to.end(), std::make_move_iterator(more.begin()), std::make_move_iterator(more.end()));
}

} // namespace

void drain() {
    if (restore_in_progress())
        return;
    Pending& held = pending();
    const TimestampTz now = pg::now();
    ensure_partitions_ahead(now);
    if (held.samples.size() < most_pending)
        capture::drain(held.samples);
    append(held.statements, capture::take_new_statements());
    append(held.plans, capture::take_new_plans());
    if (!held.statements.empty())
        held.texts_stored =
            record_source("statement texts", now, [&] { store_each(held.statements, insert_statement, "text", now); });
    if (!held.plans.empty())
        held.plans_stored = record_source("plans", now, [&] { store_each(held.plans, insert_plan, "plan", now); });
    if (!held.samples.empty()) {
        held.samples_stored = record_source("samples", now, [&] { store_samples(now); });
        if (held.samples_stored && settings::sample_parameters == settings::sample_parameters_store)
            record_source("parameters", now, [&] { store_parameters(statements_of(held.samples), now); });
    }
}

void drain_ended(bool committed) noexcept {
    Pending& held = pending();
    if (committed && held.samples_stored)
        held.samples.clear();
    if (committed && held.texts_stored)
        held.statements.clear();
    if (committed && held.plans_stored)
        held.plans.clear();
    held.samples_stored = held.texts_stored = held.plans_stored = false;
    // A burst is no reason to keep its memory.
    if (held.samples.empty() && held.samples.capacity() > samples_per_insert)
        held.samples = {};
}

} // namespace citadel::history
