#include "alerts/notices.hpp"

#include "text/json.hpp"

#include <algorithm>

namespace citadel::alerts {

using text::json_number;
using text::json_text;

namespace {

constexpr std::size_t subjects_in_log = 3;

// Control characters would let a name write lines of its own into the log.
std::string printable(const std::string& text) {
    std::string result = text;
    for (char& c : result)
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f)
            c = '?';
    return result;
}

} // namespace

std::vector<Notice> Budget::due(const std::vector<Untold>& untold, std::int64_t now_us) {
    std::map<std::pair<std::string, bool>, Notice> groups;
    for (const Untold& alert : untold) {
        Notice& notice = groups[{alert.rule, alert.resolved}];
        notice.rule = alert.rule;
        notice.resolved = alert.resolved;
        notice.severity = std::max(notice.severity, alert.severity);
        notice.alerts.push_back(alert);
    }
    std::vector<Notice> waiting;
    waiting.reserve(groups.size());
    for (auto& [of, notice] : groups)
        waiting.push_back(std::move(notice));
    std::stable_sort(waiting.begin(), waiting.end(), [](const Notice& a, const Notice& b) {
        return a.severity != b.severity ? a.severity > b.severity : a.resolved < b.resolved;
    });

    while (!sent_us_.empty() && (now_us - sent_us_.front() >= window_us || sent_us_.front() > now_us))
        sent_us_.pop_front();
    for (auto last = last_us_.begin(); last != last_us_.end();)
        last = now_us - last->second >= rule_pause_us || last->second > now_us ? last_us_.erase(last) : std::next(last);

    std::vector<Notice> now;
    for (Notice& notice : waiting) {
        const auto of = std::make_pair(notice.rule, notice.resolved);
        if (sent_us_.size() >= notices_per_window)
            break;
        if (!last_us_.try_emplace(of, now_us).second)
            continue;
        sent_us_.push_back(now_us);
        now.push_back(std::move(notice));
    }
    return now;
}

const char* severity_name(int severity) {
    return severity >= 2 ? "critical" : severity == 1 ? "warning" : "info";
}

int severity_of(const std::string& name) {
    return name == "critical" ? 2 : name == "warning" ? 1 : 0;
}

std::string payload(const Notice& notice, const PayloadContext& context) {
    const std::string head = std::string("{\"event\":\"") + (notice.resolved ? "resolved" : "opened") +
                             "\",\"rule\":" + json_text(notice.rule) + ",\"severity\":\"" +
                             severity_name(notice.severity) + "\",\"database\":" + json_text(context.database) +
                             ",\"figure\":" + json_text(context.figure) + ",\"unit\":" + json_text(context.unit) +
                             ",\"comparison\":" + json_text(context.comparison) +
                             ",\"threshold\":" + json_number(context.threshold) + ",\"at\":" + json_text(context.at) +
                             ",\"count\":" + std::to_string(notice.alerts.size()) + ",\"alerts\":[";
    constexpr std::size_t tail_room = 40; // ],"omitted":18446744073709551615}
    std::string list;
    std::size_t listed = 0;
    for (const Untold& alert : notice.alerts) {
        const std::string subject = json_text(alert.subject);
        if (subject.size() > longest_subject)
            continue;
        const std::string entry = std::string(listed == 0 ? "" : ",") +
                                  "{\"alert_id\":" + std::to_string(alert.alert_id) + ",\"subject\":" + subject +
                                  ",\"value\":" + json_number(alert.value) + "}";
        if (head.size() + list.size() + entry.size() + tail_room > longest_payload)
            break;
        list += entry;
        ++listed;
    }
    return head + list + "],\"omitted\":" + std::to_string(notice.alerts.size() - listed) + "}";
}

std::string log_line(const Notice& notice, const PayloadContext& context) {
    std::string line = std::string("citadel_opt alert ") + (notice.resolved ? "resolved" : "opened") + ": " +
                       printable(notice.rule) + " (" + severity_name(notice.severity) + ") in database " +
                       printable(context.database) + ": " + context.figure;
    if (!notice.resolved)
        line += " " + context.comparison + " " + json_number(context.threshold) + " " + context.unit;
    std::size_t listed = 0;
    for (const Untold& alert : notice.alerts) {
        if (listed == subjects_in_log)
            break;
        line += (listed++ == 0 ? ": " : ", ") + printable(alert.subject);
        if (!notice.resolved)
            line += " " + json_number(alert.value);
    }
    if (notice.alerts.size() > listed)
        line += " and " + std::to_string(notice.alerts.size() - listed) + " more";
    return line;
}

} // namespace citadel::alerts
