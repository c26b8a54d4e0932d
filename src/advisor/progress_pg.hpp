// citadel.advisor_progress: where the advisors that are running stand.
#pragma once

#include "advisor/selection.hpp"

#include <cstdint>

namespace citadel::advisor {

// Reserves the shared memory; at preload.
void register_progress();

// A run of the advisor in this process, visible to others while it lives. Without shared memory, or when all slots are
// taken, it does nothing.
class ProgressSlot {
  public:
    ProgressSlot();
    ProgressSlot(const ProgressSlot&) = delete;
    ProgressSlot& operator=(const ProgressSlot&) = delete;
    ~ProgressSlot();

    // While the statements are analysed.
    void analysing(std::size_t done, std::size_t total);
    void update(const SelectionProgress& progress, std::uint64_t planner_calls);
    // Did somebody call citadel.stop_advisor()?
    bool asked_to_stop() const;

  private:
    int slot_;
};

} // namespace citadel::advisor
