// Puts runs of statements that never ran into the shared memory of the fast path, as sessions would have done: so a
// test can simulate days in seconds, and everything from there on is the server's own way (test/tap/357_quiet_days.pl).
#include "pg/server.hpp"

#include "capture/statement_table.hpp"
#include "pg/boundary.hpp"
#include "pg/guard.hpp"

extern "C" {
#include "storage/shmem.h"
}

#include <cmath>
#include <cstdlib>
#include <map>
#include <random>

namespace capture = citadel::capture;

namespace {

capture::StatementTable* shared_table() {
    bool found = false;
    const char* size = GetConfigOption("citadel_opt.statement_buffer_size", false, false);
    const std::size_t bytes = capture::StatementTable::size_for(std::strtoull(size, nullptr, 10) * 1024);
    void* memory =
        citadel::pg::guard([bytes, &found] { return ShmemInitStruct("citadel_opt statements", bytes, &found); });
    if (!found)
        citadel::pg::raise(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, "citadel_opt is not preloaded");
    return static_cast<capture::StatementTable*>(memory);
}

// As in test/unit/regression_test.cpp: log-normal latencies around a level, a load that wanders, now and then a minute
// that is twice as slow.
struct Load {
    std::mt19937_64 random;
    double wandering = 0;
};

} // namespace

// simulate_load(query_id, plan_id, minute, ms, calls): the runs of one minute since 2000-01-01, around `ms`.
CITADEL_FUNCTION(citadel_test_simulate_load) {
    static std::map<int64, Load> loads;
    const int64 query_id = PG_GETARG_INT64(0);
    const auto [found, fresh] = loads.try_emplace(query_id);
    Load& load = found->second;
    if (fresh)
        load.random.seed(static_cast<std::uint64_t>(query_id));
    std::normal_distribution<double> normal;
    load.wandering = 0.9 * load.wandering + 0.04 * normal(load.random);
    const double hiccup = std::uniform_real_distribution<double>(0, 1)(load.random) < 0.003 ? 2 : 1;
    capture::LocalDelta delta;
    delta.key = {static_cast<std::uint64_t>(query_id),
                 static_cast<std::uint64_t>(PG_GETARG_INT64(1)),
                 MyDatabaseId,
                 GetUserId(),
                 static_cast<std::uint32_t>(PG_GETARG_INT64(2)),
                 0};
    for (int32 i = 0; i < PG_GETARG_INT32(4); ++i) {
        const double ms = PG_GETARG_FLOAT8(3) * hiccup * std::exp(load.wandering + 0.5 * normal(load.random));
        capture::Run run;
        run.figures.calls = 1;
        run.figures.total_ms = run.figures.max_ms = ms;
        run.figures.shared_hit = 10;
        run.bucket = capture::latency_bucket(ms);
        delta.add(run);
    }
    PG_RETURN_BOOL(shared_table()->add(delta, 0, 100000));
}
