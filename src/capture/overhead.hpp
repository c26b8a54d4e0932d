// What capture costs, and what it leaves out when that is too much. Server-free.
//
// The cost is a share: time spent in our hooks / time in which the sessions were busy with statements. It is judged
// over a window by one process (the launcher), and what is to be left out is one number in shared memory that the hooks
// read.
#pragma once

#include <array>
#include <cstdint>
#include <string>

namespace citadel::capture {

// Each level leaves out what the ones before do, and more.
enum Shed : int {
    shed_nothing = 0,
    shed_details = 1, // plans and parameter sets of slow statements: the dearest by far where there are any
    shed_waits = 2,   // what slow statements wait for, and statements repeated in a transaction
    shed_to_4 = 3,    // one statement in 4 is watched and counts for as many
    shed_to_16 = 4,
    shed_to_64 = 5,
};
inline constexpr int most_shed = shed_to_64;

// One statement in so many is watched.
constexpr std::uint32_t watched_one_in(int level) {
    if (level < shed_to_4)
        return 1;
    return level == shed_to_4 ? 4 : level == shed_to_16 ? 16 : 64;
}

// In words, what this level leaves out in addition to the ones below it; nullptr for levels that do not exist.
const char* shed_part(int level);

// Takes a turn in `every` on average, with a distance between turns that varies: a workload that repeats itself every
// so many statements is not always met at the same one.
class Turns {
  public:
    bool take(std::uint32_t every) {
        if (--left_ > 0)
            return false;
        rearm(every);
        return true;
    }
    // Distances are spread evenly over 1 .. 2 * every - 1.
    void rearm(std::uint32_t every) {
        state_ = state_ * 6364136223846793005ULL + 1442695040888963407ULL;
        const std::uint64_t range = 2ULL * every - 1;
        left_ = static_cast<std::int32_t>(1 + (((state_ >> 32) * range) >> 32));
    }
    void again_at_once() { left_ = 1; }

  private:
    std::int32_t left_ = 1;
    std::uint64_t state_ = 0x9e3779b97f4a7c15ULL;
};

// One statement in `weight()` is timed. That adapts itself: where statements take microseconds reading the clock would
// be what costs, where they take milliseconds each one can be timed.
class Cadence {
  public:
    bool due() { return turns_.take(every_); }
    std::uint32_t weight() const { return weight_; }
    // A statement is timed now: notes for how many it stands, and adapts.
    void timed(std::int64_t now_ns) {
        weight_ = every_;
        const std::int64_t gap = now_ns - last_ns_;
        if (last_ns_ != 0 && gap < close_ns)
            every_ = every_ < most ? every_ * 2 : most;
        else if (gap > far_ns)
            every_ = every_ > 1 ? every_ / 2 : 1;
        last_ns_ = now_ns;
        turns_.rearm(every_);
    }
    // Nothing is timed at present.
    void rest() { turns_.rearm(most); }
    // Not this one after all.
    void put_off() { turns_.again_at_once(); }

    static constexpr std::uint32_t most = 1024;
    static constexpr std::int64_t close_ns = 1'000'000;
    static constexpr std::int64_t far_ns = 8'000'000;

  private:
    Turns turns_;
    std::uint32_t every_ = 1;
    std::uint32_t weight_ = 1;
    std::int64_t last_ns_ = 0;
};

// What a timed run took, with outliers cut: the process that loses its processor in the middle of one, and stands for a
// thousand others, must not be taken for a slow hook. What has become slow for good is followed within a few runs.
class WithoutOutliers {
  public:
    double operator()(double value) {
        const double cut = usual_ > 0 && value > outlier * usual_ ? outlier * usual_ : value;
        usual_ = usual_ > 0 ? usual_ + (cut - usual_) / 16 : cut;
        return cut;
    }
    static constexpr double outlier = 8;

  private:
    double usual_ = 0;
};

// Decides what to leave out. One step a second, on the clock and the sums that it is given.
class Governor {
  public:
    struct Reading {
        std::int64_t now_us = 0;     // of a clock that is never put back
        std::uint64_t own_ns = 0;    // since the server started
        std::uint64_t busy_us = 0;   // likewise
        double limit = 0;            // 0: leave nothing out
        double pretended_share = -1; // >= 0, for tests: this share, and no waiting between steps
    };

    // The level that another one left behind; it starts to measure anew.
    explicit Governor(int level = shed_nothing) : level_(level) {}

    // True when the level has changed.
    bool step(const Reading& reading);

    int level() const { return level_; }
    double share() const { return share_; } // of the window

    static constexpr int window = 10; // readings
    static constexpr std::int64_t least_busy_us = 100'000;
    static constexpr double well_below = 0.5;                        // of the limit: try with more
    static constexpr std::int64_t first_pause_us = 60'000'000;       // before trying
    static constexpr std::int64_t longest_pause_us = 3600'000'000LL; // doubles up to this when trying fails

  private:
    void change(int by, std::int64_t now_us);
    bool may_restore(std::int64_t now_us) const;

    struct Sum {
        std::uint64_t own_ns = 0;
        std::uint64_t busy_us = 0;
    };
    std::array<Sum, window + 1> sums_{}; // the last ones, as read; a ring
    int sums_held_ = 0;
    int newest_ = 0;
    int level_;
    double share_ = 0;
    std::int64_t changed_at_ = 0;
    std::int64_t restored_at_ = 0; // 0: not lately
    std::int64_t pause_us_ = first_pause_us;
};

} // namespace citadel::capture
