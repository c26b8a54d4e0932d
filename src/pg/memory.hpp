// Memory contexts with the lifetime of a C++ scope.
#pragma once

#include "pg/guard.hpp"

namespace citadel::pg {

// Creates a memory context under the current one (or `parent`), makes it current, and deletes it at the end of the
// scope. Everything palloc'd meanwhile goes with it; copy what shall outlive the scope into C++ objects.
class MemoryScope {
  public:
    explicit MemoryScope(const char* name, MemoryContext parent = nullptr);
    MemoryScope(const MemoryScope&) = delete;
    MemoryScope& operator=(const MemoryScope&) = delete;
    ~MemoryScope();
    MemoryContext context() const { return context_; }
    // Frees what was allocated so far and goes on.
    void reset() { MemoryContextReset(context_); }

  private:
    MemoryContext before_;
    MemoryContext context_;
};

// Makes an existing context current for a scope.
class MemorySwitch {
  public:
    explicit MemorySwitch(MemoryContext context) : before_(MemoryContextSwitchTo(context)) {}
    MemorySwitch(const MemorySwitch&) = delete;
    MemorySwitch& operator=(const MemorySwitch&) = delete;
    ~MemorySwitch() { MemoryContextSwitchTo(before_); }

  private:
    MemoryContext before_;
};

} // namespace citadel::pg
