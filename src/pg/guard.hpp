// From C++ into the server: the one place where a longjmp is turned into a C++ exception.
#pragma once

#include "pg/error.hpp"

#include <new>
#include <type_traits>

namespace citadel::pg {

// Takes the current server error off the error stack and throws it as pg::Error. Called after PG_CATCH has ended.
[[noreturn]] void throw_error(ErrorData* data);

// Inside PG_CATCH: copies the error out of the server's stack and clears that. Returns nullptr when there was no memory
// for the copy.
ErrorData* take_error() noexcept;

// Runs `call`, which may ereport(ERROR), and throws pg::Error if it did. The callee must not own anything with a
// destructor: a longjmp skips destructors (measured). Its captures are references or plain values, which the
// static_assert checks; what it declares inside is up to its author. After an Error the transaction is as the server
// left it: let the error reach the boundary, or be inside a subtransaction.
template <class Call>
std::invoke_result_t<Call&> guard(Call&& call) {
    using Callee = std::remove_reference_t<Call>;
    using Result = std::invoke_result_t<Call&>;
    static_assert(std::is_trivially_destructible_v<Callee>, "a guarded callee captures references or plain values");
    static_assert(std::is_void_v<Result> || std::is_trivially_destructible_v<Result>,
                  "a guarded callee returns nothing or a plain value");
    if constexpr (std::is_void_v<Result>) {
        const MemoryContext caller_memory = CurrentMemoryContext;
        ErrorData* volatile error = nullptr;
        volatile bool failed = false;
        PG_TRY();
        { call(); }
        PG_CATCH();
        {
            MemoryContextSwitchTo(caller_memory);
            error = take_error();
            failed = true;
        }
        PG_END_TRY();
        if (failed)
            throw_error(error);
    } else {
        // In a frame of its own, which is not the one that sigsetjmp returns to twice: nothing here can be clobbered.
        alignas(Result) unsigned char storage[sizeof(Result)]; // NOLINT(bugprone-sizeof-expression)
        guard([&] { new (static_cast<void*>(storage)) Result(call()); });
        return *reinterpret_cast<Result*>(storage);
    }
}

} // namespace citadel::pg
