// _PG_init: wiring, nothing else. Which room does what: docs/architecture.md.
#include "pg/server.hpp"

#include "advisor/advise_job.hpp"
#include "advisor/access_paths_pg.hpp"
#include "advisor/clause_notes_pg.hpp"
#include "advisor/planner_facts_pg.hpp"
#include "advisor/planning_limit_pg.hpp"
#include "advisor/progress_pg.hpp"
#include "advisor/what_if_pg.hpp"
#include "alerts/alerts.hpp"
#include "audit/audit.hpp"
#include "capture/capture.hpp"
#include "history/history.hpp"
#include "jobs/jobs.hpp"
#include "lifecycle/lifecycle.hpp"
#include "maintenance/maintenance.hpp"
#include "pg/boundary.hpp"
#include "pg/error.hpp"
#include "pg/preload.hpp"
#include "pg/shared_memory.hpp"
#include "settings/settings.hpp"
#include "statistics/figures.hpp"

extern "C" {
PG_MODULE_MAGIC;

void _PG_init(void);
}

extern "C" void _PG_init(void) {
    citadel::pg::init_errors();
    citadel::pg::boundary([] {
        const bool preloading = process_shared_preload_libraries_in_progress;
        citadel::settings::define(preloading);
        citadel::advisor::install_what_if();
        citadel::advisor::install_planner_facts();
        citadel::advisor::install_access_paths();
        citadel::advisor::install_planning_limit();
        citadel::advisor::install_clause_notes();
        if (!preloading)
            return;
        citadel::pg::note_preloaded();
        citadel::audit::install();
        citadel::capture::install();
        citadel::advisor::register_advise_job();
        citadel::advisor::register_progress();
        citadel::jobs::install();
        citadel::jobs::register_tick({"audit", citadel::audit::chain, citadel::audit::chain_period_ms});
        citadel::history::install();
        citadel::lifecycle::install();
        citadel::maintenance::install();
        citadel::statistics::install();
        citadel::alerts::install();
        citadel::pg::install_shared_memory_hooks();
    });
}
