// alerts: judges the figures that rooms registered by the rules in citadel.alert_rule, keeps the alerts, and tells.
#pragma once

namespace citadel::alerts {

// At preload: registers the tick `alerts`. The figures are registered by the rooms that measure them.
void install();

} // namespace citadel::alerts
