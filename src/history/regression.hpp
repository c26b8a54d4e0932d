// Whether a statement has become slower than it was, and whether it is over. Server-free.
//
// False alarms are the enemy, so four things have to come together, in two observations in a row: enough runs, an
// effect that somebody would care for, confidence (Welch's t against the spread between buckets, see baseline.hpp),
// and, once three weeks are known, all of that against the same hour of the week as well. Where the spread is too wide
// for that, less confidence does if more observations in a row agree.
//
// No distribution is assumed of single bad minutes (a checkpoint, a backup): how often a statement has them and how bad
// they are is learnt, and what is not much worse has to last so long that such minutes in a row would be less than one
// false alarm in a thousand weeks.
#pragma once

#include "history/baseline.hpp"

#include <cstdint>

namespace citadel::history {

struct RegressionRules {
    std::uint64_t runs = 20;    // an observation with fewer waits for the next
    double ratio = 1.5;         // half as long again
    double t = 4;               // one-sided, about 1 in 30,000 for a normal spread
    double extra_ms = 1;        // a run, or ...
    double extra_load_ms = 600; // ... of an observation: 1 % of a processor in a minute
    int in_a_row = 2;           // observations that have to agree
    double clear_ratio = 2.5;   // or, below this ratio,
    int less_clear_in_a_row = 5;
    double weak_t = 2; // or more of them with less confidence
    int weak_in_a_row = 15;
    double worse_than_hiccups = 1.5; // times as slow as any single bad minute was: two in a row do
    int most_in_a_row = 8;           // however often there are bad minutes
    double tolerated = 0.001;        // false alarms a week by bad minutes that follow each other by chance
    double hiccups_half_life = 2880; // observations: two days of a statement that runs every minute
    std::int64_t short_lived = 60;   // minutes: what is over sooner was a long bad minute
    double over_ratio = 1.2;         // it is over below this ratio,
    int over_in_a_row = 5;           // so many observations in a row
    std::int64_t accepted = 1440;    // minutes after which the new latency is what is usual
};

class RegressionWatch {
  public:
    enum class Event { none, opened, closed, accepted };

    explicit RegressionWatch(const RegressionRules& rules = {}) : rules_(rules) {}

    Event observe(const Observation& observation);

    // What is known from before, when the watch begins: an hour that was stored, a minute, and a regression that is
    // open.
    void learn_hour(const Observation& observation) { baseline_.add_hour(observation); }
    void learn_minute(const Observation& observation);
    void resume(std::int64_t since, double usual_ms);

    bool open() const { return open_; }
    std::int64_t since() const { return since_; } // first minute of the open one
    double usual_ms() const { return usual_ms_; } // geometric means: before,
    double ms() const { return ms_; }             // and now
    double ratio() const { return usual_ms_ > 0 ? ms_ / usual_ms_ : 1; }

  private:
    enum class Suspicion { none, weak, strong };
    struct Suspected {
        Suspicion suspicion = Suspicion::none;
        double ratio = 1;
    };
    Suspected suspicion(const Observation& observation) const;
    bool confirmed(Suspected suspected);
    void judged();
    void hiccup(int length, double ratio);
    int strong_needed() const;
    Event observe_open(const Observation& observation);

    RegressionRules rules_;
    Baseline baseline_;
    Observation waiting_;       // too few runs so far
    Observation suspected_[16]; // in a row, not in the baseline yet
    int suspects_ = 0;
    int strong_ = 0;          // of them, in a row
    double least_strong_ = 0; // ratio of these
    double most_strong_ = 0;
    // Bad minutes that were chance, fading:
    double judged_ = 0, hiccups_ = 0;
    int longest_hiccup_ = 0;
    double worst_hiccup_ = 0; // ratio
    int over_ = 0;
    bool open_ = false;
    std::int64_t since_ = 0;
    double usual_ms_ = 0, ms_ = 0;
    double worst_ratio_ = 1;
};

} // namespace citadel::history
