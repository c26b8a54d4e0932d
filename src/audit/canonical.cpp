#include "audit/canonical.hpp"

#include <cstdint>

namespace citadel::audit {

namespace {

constexpr const char* format_name = "citadel_opt audit 1";
constexpr std::size_t hash_digits = 64;

void put_length(std::string& bytes, std::uint32_t length) {
    for (int shift = 24; shift >= 0; shift -= 8)
        bytes.push_back(static_cast<char>((length >> shift) & 0xFFU));
}

} // namespace

std::string canonical_form(const std::vector<std::optional<std::string>>& fields) {
    std::string bytes = format_name;
    bytes.push_back('\0');
    for (const auto& field : fields) {
        if (!field) {
            put_length(bytes, 0xFFFFFFFFU);
            continue;
        }
        put_length(bytes, static_cast<std::uint32_t>(field->size()));
        bytes += *field;
    }
    return bytes;
}

std::string format_head(long long seq, const std::string& hash) {
    return std::to_string(seq) + ":" + hash;
}

std::optional<Head> parse_head(const std::string& text) {
    Head head;
    std::string hash = text;
    if (const auto colon = text.find(':'); colon != std::string::npos) {
        const std::string seq = text.substr(0, colon);
        if (seq.empty() || seq.size() > 18 || seq.find_first_not_of("0123456789") != std::string::npos)
            return std::nullopt;
        head.seq = std::stoll(seq);
        hash = text.substr(colon + 1);
    }
    if (hash.size() != hash_digits)
        return std::nullopt;
    for (char& digit : hash) {
        if (digit >= 'A' && digit <= 'F')
            digit = static_cast<char>(digit - 'A' + 'a');
        if ((digit < '0' || digit > '9') && (digit < 'a' || digit > 'f'))
            return std::nullopt;
    }
    head.hash = hash;
    return head;
}

} // namespace citadel::audit
