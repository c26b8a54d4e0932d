// What is told and when, so that alerts are never a flood: those of one rule are one notice, a rule speaks again only
// after a pause, and all rules together say only so much a minute. What has to wait is told later, in one notice;
// nothing is left out, because the alerts themselves lie in a table.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace citadel::alerts {

// An alert of which something has not been told yet.
struct Untold {
    std::int64_t alert_id = 0;
    std::string rule;
    int severity = 0; // 0 info, 1 warning, 2 critical
    bool resolved = false;
    std::string subject;
    double value = 0;
};

// One notice: alerts of one rule that opened, or that were resolved.
struct Notice {
    std::string rule;
    int severity = 0;
    bool resolved = false;
    std::vector<Untold> alerts; // worst first as far as the caller sorted them so
};

class Budget {
  public:
    static constexpr std::int64_t rule_pause_us = 5LL * 60 * 1000000;
    static constexpr std::int64_t window_us = 60LL * 1000000;
    static constexpr std::size_t notices_per_window = 10;

    // What may be told now; the severest first. The rest is for the next call. A clock that has gone back does not keep
    // anybody silent.
    std::vector<Notice> due(const std::vector<Untold>& untold, std::int64_t now_us);

  private:
    std::deque<std::int64_t> sent_us_;
    std::map<std::pair<std::string, bool>, std::int64_t> last_us_; // rule, resolved
};

// NOTIFY takes less than 8000 bytes.
inline constexpr std::size_t longest_payload = 7900;
// What everything but the alerts in a payload may need: a rule's name of 63 characters in escapes, and numbers.
inline constexpr std::size_t longest_subject = 600; // bytes in JSON; longer ones are left out of the list and counted

struct PayloadContext {
    std::string database, figure, unit, comparison, at;
    double threshold = 0;
};

// The JSON of NOTIFY citadel_alert, of at most longest_payload bytes: as many alerts as there is room for, and how many
// were omitted.
std::string payload(const Notice& notice, const PayloadContext& context);
// One line for the server's log.
std::string log_line(const Notice& notice, const PayloadContext& context);

const char* severity_name(int severity);
int severity_of(const std::string& name);

} // namespace citadel::alerts
