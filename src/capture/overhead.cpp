#include "capture/overhead.hpp"

#include <algorithm>

namespace citadel::capture {

const char* shed_part(int level) {
    switch (level) {
    case shed_details:
        return "plans and parameters of slow statements";
    case shed_waits:
        return "waits of slow statements, and statements repeated in a transaction";
    case shed_to_4:
        return "three statements in four: one in 4 is counted, for as many";
    case shed_to_16:
        return "more of them: one statement in 16 is counted";
    case shed_to_64:
        return "more of them: one statement in 64 is counted";
    default:
        return nullptr;
    }
}

// What was measured before a change says nothing about the time after it.
void Governor::change(int by, std::int64_t now_us) {
    level_ = std::clamp(level_ + by, static_cast<int>(shed_nothing), most_shed);
    changed_at_ = now_us;
    const Sum last = sums_[static_cast<std::size_t>(newest_)];
    sums_held_ = 1;
    newest_ = 0;
    sums_[0] = last;
}

bool Governor::may_restore(std::int64_t now_us) const {
    return level_ > shed_nothing && now_us - changed_at_ >= pause_us_;
}

bool Governor::step(const Reading& reading) {
    const Sum sum{reading.own_ns, reading.busy_us};
    if (sums_held_ > 0 &&
        sum.busy_us < sums_[static_cast<std::size_t>(newest_)].busy_us) // not the same server any more
        sums_held_ = 0;
    newest_ = sums_held_ == 0 ? 0 : (newest_ + 1) % (window + 1);
    sums_[static_cast<std::size_t>(newest_)] = sum;
    sums_held_ = std::min(sums_held_ + 1, window + 1);
    const int before = level_;

    if (reading.pretended_share >= 0) {
        share_ = reading.pretended_share;
        if (share_ > reading.limit && reading.limit > 0)
            change(+1, reading.now_us);
        else
            change(-1, reading.now_us);
        return level_ != before;
    }

    const Sum& oldest = sums_[static_cast<std::size_t>((newest_ + window + 2 - sums_held_) % (window + 1))];
    const std::uint64_t busy_us = sum.busy_us - oldest.busy_us;
    const bool judged = sums_held_ == window + 1 && busy_us >= static_cast<std::uint64_t>(least_busy_us);
    if (sums_held_ == window + 1 || busy_us >= static_cast<std::uint64_t>(least_busy_us))
        share_ =
            busy_us == 0 ? 0 : static_cast<double>(sum.own_ns - oldest.own_ns) / 1000.0 / static_cast<double>(busy_us);

    if (reading.limit <= 0) {
        if (level_ > shed_nothing)
            change(-1, reading.now_us);
        return level_ != before;
    }
    // A try that went well for twice as long as the pause before it was right: the next one need not wait as long.
    if (restored_at_ != 0 && reading.now_us - restored_at_ >= 2 * pause_us_) {
        restored_at_ = 0;
        pause_us_ = first_pause_us;
    }
    if (judged && share_ > reading.limit) {
        if (level_ == most_shed)
            return false;
        if (restored_at_ != 0) {
            pause_us_ = std::min(2 * pause_us_, longest_pause_us);
            restored_at_ = 0;
        }
        change(+1, reading.now_us);
    } else if (sums_held_ == window + 1 && share_ < well_below * reading.limit && may_restore(reading.now_us)) {
        restored_at_ = reading.now_us;
        change(-1, reading.now_us);
    }
    return level_ != before;
}

} // namespace citadel::capture
