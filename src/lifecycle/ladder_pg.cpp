#include "lifecycle/ladder_pg.hpp"

#include "jobs/jobs.hpp"
#include "pg/fault.hpp"
#include "pg/spi.hpp"
#include "settings/settings.hpp"

#include <algorithm>
#include <chrono>

extern "C" {
#include "storage/latch.h"
#include "utils/wait_event.h"
}

namespace citadel::lifecycle {

namespace {

constexpr int first_timeout_ms = 100;
constexpr int last_timeout_ms = 200;
constexpr long first_pause_ms = 100;
constexpr long longest_pause_ms = 4000;

std::chrono::milliseconds since(std::chrono::steady_clock::time_point start) {
    return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - start);
}

void limit_lock_waits(int milliseconds) {
    pg::Spi spi;
    spi.query("SELECT set_config('lock_timeout', $1, true)", {pg::arg(std::to_string(milliseconds) + "ms")});
}

} // namespace

void pause(long milliseconds) {
    pg::guard([milliseconds] {
        (void)WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, milliseconds, PG_WAIT_EXTENSION);
        ResetLatch(MyLatch);
        CHECK_FOR_INTERRUPTS();
    });
}

void climb(const std::string& what, const std::function<void()>& body) {
    jobs::checkpoint();
    const auto began = std::chrono::steady_clock::now();
    const std::chrono::seconds patience(settings::lifecycle_lock_patience_s);
    long wait = 0;
    for (int attempt = 0; attempt < 2 || since(began) < patience; ++attempt) {
        if (attempt > 0) {
            jobs::start_over(); // holds nothing while it pauses
            wait = wait == 0 ? first_pause_ms : std::min(wait * 3 / 2, longest_pause_ms);
            pause(wait);
        }
        try {
            limit_lock_waits(since(began) < patience / 4 ? first_timeout_ms : last_timeout_ms);
            pg::fault_point("lifecycle_ladder");
            body();
            jobs::checkpoint();
            return;
        } catch (const pg::Error& error) {
            if (error.sqlerrcode() != ERRCODE_LOCK_NOT_AVAILABLE && error.sqlerrcode() != ERRCODE_T_R_DEADLOCK_DETECTED)
                throw;
        }
    }
    jobs::start_over();
    pg::raise(ERRCODE_LOCK_NOT_AVAILABLE,
              "could not lock " + what + " in " + std::to_string(patience.count()) + " s of short tries", {},
              "A long transaction uses the table; the next run tries again.");
}

} // namespace citadel::lifecycle
