// The executor hooks: decide in a few comparisons whether a run is watched, and at its end whether it was slow.
#pragma once

namespace citadel::capture {

void install_hooks();

// Whether a statement that is being planned now would be watched when it runs.
bool plans_are_watched();

// An error ends this session: nothing unwinds what it runs, so that is recorded now. Memory work alone.
void session_fails();

// Whether errors of this session's statements are counted.
bool errors_are_counted();

} // namespace citadel::capture
