// Acting as somebody else, safely.
#pragma once

#include "pg/server.hpp"

#include <string>

namespace citadel::pg {

// While in scope the current user is `user`, in a security-restricted operation: what runs cannot change roles or
// settings for later, create temporary objects that outlive it, or leave deferred work behind. search_path is pinned to
// `path`. The destructor of a scope that was not left restores user and settings.
//
// Work::reads is for planning and queries. Under Work::writes, deferrable constraints and triggers fire at once, as
// `user`: the server refuses to queue deferred ones in a restricted operation, and one that got through would fire at
// commit as whoever is current then. Work::writes changes that mode for the whole transaction, so it is for workers, in
// transactions of their own; it must be ended by leave().
class RoleScope {
  public:
    enum class Work { reads, writes };
    explicit RoleScope(Oid user, const std::string& path = "pg_catalog, pg_temp", Work work = Work::reads);
    RoleScope(const RoleScope&) = delete;
    RoleScope& operator=(const RoleScope&) = delete;
    ~RoleScope();
    void leave();

  private:
    void restore();
    Work work_;
    Oid user_before_ = InvalidOid;
    int context_before_ = 0;
    int guc_level_ = 0;
    bool active_ = true;
};

} // namespace citadel::pg
