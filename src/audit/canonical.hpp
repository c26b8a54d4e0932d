// The byte string whose SHA-256 is an entry's hash. No two different entries have the same one.
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace citadel::audit {

// Fields as text, in the fixed order of the log; nothing for NULL. Each is written as its length in 4 bytes, most
// significant first, then its bytes; a NULL is the length 0xFFFFFFFF alone. The format's name comes first, so that a
// later format cannot be mistaken for this one.
std::string canonical_form(const std::vector<std::optional<std::string>>& fields);

// A head as it is published: "SEQ:HASH", SEQ decimal, HASH 64 hexadecimal digits. The sequence number may be missing.
struct Head {
    std::optional<long long> seq;
    std::string hash;
};
std::string format_head(long long seq, const std::string& hash);
// Nothing when the text is no head.
std::optional<Head> parse_head(const std::string& text);

} // namespace citadel::audit
