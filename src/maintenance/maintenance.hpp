// maintenance: keeps our own history within bounds.
#pragma once

namespace citadel::maintenance {

// At preload: registers the job `maintain`.
void install();

} // namespace citadel::maintenance
