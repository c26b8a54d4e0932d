#include "history/regression.hpp"

#include <cmath>
#include <iterator>

namespace citadel::history {

RegressionWatch::Suspicion RegressionWatch::suspicion(const Observation& observation) const {
    const Comparison lately = baseline_.against_lately(observation);
    if (!lately.possible || lately.ratio < rules_.ratio || lately.t < rules_.weak_t)
        return Suspicion::none;
    const double extra_ms = std::exp(observation.log_ms) - baseline_.usual_ms();
    if (extra_ms < rules_.extra_ms && extra_ms * static_cast<double>(observation.calls) < rules_.extra_load_ms)
        return Suspicion::none;
    const Comparison hour = baseline_.against_hour(observation);
    if (hour.possible && (hour.ratio < rules_.ratio || hour.t < rules_.weak_t))
        return Suspicion::none;
    return lately.t >= rules_.t && (!hour.possible || hour.t >= rules_.t) ? Suspicion::strong : Suspicion::weak;
}

bool RegressionWatch::confirmed(Suspicion suspicion) {
    strong_ = suspicion == Suspicion::strong ? strong_ + 1 : 0;
    return strong_ >= rules_.in_a_row || suspects_ >= rules_.weak_in_a_row ||
           suspects_ == static_cast<int>(std::size(suspected_));
}

// What was usual lately stands still meanwhile, or it would learn the regression.
RegressionWatch::Event RegressionWatch::observe_open(const Observation& observation) {
    ms_ = std::exp(observation.log_ms);
    over_ = ratio() < rules_.over_ratio ? over_ + 1 : 0;
    if (over_ >= rules_.over_in_a_row) {
        open_ = false;
        return Event::closed;
    }
    if (observation.minute - since_ < rules_.accepted)
        return Event::none;
    open_ = false;
    baseline_.forget_lately();
    return Event::accepted;
}

RegressionWatch::Event RegressionWatch::observe(const Observation& part) {
    waiting_ = together(waiting_, part);
    if (waiting_.calls < rules_.runs)
        return Event::none;
    const Observation observation = waiting_;
    waiting_ = {};
    const Suspicion found = open_ ? Suspicion::none : suspicion(observation);
    baseline_.add_hour(observation);
    if (open_)
        return observe_open(observation);
    if (found == Suspicion::none) {
        // What was suspected and not confirmed was chance, and part of what is usual.
        for (int i = 0; i < suspects_; ++i)
            baseline_.add_lately(suspected_[i]);
        suspects_ = strong_ = 0;
        baseline_.add_lately(observation);
        return Event::none;
    }
    suspected_[suspects_++] = observation;
    if (!confirmed(found))
        return Event::none;
    open_ = true;
    over_ = 0;
    since_ = suspected_[0].minute;
    usual_ms_ = baseline_.usual_ms();
    ms_ = std::exp(observation.log_ms);
    suspects_ = strong_ = 0;
    return Event::opened;
}

void RegressionWatch::resume(std::int64_t since, double usual_ms) {
    open_ = true;
    since_ = since;
    usual_ms_ = ms_ = usual_ms;
}

} // namespace citadel::history
