#include "pg/server.hpp"

#include "jobs/jobs.hpp"

#include "jobs/shared_state.hpp"
#include "jobs/utility_hook.hpp"

namespace citadel::jobs {

void register_launcher();

void install() {
    shared::request();
    install_utility_hook();
    // While pg_upgrade runs the server, nothing may write.
    if (!IsBinaryUpgrade)
        register_launcher();
}

} // namespace citadel::jobs
