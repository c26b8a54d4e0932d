// From the server into C++: the wrapper around every SQL function, hook and worker entry. Nothing C++ throws leaves it.
#pragma once

#include "pg/error.hpp"
#include "pg/version.hpp"

#include <new>
#include <type_traits>

namespace citadel::pg {

// What a boundary remembers between the end of its catch block and the ereport: plain data, no destructor.
struct PendingError {
    bool raised = false;
    ErrorData* server_error = nullptr; // held by the boundary until the next one is raised
    int sqlerrcode = 0;
    char message[512] = {};
};

// For use inside a catch block: note what is to be raised once the block has ended. They allocate nothing.
void hold(PendingError& pending, const Error& error) noexcept;
void hold_out_of_memory(PendingError& pending) noexcept;
void hold(PendingError& pending, const std::exception& error) noexcept;
void hold_unknown(PendingError& pending) noexcept;

// Raises what was held, by ReThrowError for server errors, by ereport for C++ ones.
[[noreturn]] void raise_held(const PendingError& pending);

// Runs `body`; any exception becomes a server ERROR, raised after the catch block and all C++ frames have ended.
template <class Body>
std::invoke_result_t<Body&> boundary(Body&& body) {
    PendingError pending;
    try {
        return body();
    } catch (const Error& error) {
        hold(pending, error);
    } catch (const std::bad_alloc&) {
        hold_out_of_memory(pending);
    } catch (const std::exception& error) {
        hold(pending, error);
    } catch (...) {
        hold_unknown(pending);
    }
    raise_held(pending);
}

} // namespace citadel::pg

// Defines the SQL-callable function `name`; its body sees `fcinfo`, so PG_GETARG_* and PG_RETURN_* work inside. It
// refuses to run when the SQL that declares it is of another version than this library: arguments and row types may
// have changed.
#define CITADEL_FUNCTION(name) CITADEL_FUNCTION_THAT_BEGINS(name, citadel::pg::require_same_version())
// For the few whose declaration never changes, and which are there to tell what is wrong.
#define CITADEL_FUNCTION_OF_ANY_VERSION(name) CITADEL_FUNCTION_THAT_BEGINS(name, (void)0)

#define CITADEL_FUNCTION_THAT_BEGINS(name, beginning)                                                                  \
    extern "C" {                                                                                                       \
    PG_FUNCTION_INFO_V1(name);                                                                                         \
    }                                                                                                                  \
    static Datum name##_body(FunctionCallInfo fcinfo);                                                                 \
    extern "C" Datum name(FunctionCallInfo fcinfo) {                                                                   \
        return citadel::pg::boundary([fcinfo]() -> Datum {                                                             \
            beginning;                                                                                                 \
            return name##_body(fcinfo);                                                                                \
        });                                                                                                            \
    }                                                                                                                  \
    static Datum name##_body([[maybe_unused]] FunctionCallInfo fcinfo)
