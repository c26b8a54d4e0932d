// Changes of settings that can make statements slower -> citadel.setting_log.
#pragma once

namespace citadel::history {

// In the scheduler, after it has reloaded the configuration: compares what holds now with what held last time.
void store_setting_changes();

} // namespace citadel::history
