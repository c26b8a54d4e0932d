// The advise job: looks at the captured workload and keeps citadel.index_recommendation up to date.
#pragma once

namespace citadel::advisor {

// Registers the job `advise` with the workers; once, at preload.
void register_advise_job();

} // namespace citadel::advisor
