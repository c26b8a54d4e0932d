#include "pg/clock.hpp"

namespace citadel::pg {

namespace {
const int* offset_ms = nullptr;
}

TimestampTz now() {
    const TimestampTz server = GetCurrentTimestamp();
    return offset_ms == nullptr ? server : TimestampTzPlusMilliseconds(server, static_cast<int64>(*offset_ms));
}

void set_clock_offset_source(const int* milliseconds) {
    offset_ms = milliseconds;
}

} // namespace citadel::pg
