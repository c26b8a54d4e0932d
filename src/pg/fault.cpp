#include "pg/fault.hpp"

#include "pg/guard.hpp"

#include <csignal>
#include <cstdlib>
#include <string_view>

extern "C" {
#include "postmaster/interrupt.h"
#include "storage/latch.h"
#include "utils/wait_event.h"
}

namespace citadel::pg {

namespace {

char* const* fault_setting = nullptr;

// Until the latch is set, at most so long. Inside a guard.
void doze(long milliseconds) {
    (void)WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, milliseconds, PG_WAIT_EXTENSION);
    ResetLatch(MyLatch);
    CHECK_FOR_INTERRUPTS();
}

void sleep_interruptibly(long milliseconds) {
    guard([milliseconds] {
        const TimestampTz end = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), milliseconds);
        for (long left = milliseconds; left > 0; left = TimestampDifferenceMilliseconds(GetCurrentTimestamp(), end))
            doze(left);
    });
}

// Whoever armed the point says when it goes on.
void wait_for_reload() {
    constexpr long look_ms = 1000;
    guard([] {
        while (!ConfigReloadPending)
            doze(look_ms);
    });
}

} // namespace

void set_fault_source(char* const* setting) {
    fault_setting = setting;
}

void fault_point(const char* name) {
    if (fault_setting == nullptr || *fault_setting == nullptr || **fault_setting == '\0')
        return;
    const std::string_view armed = *fault_setting;
    const auto colon = armed.rfind(':');
    if (colon == std::string_view::npos || armed.substr(0, colon) != name)
        return;
    const std::string_view action = armed.substr(colon + 1);
    if (action == "error")
        raise(ERRCODE_INTERNAL_ERROR, std::string("fault point ") + name);
    else if (action == "crash")
        (void)kill(MyProcPid, SIGKILL);
    else if (action.substr(0, 6) == "sleep=")
        sleep_interruptibly(std::strtol(std::string(action.substr(6)).c_str(), nullptr, 10));
    else if (action == "wait")
        wait_for_reload();
}

} // namespace citadel::pg
