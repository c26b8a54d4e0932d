// Times from tables that anybody may have filled: no overflow, and periods lie as they should.
#include "fuzz.hpp"
#include "history/partition.hpp"
#include "jobs/schedule.hpp"
#include "lifecycle/calendar.hpp"

using namespace citadel::lifecycle;
using citadel::fuzz::must;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    citadel::fuzz::Bytes bytes(data, size);
    const auto kind = bytes.take<std::uint8_t>();
    const auto place = bytes.take<std::int64_t>();
    const auto now = bytes.take<std::int64_t>();
    const auto length = bytes.take<std::int64_t>();
    const auto parts = bytes.take<std::int32_t>();

    Span span;
    if (kind % 3 == 0)
        span.months = 1 + static_cast<std::int32_t>(static_cast<std::uint32_t>(parts) % 12000);
    else if (kind % 3 == 1)
        span.days = 1 + static_cast<std::int32_t>(static_cast<std::uint32_t>(parts) % 366000);
    else
        span.micros = length > 0 ? length : 1;
    const Place start = period_start(place, span);
    const Place next = next_period(place, span);
    must(start <= place && (next > place || next == open_high || place == open_low)); // open ends stay
    must(minus(place, span) <= place);
    approximate_length(span);

    citadel::history::day_of(place);
    citadel::jobs::Schedule schedule;
    schedule.interval = citadel::jobs::interval_length(parts, parts, length);
    schedule.retry_delay = citadel::jobs::interval_length(0, kind, now);
    schedule.spread_key = static_cast<std::uint64_t>(length);
    citadel::jobs::History history;
    history.known_since = place;
    if ((kind & 4) != 0)
        history.last_start = place;
    if ((kind & 8) != 0)
        history.last_finish = length;
    history.failures_in_a_row = (kind & 16) != 0 ? parts : 0;
    citadel::jobs::next_run(schedule, history, now);
    citadel::jobs::period_passed(place, now, length);
    return 0;
}
