#pragma once

namespace citadel::capture::detail {

// become_consumer for a debugging session: with `hold`, the scheduler does not displace it. False when another session
// holds it.
bool become_reader(bool hold);
void stop_reading();

} // namespace citadel::capture::detail
