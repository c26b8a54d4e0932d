// Errors that end a statement before its run has begun, or after it has ended.
#pragma once

namespace citadel::capture {

// At preload.
void install_error_hook();

} // namespace citadel::capture
