// Just enough JSON to write evidence, and what is told of alerts.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace citadel::text {

// The text as a JSON string, with its quotes. Bytes from 0x80 on are passed through: the text is in the database's own
// encoding, and so is the document.
std::string json_text(std::string_view text);
// The shortest decimal that reads back as the same double; NaN and infinities, which JSON has no word for, are null.
std::string json_number(double value);
// The same to ten digits: for figures that people read.
std::string json_rounded(double value);

// An object, member by member.
class JsonObject {
  public:
    JsonObject& add(std::string_view name, std::string_view text) { return raw(name, json_text(text)); }
    JsonObject& add(std::string_view name, const char* text) { return raw(name, json_text(text)); }
    JsonObject& add(std::string_view name, const std::string& text) { return raw(name, json_text(text)); }
    JsonObject& add(std::string_view name, double value) { return raw(name, json_rounded(value)); }
    JsonObject& add(std::string_view name, std::int64_t value) { return raw(name, std::to_string(value)); }
    JsonObject& add(std::string_view name, std::uint64_t value) { return raw(name, std::to_string(value)); }
    JsonObject& add(std::string_view name, bool value) { return raw(name, value ? "true" : "false"); }
    // `json` is a document of its own; empty: null.
    JsonObject& raw(std::string_view name, std::string_view json);
    std::string text() const { return "{" + members_ + "}"; }

  private:
    std::string members_;
};

// An array of documents.
std::string json_array(const std::vector<std::string>& documents);

} // namespace citadel::text
