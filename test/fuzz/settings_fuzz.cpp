// Texts of settings and of arguments: lists of databases, hours, heads of the audit log.
#include "audit/canonical.hpp"
#include "fuzz.hpp"
#include "jobs/database_list.hpp"
#include "jobs/hours.hpp"

#include <string>

using citadel::fuzz::must;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    citadel::fuzz::Bytes bytes(data, size);
    const std::size_t cut = bytes.take<std::uint8_t>();
    const std::string text(bytes.rest());
    const std::string name = text.substr(0, cut);

    citadel::jobs::database_allowed(text, name);
    // A name in quotes is that name, whatever is in it.
    std::string quoted = "\"";
    for (const char c : name)
        quoted += c == '"' ? std::string("\"\"") : std::string(1, c);
    quoted += '"';
    must(name.empty() || citadel::jobs::database_allowed("x y z," + quoted, name));
    must(name == "other" || name.empty() || !citadel::jobs::database_allowed(quoted, "other"));

    if (const auto hours = citadel::jobs::parse_hours(text)) {
        must(hours->first >= 0 && hours->first < 1440 && hours->second >= 0 && hours->second <= 1440);
        citadel::jobs::within_hours(*hours, static_cast<std::int64_t>(cut) * 60000000);
    }
    if (const auto head = citadel::audit::parse_head(text); head && head->seq)
        must(citadel::audit::parse_head(citadel::audit::format_head(*head->seq, head->hash))->hash == head->hash);
    return 0;
}
