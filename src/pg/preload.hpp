// Whether the library was in shared_preload_libraries, and what to say when it was not.
#pragma once

namespace citadel::pg {

// Called from _PG_init when the library is being preloaded.
void note_preloaded();
bool preloaded();
// Raises 55000 with a hint unless preloaded; `what` names what needs shared memory.
void require_preload(const char* what);

} // namespace citadel::pg
