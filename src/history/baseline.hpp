// What is usual for a statement: its latency as it was lately, and as it is at this hour of the week. Server-free.
//
// All of it is about the logarithm of latencies: these are spread like log-normal ones, and "half as long again" means
// the same for fast statements and slow ones. A bucket (as a rule a minute) counts as one observation, not each of its
// runs: the runs of a minute share its load, locks and cache, so that the spread *between* buckets is what chance looks
// like.
#pragma once

#include "capture/latency_histogram.hpp"

#include <array>
#include <cstdint>

namespace citadel::history {

struct Observation {
    std::int64_t minute = 0; // since 2000-01-01 00:00 UTC
    std::uint64_t calls = 0;
    double log_ms = 0;   // mean of the logarithms of its latencies in milliseconds
    double variance = 0; // of these
};

Observation observe(std::int64_t minute, const capture::LatencyHistogram& latencies);
// Both together, weighted by their calls (Chan, Golub, LeVeque 1979); the minute is that of the later one.
Observation together(const Observation& a, const Observation& b);

// Mean and variance of a sequence in which old values fade (West 1979, with exponential weights).
class Moments {
  public:
    void add(double value, double keep);      // keep: what is left of the weight of older values, 0..1
    double weight() const { return weight_; } // effective number of values
    double mean() const { return mean_; }
    double variance() const { return variance_; }

  private:
    double weight_ = 0;
    double mean_ = 0;
    double variance_ = 0;
};

// How usual an observation is.
struct Comparison {
    bool possible = false; // there is enough history
    double ratio = 1;      // its geometric mean / the expected one
    double t = 0;          // Welch's t of the difference of the means of logarithms
};

class Baseline {
  public:
    static constexpr int hours_of_week = 168;
    static constexpr double half_life = 60;     // observations: an hour of a statement that runs every minute
    static constexpr double enough = 20;        // effective observations of the rolling baseline
    static constexpr int enough_weeks = 3;      // of an hour of the week
    static constexpr double keep_of_week = 0.7; // an hour's weight after a week
    // Spread that is taken for chance at least: histograms tell latencies within 7 %.
    static constexpr double least_deviation = 0.05;
    // Values further away than so many deviations count as if they were there: a single bad minute does not make the
    // next ones look usual (winsorised; Huber 1964).
    static constexpr double furthest = 2;

    // Two parts, because what is usual at an hour is learnt also while a regression is open (a nightly batch would look
    // like one for ever), and what was usual lately is not.
    void add_lately(const Observation& observation);
    void add_hour(const Observation& observation);
    // Against what was usual lately, and for this hour of the week; the latter only after three weeks.
    Comparison against_lately(const Observation& observation) const;
    Comparison against_hour(const Observation& observation) const;
    double usual_ms() const;
    // Forgets what was usual lately, so that it is learnt anew from the next observations.
    void forget_lately() { lately_ = {}; }

  private:
    struct Hour {
        Moments moments;
        std::int32_t week = -1; // the last in which it was observed
        std::int32_t weeks = 0;
    };
    static std::size_t hour_of(std::int64_t minute);
    static Comparison compare(const Moments& usual, const Observation& observation);

    Moments lately_;
    std::array<Hour, hours_of_week> hours_{};
};

} // namespace citadel::history
