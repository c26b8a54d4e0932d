#include "alerts/exposition.hpp"

#include "text/json.hpp"

#include <cmath>
#include <stdexcept>
#include <string_view>

namespace citadel::alerts {

namespace {

// A label's value; HELP is the same without the quote.
std::string escaped(const std::string& text, bool quotes) {
    std::string result;
    result.reserve(text.size());
    for (const char c : text) {
        if (c == '\\')
            result += "\\\\";
        else if (c == '\n')
            result += "\\n";
        else if (c == '"' && quotes)
            result += "\\\"";
        else
            result += c;
    }
    return result;
}

bool counts_up(const std::string& name) {
    constexpr std::string_view suffix = "_total";
    return name.size() > suffix.size() && name.compare(name.size() - suffix.size(), suffix.size(), suffix) == 0;
}

} // namespace

bool valid_name(const std::string& name) {
    if (name.empty() || (name[0] >= '0' && name[0] <= '9'))
        return false;
    for (const char c : name)
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_'))
            return false;
    return true;
}

std::string sample_value(double value) {
    if (std::isnan(value))
        return "NaN";
    if (std::isinf(value))
        return value > 0 ? "+Inf" : "-Inf";
    return text::json_number(value);
}

std::string exposition(const Family& family) {
    if (!valid_name(family.name))
        throw std::invalid_argument("not a metric name: " + family.name);
    if (family.samples.empty())
        return {};
    std::string text = "# HELP " + family.name + " " + escaped(family.help, false) + "\n# TYPE " + family.name +
                       (counts_up(family.name) ? " counter\n" : " gauge\n");
    for (const Sample& sample : family.samples) {
        text += family.name;
        char separator = '{';
        for (const auto& [label, value] : sample.labels) {
            if (!valid_name(label))
                throw std::invalid_argument("not a label name: " + label);
            text += separator + label + "=\"" + escaped(value, true) + '"';
            separator = ',';
        }
        text += (sample.labels.empty() ? " " : "} ") + sample_value(sample.value) + "\n";
    }
    return text;
}

} // namespace citadel::alerts
