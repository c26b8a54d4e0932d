// What alert rules and metrics can know of the server and of this database without history of their own.
#pragma once

namespace citadel::statistics {

// At preload: registers the figures, and a tick that notes the size of the database.
void install();

} // namespace citadel::statistics
