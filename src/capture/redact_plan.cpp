#include "capture/redact_plan.hpp"

#include "capture/normalize.hpp"

#include <algorithm>
#include <cstring>
#include <iterator>

namespace citadel::capture {

namespace {

constexpr std::string_view trusted_keys[] = {"Node Type",
                                             "Parent Relationship",
                                             "Subplan Name",
                                             "Relation Name",
                                             "Schema",
                                             "Alias",
                                             "Index Name",
                                             "Scan Direction",
                                             "Join Type",
                                             "Strategy",
                                             "Partial Mode",
                                             "Operation",
                                             "Command",
                                             "Sort Method",
                                             "Sort Space Type",
                                             "CTE Name",
                                             "Function Name",
                                             "Tuplestore Name",
                                             "Custom Plan Provider",
                                             "Cache Mode",
                                             "Trigger Name",
                                             "Relation",
                                             "Constraint Name",
                                             "Conflict Resolution",
                                             "Conflict Arbiter Indexes",
                                             "Full-sort Groups",
                                             "Sort Methods Used",
                                             "Storage"};

constexpr std::size_t longest_key = 63;
constexpr int deepest = 256;                // more than any plan that is worth keeping
constexpr std::size_t longest_value = 8192; // of one expression, decoded

class Redactor {
  public:
    Redactor(std::string_view json, char* out, std::size_t size) : json_(json), out_(out), size_(size) {}

    std::size_t run() {
        skip_space();
        if (!value(false, false, 0))
            return 0;
        skip_space();
        return in_ == json_.size() && !overflow_ ? length_ : 0;
    }

  private:
    char peek() const { return in_ < json_.size() ? json_[in_] : '\0'; }
    void put(char c) {
        if (skipping_ > 0)
            return;
        if (length_ < size_)
            out_[length_++] = c;
        else
            overflow_ = true;
    }
    void put(std::string_view piece) {
        for (char c : piece)
            put(c);
    }
    // White space between tokens: one space or line break says as much as the indentation does.
    void skip_space() {
        while (peek() == ' ' || peek() == '\n' || peek() == '\r' || peek() == '\t')
            ++in_;
    }

    // The raw text between the quotes; in_ moves behind the closing one.
    bool raw_string(std::string_view& raw) {
        if (peek() != '"')
            return false;
        const std::size_t start = ++in_;
        while (in_ < json_.size() && json_[in_] != '"')
            in_ += json_[in_] == '\\' ? 2 : 1;
        if (in_ >= json_.size())
            return false;
        raw = json_.substr(start, in_ - start);
        ++in_;
        return true;
    }

    void decode(std::string_view raw) {
        decoded_length_ = 0;
        auto add = [&](char c) {
            if (decoded_length_ < sizeof decoded_)
                decoded_[decoded_length_++] = c;
        };
        for (std::size_t i = 0; i < raw.size(); ++i) {
            if (raw[i] != '\\' || i + 1 >= raw.size()) {
                add(raw[i]);
                continue;
            }
            const char escape = raw[++i];
            if (escape == 'u') { // escape_json writes \u00XX for control characters alone
                add(' ');
                i = std::min(i + 4, raw.size() - 1);
            } else {
                add(escape == 'n'                    ? '\n'
                    : escape == 't'                  ? '\t'
                    : escape == 'r'                  ? '\r'
                    : escape == 'b' || escape == 'f' ? ' '
                                                     : escape);
            }
        }
    }

    void put_redacted(std::string_view raw) {
        decode(raw);
        const std::size_t length = redact_expression_into({decoded_, decoded_length_}, redacted_, sizeof redacted_);
        put('"');
        for (std::size_t i = 0; i < length; ++i) {
            const char c = redacted_[i];
            if (c == '"' || c == '\\') {
                put('\\');
                put(c);
            } else if (c == '\n' || c == '\t' || c == '\r') {
                put(c == '\n' ? "\\n" : c == '\t' ? "\\t" : "\\r");
            } else if (static_cast<unsigned char>(c) < 0x20) {
                put(' ');
            } else {
                put(c);
            }
        }
        put('"');
    }

    bool object(int depth) {
        ++in_;
        put('{');
        bool any = false;
        skip_space();
        while (peek() != '}') {
            std::string_view key;
            if (!raw_string(key) || key.size() > longest_key)
                return false;
            skip_space();
            if (peek() != ':')
                return false;
            ++in_;
            skip_space();
            const bool dropped = key == "Output";
            const bool trusted =
                std::find(std::begin(trusted_keys), std::end(trusted_keys), key) != std::end(trusted_keys);
            skipping_ += dropped ? 1 : 0;
            if (any)
                put(", ");
            put('"');
            put(key);
            put("\": ");
            const bool good = value(true, trusted, depth + 1);
            skipping_ -= dropped ? 1 : 0;
            any = any || !dropped;
            if (!good)
                return false;
            skip_space();
            if (peek() == ',') {
                ++in_;
                skip_space();
            } else if (peek() != '}') {
                return false;
            }
        }
        ++in_;
        put('}');
        return true;
    }

    bool array(bool trusted, int depth) {
        ++in_;
        put('[');
        skip_space();
        for (bool first = true; peek() != ']'; first = false) {
            if (!first)
                put(", ");
            if (!value(true, trusted, depth + 1))
                return false;
            skip_space();
            if (peek() == ',') {
                ++in_;
                skip_space();
            } else if (peek() != ']') {
                return false;
            }
        }
        ++in_;
        put(']');
        return true;
    }

    bool value(bool has_key, bool trusted, int depth) {
        if (depth > deepest)
            return false;
        const char c = peek();
        if (c == '{')
            return object(depth);
        if (c == '[')
            return array(trusted, depth);
        if (c == '"') {
            std::string_view raw;
            if (!raw_string(raw))
                return false;
            if (has_key && trusted) {
                put('"');
                put(raw);
                put('"');
            } else {
                put_redacted(raw);
            }
            return true;
        }
        const std::size_t start = in_; // number, true, false, null
        while (in_ < json_.size() && std::strchr(",]} \t\r\n", json_[in_]) == nullptr)
            ++in_;
        put(json_.substr(start, in_ - start));
        return in_ > start;
    }

    std::string_view json_;
    char* out_;
    std::size_t size_;
    std::size_t in_ = 0;
    std::size_t length_ = 0;
    int skipping_ = 0;
    bool overflow_ = false;
    char decoded_[longest_value];
    char redacted_[longest_value];
    std::size_t decoded_length_ = 0;
};

} // namespace

std::size_t redact_plan_into(std::string_view json, char* out, std::size_t out_size) {
    return Redactor(json, out, out_size).run();
}

std::string redact_plan(std::string_view json) {
    std::string out(json.size() + 16, '\0'); // redaction and the lost white space only ever shorten it
    out.resize(redact_plan_into(json, out.data(), out.size()));
    return out;
}

} // namespace citadel::capture
