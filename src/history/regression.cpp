#include "history/regression.hpp"

#include <algorithm>
#include <cmath>

namespace citadel::history {

namespace {

constexpr double observations_a_week = 7 * 24 * 60;
constexpr double forgotten = 0.25; // of a bad minute: two half-lives without another one

} // namespace

RegressionWatch::Suspected RegressionWatch::suspicion(const Observation& observation) const {
    const Comparison lately = baseline_.against_lately(observation);
    if (!lately.possible || lately.ratio < rules_.ratio || lately.t < rules_.weak_t)
        return {};
    const double extra_ms = std::exp(observation.log_ms) - baseline_.usual_ms();
    if (extra_ms < rules_.extra_ms && extra_ms * static_cast<double>(observation.calls) < rules_.extra_load_ms)
        return {};
    const Comparison hour = baseline_.against_hour(observation);
    if (hour.possible && (hour.ratio < rules_.ratio || hour.t < rules_.weak_t))
        return {};
    const bool strong = lately.t >= rules_.t && (!hour.possible || hour.t >= rules_.t);
    return {strong ? Suspicion::strong : Suspicion::weak, lately.ratio};
}

void RegressionWatch::judged() {
    const double keep = std::exp2(-1 / rules_.hiccups_half_life);
    judged_ = judged_ * keep + 1;
    hiccups_ *= keep;
    if (hiccups_ < forgotten) {
        longest_hiccup_ = 0;
        worst_hiccup_ = 0;
    }
}

void RegressionWatch::hiccup(int length, double ratio) {
    hiccups_ += length;
    longest_hiccup_ = std::max(longest_hiccup_, length);
    worst_hiccup_ = std::max(worst_hiccup_, ratio);
}

// So many in a row that bad minutes which follow each other by chance make no alarm.
int RegressionWatch::strong_needed() const {
    const int at_least = least_strong_ >= rules_.clear_ratio ? rules_.in_a_row : rules_.less_clear_in_a_row;
    if (longest_hiccup_ == 0 || least_strong_ >= rules_.worse_than_hiccups * worst_hiccup_)
        return at_least;
    const double rate = hiccups_ / std::max(judged_, 1.0);
    int needed = std::max(at_least, longest_hiccup_ + 1);
    while (needed < rules_.most_in_a_row && std::pow(rate, needed) * observations_a_week > rules_.tolerated)
        ++needed;
    return std::min(needed, rules_.most_in_a_row);
}

bool RegressionWatch::confirmed(Suspected suspected) {
    if (suspected.suspicion == Suspicion::strong) {
        least_strong_ = strong_ == 0 ? suspected.ratio : std::min(least_strong_, suspected.ratio);
        most_strong_ = strong_ == 0 ? suspected.ratio : std::max(most_strong_, suspected.ratio);
        ++strong_;
    } else {
        if (strong_ > 0)
            hiccup(strong_, most_strong_);
        strong_ = 0;
    }
    return (strong_ > 0 && strong_ >= strong_needed()) || suspects_ >= rules_.weak_in_a_row;
}

// What was usual lately stands still meanwhile, or it would learn the regression.
RegressionWatch::Event RegressionWatch::observe_open(const Observation& observation) {
    ms_ = std::exp(observation.log_ms);
    worst_ratio_ = std::max(worst_ratio_, ratio());
    // Fast statements vary by more than that for no reason: also what is far from worth an alarm is over.
    const double extra_ms = ms_ - usual_ms_;
    const bool small =
        extra_ms < rules_.extra_ms / 2 && extra_ms * static_cast<double>(observation.calls) < rules_.extra_load_ms / 2;
    over_ = ratio() < rules_.over_ratio || small ? over_ + 1 : 0;
    if (over_ >= rules_.over_in_a_row) {
        open_ = false;
        if (observation.minute - since_ < rules_.short_lived)
            hiccup(rules_.in_a_row, worst_ratio_);
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
    const Suspected found = open_ ? Suspected{} : suspicion(observation);
    baseline_.add_hour(observation);
    if (open_)
        return observe_open(observation);
    judged();
    if (found.suspicion == Suspicion::none) {
        if (strong_ > 0)
            hiccup(strong_, most_strong_);
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
    worst_ratio_ = ratio();
    suspects_ = strong_ = 0;
    return Event::opened;
}

void RegressionWatch::learn_minute(const Observation& observation) {
    judged();
    if (const Suspected found = suspicion(observation); found.suspicion == Suspicion::strong)
        hiccup(1, found.ratio);
    baseline_.add_lately(observation);
}

void RegressionWatch::resume(std::int64_t since, double usual_ms) {
    open_ = true;
    since_ = since;
    usual_ms_ = ms_ = usual_ms;
}

} // namespace citadel::history
