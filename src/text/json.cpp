#include "text/json.hpp"

#include <cmath>
#include <cstdio>
#include <cstdlib>

namespace citadel::text {

std::string json_text(std::string_view text) {
    constexpr const char* digits = "0123456789abcdef";
    std::string json = "\"";
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        if (c == '"' || c == '\\') {
            json += '\\';
            json += c;
        } else if (byte < 0x20) {
            json += "\\u00";
            json += digits[byte >> 4];
            json += digits[byte & 15];
        } else {
            json += c;
        }
    }
    return json + '"';
}

std::string json_number(double value) {
    if (!std::isfinite(value))
        return "null";
    char text[32];
    for (const int digits : {6, 15, 17}) {
        std::snprintf(text, sizeof text, "%.*g", digits, value);
        if (std::strtod(text, nullptr) == value)
            break;
    }
    return text;
}

std::string json_rounded(double value) {
    if (!std::isfinite(value))
        return "null";
    char text[32];
    std::snprintf(text, sizeof text, "%.10g", value);
    return text;
}

JsonObject& JsonObject::raw(std::string_view name, std::string_view json) {
    members_ += members_.empty() ? "" : ", ";
    members_ += json_text(name) + ": ";
    members_ += json.empty() ? "null" : json;
    return *this;
}

std::string json_array(const std::vector<std::string>& documents) {
    std::string json = "[";
    for (const std::string& document : documents) {
        json += json.size() > 1 ? ", " : "";
        json += document;
    }
    return json + "]";
}

} // namespace citadel::text
