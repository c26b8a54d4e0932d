#include "capture/overhead_pg.hpp"

#include "capture/capture.hpp"
#include "pg/clock.hpp"
#include "pg/guard.hpp"
#include "pg/shared_memory.hpp"
#include "settings/settings.hpp"

#include <algorithm>
#include <new>

namespace citadel::capture {

namespace {

SharedOverhead* shared = nullptr;

constexpr std::int64_t report_every_ns = 1'000'000'000;

std::size_t overhead_size() {
    return sizeof(SharedOverhead);
}

void attach(void* memory, bool fresh) {
    shared = fresh ? new (memory) SharedOverhead() : static_cast<SharedOverhead*>(memory);
}

// The least of a few tries: what reading the clock takes when nothing comes between.
std::int64_t price_of_clock() {
    std::int64_t least = 1'000'000;
    for (int i = 0; i < 8; ++i) {
        const std::int64_t from = pg::monotonic_ns();
        least = std::min(least, pg::monotonic_ns() - from);
    }
    return least;
}

} // namespace

Meter meter;

SharedOverhead* shared_overhead() {
    return shared;
}
int shed_level() {
    return shared->level.load(std::memory_order_relaxed);
}

void register_overhead() {
    pg::register_shared_memory({"citadel_opt overhead", overhead_size, attach, 0});
}

// --- a process measures

bool Meter::begin(const QueryDesc* query, bool top_level) {
    if (settings::max_overhead <= 0) {
        runs_.rest();
        return false;
    }
    // A run inside one that is timed: that one goes on. One that was left behind by an error makes room.
    if (query_ != nullptr && query_ != query && !top_level) {
        runs_.put_off();
        return false;
    }
    if (clock_ns_ < 0)
        clock_ns_ = price_of_clock();
    from_ns_ = began_ns_ = pg::monotonic_ns();
    runs_.timed(from_ns_);
    in_full_at_from_ns_ = in_full_ns_;
    query_ = query;
    top_level_ = top_level;
    own_ns_ = 0;
    active_before_ = pgStatActiveTime;
    alone_ = top_level && active_before_ != idle_mark_;
    return true;
}

// Our own time since `from_ns_`, without what is counted in full and without the clock's.
std::int64_t Meter::part() {
    const std::int64_t now = pg::monotonic_ns();
    return less_clock(now - from_ns_ - (in_full_ns_ - in_full_at_from_ns_));
}

void Meter::resume() {
    in_full_at_from_ns_ = in_full_ns_;
    from_ns_ = pg::monotonic_ns();
}

void Meter::finish(const QueryDesc* query, double executed_ms) {
    if (query_ != query)
        return;
    const std::int64_t now = pg::monotonic_ns();
    own_ns_ += less_clock(now - from_ns_ - (in_full_ns_ - in_full_at_from_ns_));
    query_ = nullptr;
    add_own(top_level_ ? usual_run_ns_ : usual_nested_ns_, own_ns_, runs_.weight());
    ++timed_runs_;
    if (top_level_) {
        waiting_ = true;
        // A cursor's client thought in between: then only its execution counts.
        const bool same_message = pgStatActiveTime == active_before_;
        alone_ = alone_ && same_message;
        ended_us_ = same_message ? (now - began_ns_) / 1000 : 0;
        waiting_executed_us_ = executed_ms * 1000;
        waiting_weight_ = runs_.weight();
    }
    if (now - reported_ns_ >= report_every_ns) {
        reported_ns_ = now;
        report();
    }
}

// The next run comes: now the server knows what the message of the timed one took.
void Meter::settle() {
    waiting_ = false;
    double busy_us = static_cast<double>(ended_us_);
    if (alone_) {
        // It starts again from zero whenever the server reports its statistics.
        const std::int64_t active =
            pgStatActiveTime >= active_before_ ? pgStatActiveTime - active_before_ : pgStatActiveTime;
        busy_us = std::max(busy_us, static_cast<double>(active));
    }
    besides_us_ += usual_besides_us_(std::max(0.0, busy_us - waiting_executed_us_)) * waiting_weight_;
}

void Meter::add_in_full(std::int64_t ns) {
    in_full_ns_ += ns;
    own_total_ns_ += ns;
}

void Meter::report() {
    if (shared == nullptr)
        return;
    const double busy_us = executed_ms_ * 1000 + besides_us_;
    shared->own_ns.fetch_add(static_cast<std::uint64_t>(std::max<std::int64_t>(own_total_ns_, 0)),
                             std::memory_order_relaxed);
    shared->busy_us.fetch_add(static_cast<std::uint64_t>(std::max(busy_us, 0.0)), std::memory_order_relaxed);
    shared->timed_runs.fetch_add(timed_runs_, std::memory_order_relaxed);
    own_total_ns_ = 0;
    executed_ms_ = besides_us_ = 0;
    timed_runs_ = 0;
}

// --- the launcher judges

namespace {

void report_change(double percent, int level, bool more) {
    const char* const verb = more ? "leaves out more" : "takes work in again";
    const char* const part = level > shed_nothing ? shed_part(level) : "nothing";
    pg::guard([=] {
        ereport(LOG, (errmsg("capture takes %.2f %% of the time of statements and %s: level %d of %d", percent, verb,
                             level, most_shed),
                      errdetail("Left out at this level: %s.", part)));
    });
}

} // namespace

void judge_overhead() {
    static std::int64_t judged_ns = 0;
    static Governor governor(shared == nullptr ? 0 : shed_level());
    const std::int64_t now = pg::monotonic_ns();
    if (shared == nullptr || now - judged_ns < 1'000'000'000)
        return;
    judged_ns = now;
    const int before = governor.level();
    const bool changed = governor.step({now / 1000, shared->own_ns.load(std::memory_order_relaxed),
                                        shared->busy_us.load(std::memory_order_relaxed), settings::max_overhead,
                                        settings::debug_overhead});
    shared->share_ppm.store(static_cast<std::uint32_t>(std::clamp(governor.share(), 0.0, 1.0) * 1e6),
                            std::memory_order_relaxed);
    if (!changed)
        return;
    shared->since.store(pg::now(), std::memory_order_relaxed);
    shared->changes.fetch_add(1, std::memory_order_relaxed);
    shared->level.store(governor.level(), std::memory_order_relaxed);
    report_change(governor.share() * 100, governor.level(), governor.level() > before);
}

} // namespace citadel::capture
