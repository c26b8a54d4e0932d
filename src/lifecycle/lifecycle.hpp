// The room of lifecycle policies: what main registers.
#pragma once

namespace citadel::lifecycle {

// Who the audit log names for what the job does by itself.
inline constexpr const char* job_actor = "job lifecycle";

// Registers the job `lifecycle`; at preload.
void install();

} // namespace citadel::lifecycle
