// How many rows the next batch takes, and how long to rest after one.
//
// A batch shall take about `target_ms`, however fast the machine is at the moment, and seldom longer. The rate of the
// last batches is smoothed; the size follows it at once when it falls and slowly when it rises.
#pragma once

#include <cstdint>

namespace citadel::lifecycle {

struct ThrottleLimits {
    double target_ms = 100;   // citadel_opt.lifecycle_batch_ms
    double load = 0.5;        // citadel_opt.lifecycle_load: share of the time in which batches run
    std::int64_t first = 500; // rows of the first batch
    std::int64_t least = 10;
    std::int64_t most = 50000; // larger ones are no faster, and hold locks longer
};

class Throttle {
  public:
    explicit Throttle(const ThrottleLimits& limits);

    // Rows for the next batch.
    std::int64_t rows() const { return rows_; }

    // A batch of `rows` took `took_ms` from its start to the end of its commit. One that found fewer rows than it could
    // have taken says less about the rate.
    void done(std::int64_t rows, double took_ms);

    // Whether others are at work. Then batches are a quarter as long, and rests in proportion twice as long, so that a
    // statement that meets one is not held up for long. Not where `load` is 1: nobody is to be spared.
    void make_way(bool others) { others_ = others && limits_.load < 1; }

    // A batch failed for want of a lock: the next one is smaller.
    void held_up();

    // How long to rest now, in milliseconds.
    double rest_ms() const { return rest_ms_; }

    double rows_per_ms() const { return rate_; }

  private:
    void set_rows(double rows);
    double target_ms() const { return others_ ? limits_.target_ms / 4 : limits_.target_ms; }
    double load() const { return others_ ? limits_.load / 2 : limits_.load; }
    ThrottleLimits limits_;
    std::int64_t rows_;
    double rate_ = 0; // rows a millisecond, smoothed
    double rest_ms_ = 0;
    bool others_ = false;
};

} // namespace citadel::lifecycle
