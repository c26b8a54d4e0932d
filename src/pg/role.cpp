#include "pg/role.hpp"

#include "pg/guard.hpp"
#include "pg/path.hpp"

extern "C" {
#include "commands/trigger.h"
#include "nodes/makefuncs.h"
#include "nodes/parsenodes.h"
}

namespace citadel::pg {

namespace {

void set_constraints_immediate() {
    guard([] {
        ConstraintsSetStmt* all_immediate = makeNode(ConstraintsSetStmt);
        all_immediate->constraints = NIL;
        all_immediate->deferred = false;
        AfterTriggerSetState(all_immediate);
    });
}

} // namespace

RoleScope::RoleScope(Oid user, const std::string& path, Work work) : work_(work) {
    if (work_ == Work::writes)
        set_constraints_immediate();
    GetUserIdAndSecContext(&user_before_, &context_before_);
    guc_level_ = pin_search_path(path.c_str());
    SetUserIdAndSecContext(user, context_before_ | SECURITY_LOCAL_USERID_CHANGE | SECURITY_RESTRICTED_OPERATION);
}

void RoleScope::restore() {
    unpin_search_path(guc_level_);
    SetUserIdAndSecContext(user_before_, context_before_);
    active_ = false;
}

void RoleScope::leave() {
    if (work_ == Work::writes)
        set_constraints_immediate();
    restore();
}

RoleScope::~RoleScope() {
    if (active_)
        restore();
}

} // namespace citadel::pg
