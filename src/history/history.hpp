// history: the scheduler's two periodic tasks. `drain` moves samples, texts and plans from the capture buffer into
// tables; `snapshot` turns the server's counters into deltas once a minute.
#pragma once

namespace citadel::history {

// At preload: shared memory and ticks.
void install();

} // namespace citadel::history
