// Manifests of archives: one that is accepted can be written and says the same when read again.
#include "fuzz.hpp"
#include "lifecycle/archive_folder.hpp"
#include "lifecycle/archive_format.hpp"
#include "lifecycle/archive_manifest.hpp"
#include "lifecycle/content_hash.hpp"

#include <stdexcept>
#include <string>

using namespace citadel::lifecycle;
using citadel::fuzz::must;

namespace {

void read(const std::string& text) {
    try {
        const format::Manifest manifest = format::read_manifest(text);
        for (const format::Segment& segment : manifest.segments)
            must(format::is_segment_name(segment.file));
        must(format::read_manifest(format::write_manifest(manifest)) == manifest);
    } catch (const format::Error&) {
        // Refused, as most are.
    }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string text(reinterpret_cast<const char*>(data), size);
    read(text);
    // Behind the first line and before the checksum there is room for anything: no fuzzer guesses a checksum.
    const std::string first_line = format::write_manifest({}).substr(0, format::write_manifest({}).find('\n') + 1);
    const std::string body = text.compare(0, first_line.size(), first_line) == 0 ? text : first_line + text;
    ContentHash checksum;
    checksum.add(body.data(), body.size());
    read(body + "checksum\t" + checksum.hex() + "\n");
    try {
        for (const std::string& step : steps_below("/archives", text))
            must(!step.empty() && step != "." && step != ".." && step.find('/') == std::string::npos);
    } catch (const std::invalid_argument&) {
        // Leads out.
    }
    return 0;
}
