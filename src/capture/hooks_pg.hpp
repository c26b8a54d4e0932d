// The executor hooks: decide in a few comparisons whether a run is watched, and at its end whether it was slow.
#pragma once

namespace citadel::capture {

void install_hooks();

} // namespace citadel::capture
