// The price of our hooks, measured: some runs are timed with the server's monotonic clock, and stand for the others.
//
// own:  time in our hooks. Of timed runs the parts before and after the server's own, times the number of runs that
//       they stand for; and in full what is rare and dear (taking a plan's text, moving counts to shared memory).
// busy: time in which this session worked for its client, as pg_stat_database.active_time has it: the execution of each
//       run, which is known anyway, and of timed runs what the server spent on them besides (parsing, planning,
//       sending, committing), times the number of runs that they stand for.
//
// A process adds both to shared memory once a second. The launcher judges their ratio and sets the level
// (overhead.hpp).
#pragma once

#include "pg/server.hpp"

#include "capture/overhead.hpp"
#include "pg/compat.hpp"
#include "settings/settings.hpp"

extern "C" {
#include "executor/execdesc.h"
#include "pgstat.h"
}

#include <atomic>
#include <cstdint>

namespace citadel::capture {

// The padding keeps what statements read away from what they write.
struct alignas(64) SharedOverhead { // NOLINT(clang-analyzer-optin.performance.Padding)
    // Written by all processes, rarely.
    std::atomic<std::uint64_t> own_ns;
    std::atomic<std::uint64_t> busy_us;
    std::atomic<std::uint64_t> timed_runs;
    // Read by each statement, written by the launcher.
    alignas(64) std::atomic<std::int32_t> level;
    std::atomic<std::uint32_t> share_ppm; // millionths, of the last window
    std::atomic<std::int64_t> since;      // TimestampTz of the last change of the level; 0: never
    std::atomic<std::uint64_t> changes;
};

// nullptr unless preloaded and the server's shared memory has been set up.
SharedOverhead* shared_overhead();
void register_overhead(); // at preload

// The measuring of this process. Not shared, no allocation, no error; its frames may be jumped over.
class Meter {
  public:
    // At the entry of ExecutorStart. True when this run is timed: the clock of our own time runs.
    bool starts(const QueryDesc* query, bool top_level) {
        if (waiting_ && top_level)
            settle();
        return runs_.due() && begin(query, top_level);
    }
    bool times(const QueryDesc* query) const { return query_ == query; }
    // Around the server's own part of a timed run.
    void pause() { own_ns_ += part(); }
    void resume();
    // At the end of ExecutorEnd's own part, of any run.
    // The server adds a message's time when it has answered it. So when that count is still what it was at the end of
    // the last run, the next run belongs to the same message.
    void note_idle_mark() { idle_mark_ = pgStatActiveTime; }
    void finish(const QueryDesc* query, double executed_ms);
    void abandon(const QueryDesc* query) {
        if (query_ == query)
            query_ = nullptr;
    }
    // A run at the top level ended that stands for so many.
    void add_execution(double ms, std::uint32_t weight) { executed_ms_ += ms * weight; }

    // Something rare, timed in full.
    template <class Work>
    void in_full(Work&& work) {
        if (settings::max_overhead <= 0) {
            work();
            return;
        }
        const std::int64_t from = pg::monotonic_ns();
        work();
        add_in_full(pg::monotonic_ns() - from);
    }
    // Something frequent, timed now and then.
    template <class Work>
    void now_and_then(Work&& work) {
        if (!others_.due()) {
            work();
            return;
        }
        if (settings::max_overhead <= 0) {
            others_.rest();
            work();
            return;
        }
        const std::int64_t from = pg::monotonic_ns();
        others_.timed(from);
        work();
        add_own(usual_other_ns_, less_clock(pg::monotonic_ns() - from), others_.weight());
    }
    void report(); // what was measured goes to shared memory

  private:
    bool begin(const QueryDesc* query, bool top_level);
    void settle();
    std::int64_t part();
    std::int64_t less_clock(std::int64_t ns) const { return ns > clock_ns_ ? ns - clock_ns_ : 0; }
    void add_in_full(std::int64_t ns);

    void add_own(WithoutOutliers& usual, std::int64_t ns, std::uint32_t weight) {
        own_total_ns_ += static_cast<std::int64_t>(usual(static_cast<double>(ns))) * weight;
    }

    Cadence runs_;
    Cadence others_;
    WithoutOutliers usual_run_ns_, usual_nested_ns_, usual_other_ns_, usual_besides_us_;
    const void* query_ = nullptr; // the run that is timed
    std::int64_t from_ns_ = 0;    // when the present part began
    std::int64_t in_full_ns_ = 0; // timed in full so far
    std::int64_t in_full_at_from_ns_ = 0;
    std::int64_t own_ns_ = 0; // of this run
    std::int64_t began_ns_ = 0;
    std::int64_t active_before_ = 0;
    std::int64_t idle_mark_ = 0; // the server's count of active time when the last run ended
    bool top_level_ = false;
    bool alone_ = false;        // the first run of its message
    bool waiting_ = false;      // a timed run has ended whose message has not
    std::int64_t ended_us_ = 0; // of that one: from ExecutorStart to ExecutorEnd
    double waiting_executed_us_ = 0;
    std::uint32_t waiting_weight_ = 1;

    std::int64_t clock_ns_ = -1;    // what reading the clock takes; measured once
    std::int64_t own_total_ns_ = 0; // not reported yet
    double executed_ms_ = 0;
    double besides_us_ = 0;
    std::uint64_t timed_runs_ = 0;
    std::int64_t reported_ns_ = 0;
};

extern Meter meter;

// The level of now. A load.
int shed_level();

} // namespace citadel::capture
