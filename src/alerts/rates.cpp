#include "alerts/rates.hpp"

namespace citadel::alerts {

namespace {

double growth(double now, double before) {
    return now < before ? now : now - before;
}

} // namespace

// The last reading; nullptr when `first` is the first one, which is kept.
Rates::Last* Rates::known(const FigureSubject& of, const Last& first) {
    if (last_.size() >= most_kept)
        last_.clear();
    const auto [at, inserted] = last_.try_emplace(of, first);
    return inserted ? nullptr : &at->second;
}

std::optional<double> Rates::per_minute(const FigureSubject& of, double counter, std::int64_t now_us) {
    constexpr double minute_us = 60e6;
    Last* const last = known(of, {counter, 0, now_us, std::nullopt});
    if (last == nullptr)
        return std::nullopt;
    const Last before = *last;
    *last = {counter, 0, now_us, std::nullopt};
    if (now_us <= before.at_us)
        return std::nullopt;
    return growth(counter, before.value) * minute_us / static_cast<double>(now_us - before.at_us);
}

std::optional<double> Rates::share(const FigureSubject& of, double part, double total) {
    Last* const last = known(of, {part, total, 0, std::nullopt});
    if (last == nullptr)
        return std::nullopt;
    const double grown = growth(total, last->total);
    if (total < last->total)
        *last = {0, 0, 0, last->answer}; // reset: both count from zero
    if (grown < smallest_total)
        return last->answer;
    last->answer = growth(part, last->value) / grown;
    last->value = part;
    last->total = total;
    return last->answer;
}

} // namespace citadel::alerts
