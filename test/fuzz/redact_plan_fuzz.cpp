// Plans as EXPLAIN (FORMAT JSON) writes them: whatever comes, the buffer is kept, and what comes out is JSON again.
#include "capture/redact_plan.hpp"
#include "fuzz.hpp"

#include <memory>
#include <string>

using citadel::capture::redact_plan;
using citadel::fuzz::must;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    citadel::fuzz::Bytes bytes(data, size);
    const std::size_t room = bytes.take<std::uint16_t>() % 2048;
    const std::unique_ptr<char[]> exact(new char[bytes.rest().size()]);
    std::memcpy(exact.get(), bytes.rest().data(), bytes.rest().size());
    const std::string_view json(exact.get(), bytes.rest().size());
    const std::unique_ptr<char[]> out(new char[room]);
    must(citadel::capture::redact_plan_into(json, out.get(), room) <= room);
    const std::string once = redact_plan(json);
    // What was redacted can be read again, and has nothing left to take out.
    must(once.empty() || redact_plan(once) == once);
    return 0;
}
