// Internal subtransactions: the only place where a server error may be swallowed.
#pragma once

#include "pg/guard.hpp"

#include <optional>
#include <utility>

namespace citadel::pg {

// An open internal subtransaction. commit() keeps its work; the destructor of an uncommitted one rolls back. Both
// restore memory context and resource owner.
class SubtransactionScope {
  public:
    SubtransactionScope();
    SubtransactionScope(const SubtransactionScope&) = delete;
    SubtransactionScope& operator=(const SubtransactionScope&) = delete;
    ~SubtransactionScope();
    void commit();

  private:
    MemoryContext memory_;
    ResourceOwner owner_;
    bool open_ = true;
};

// Runs `body` in a subtransaction; an exception rolls it back and is rethrown.
template <class Body>
void subtransaction(Body&& body) {
    SubtransactionScope scope;
    body();
    scope.commit();
}

// Runs `body` in a subtransaction and returns its server error instead of throwing; nothing when it went well. C++
// exceptions other than pg::Error are rethrown.
template <class Body>
std::optional<Error> try_subtransaction(Body&& body) {
    try {
        subtransaction(std::forward<Body>(body));
        return std::nullopt;
    } catch (const Error& error) {
        return error;
    }
}

// Runs `body` in a subtransaction that is rolled back whatever happens, so that the locks it took are released and
// nothing it wrote stays; what it leaves in C++ objects and in the caller's memory does. Its server error is returned,
// nothing when it went well.
template <class Body>
std::optional<Error> try_discarded_subtransaction(Body&& body) {
    try {
        const SubtransactionScope scope;
        body();
        return std::nullopt;
    } catch (const Error& error) {
        return error;
    }
}

// For a caller that goes on after any error but a cancel.
inline void rethrow_cancel(const std::optional<Error>& error) {
    if (error && error->is_cancel())
        throw *error;
}

// ... and but any other end that somebody or something else wants.
inline void rethrow_intervention(const std::optional<Error>& error) {
    if (error && error->is_intervention())
        throw *error;
}

} // namespace citadel::pg
