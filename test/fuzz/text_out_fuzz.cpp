// What we write for others to read, out of names and texts that users choose: JSON and Prometheus' format.
#include "text/json.hpp"
#include "alerts/exposition.hpp"
#include "capture/redact_plan.hpp"
#include "fuzz.hpp"

#include <algorithm>
#include <stdexcept>
#include <string>

using citadel::fuzz::must;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    citadel::fuzz::Bytes bytes(data, size);
    const auto value = bytes.take<double>();
    const std::string text(bytes.rest());

    const std::string document = citadel::text::JsonObject().add("Node Type", text).add("value", value).text();
    // The reader of plans takes it as one document.
    must(!citadel::capture::redact_plan("[" + document + "]").empty());

    citadel::alerts::Family family;
    family.name = citadel::alerts::valid_name(text) ? text : "citadel_figure";
    family.help = text;
    family.samples.push_back({{{"subject", text}}, value});
    const std::string lines = citadel::alerts::exposition(family);
    // Three lines, whatever the label holds.
    must(std::count(lines.begin(), lines.end(), '\n') == 3 && lines.back() == '\n');
    return 0;
}
