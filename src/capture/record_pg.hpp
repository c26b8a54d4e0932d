// The slow path: what becomes of a statement that was worth capturing.
#pragma once

#include "pg/server.hpp"

extern "C" {
#include "executor/execdesc.h"
}

#include "capture/sample.hpp"

#include <cstdint>

namespace citadel::capture {

// What a hook knows about the run it watches.
struct Watched {
    QueryDesc* query = nullptr;
    std::uint64_t query_id = 0;
    std::uint64_t generation = 0; // of its entry for the wait sampler, 0: none
    int location = 0;             // of its text in the source string, as in PlannedStmt
    int length = 0;
    Oid user = InvalidOid;
    bool nested = false;
    bool sampled = false;     // becomes a sample if it is slow
    bool counted = false;     // by the fast path
    bool counts_rows = false; // armed: its nodes are instrumented
    bool executing = false;   // at the moment
    std::uint32_t weight = 1; // stands for so many runs, the others not being watched
    // After each run of a cursor, which may have more: what is left to report when its portal is rolled back.
    double run_ms = 0;
    double slow_ms = 0; // the same once it has been slow
    std::int64_t rows = 0;
    std::uint64_t plan_id = 0;
};

// Identity of a statement that the server has given none: a hash of its normalised text.
std::uint64_t text_identity(const Watched& watched);

// A run that ended well. Keeps the statement's text, plan and parameters when they are not known yet.
void record_finished(const Watched& watched, double duration_ms);

// A run that was ended by an error. Called while the server unwinds it: memory work alone.
void record_failed(const Watched& watched, double duration_ms, Outcome outcome, int sqlstate);

// Text and plan of a statement that is about to be reported without having been slow.
void remember(const Watched& watched);

// At the start of a run: the plan of a statement whose last one failed.
void record_plan_at_start(const Watched& watched);

// At its end: the plan of an armed run, with its row counts.
void record_row_counts(const Watched& watched);

// A run that is slow already and may go on: a roll-back would take its text away.
void note_slow(Watched& watched, double duration_ms);

// A cursor that was slow and went away with its transaction.
void record_rolled_back(const Watched& watched);

void put(Sample& sample);

} // namespace citadel::capture
