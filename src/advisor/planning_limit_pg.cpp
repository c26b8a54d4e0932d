#include "advisor/planning_limit_pg.hpp"

#include "pg/server.hpp"

extern "C" {
#include "optimizer/paths.h"
#include "portability/instr_time.h"
}

namespace citadel::advisor {

namespace {

double deadline = 0.0; // milliseconds of the monotonic clock; 0: none
int limit = 0;
set_join_pathlist_hook_type previous_join_paths = nullptr;

double now_ms() {
    instr_time now;
    INSTR_TIME_SET_CURRENT(now);
    return INSTR_TIME_GET_MILLISEC(now);
}

// Plain C: it raises, and owns nothing.
void join_paths_hook(PlannerInfo* root, RelOptInfo* join, RelOptInfo* outer, RelOptInfo* inner, JoinType type,
                     JoinPathExtraData* extra) {
    if (previous_join_paths != nullptr)
        previous_join_paths(root, join, outer, inner, type, extra);
    if (deadline > 0.0 && now_ms() > deadline)
        ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED), errmsg("planning it takes longer than %d ms", limit),
                        errhint("Raise citadel_opt.advise_planning_limit.")));
}

} // namespace

PlanningLimit::PlanningLimit(int milliseconds) : outer_deadline_(deadline), outer_limit_(limit) {
    limit = milliseconds;
    deadline = milliseconds > 0 ? now_ms() + milliseconds : 0.0;
}

PlanningLimit::~PlanningLimit() {
    deadline = outer_deadline_;
    limit = outer_limit_;
}

void install_planning_limit() {
    previous_join_paths = set_join_pathlist_hook;
    set_join_pathlist_hook = join_paths_hook;
}

} // namespace citadel::advisor
