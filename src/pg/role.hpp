// Acting as somebody else, safely.
#pragma once

#include "pg/server.hpp"

#include <string>

namespace citadel::pg {

// While in scope the current user is `user`, in a security-restricted operation: what runs cannot change roles or
// settings for later, create temporary objects that outlive it, or leave deferred work behind. search_path is pinned to
// `path`.
//
// A deferred trigger that the user's code queued would fire at commit, as whoever is current then (tried: as
// superuser). leave() therefore fires all deferred constraints before switching back; call it on the normal way out.
// The destructor of a scope that was not left restores user and settings (the transaction is failing, its triggers
// never fire).
class RoleScope {
  public:
    explicit RoleScope(Oid user, const std::string& path = "pg_catalog, pg_temp");
    RoleScope(const RoleScope&) = delete;
    RoleScope& operator=(const RoleScope&) = delete;
    ~RoleScope();
    void leave();

  private:
    void restore();
    Oid user_before_ = InvalidOid;
    int context_before_ = 0;
    int guc_level_ = 0;
    bool active_ = true;
};

} // namespace citadel::pg
