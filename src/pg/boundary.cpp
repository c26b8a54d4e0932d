#include "pg/boundary.hpp"

#include <utility>

namespace citadel::pg {

namespace {

// ReThrowError copies the ErrorData and jumps, so the copy we held cannot be freed after it. The next error frees it:
// one ErrorData at most stays behind, however many errors pass.
std::shared_ptr<ErrorData>& last_raised() {
    static std::shared_ptr<ErrorData> held;
    return held;
}

} // namespace

void hold(PendingError& pending, const Error& error) noexcept {
    pending.raised = true;
    last_raised() = error.shared();
    pending.server_error = last_raised().get();
}

void hold_out_of_memory(PendingError& pending) noexcept {
    pending.raised = true;
    pending.sqlerrcode = ERRCODE_OUT_OF_MEMORY;
    strlcpy(pending.message, "out of memory", sizeof(pending.message));
}

void hold(PendingError& pending, const std::exception& error) noexcept {
    pending.raised = true;
    pending.sqlerrcode = ERRCODE_INTERNAL_ERROR;
    strlcpy(pending.message, error.what(), sizeof(pending.message));
}

void hold_unknown(PendingError& pending) noexcept {
    pending.raised = true;
    pending.sqlerrcode = ERRCODE_INTERNAL_ERROR;
    strlcpy(pending.message, "unknown C++ exception", sizeof(pending.message));
}

void raise_held(const PendingError& pending) {
    if (pending.server_error != nullptr)
        ReThrowError(pending.server_error);
    if (pending.sqlerrcode == ERRCODE_OUT_OF_MEMORY)
        ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory"),
                        errdetail("citadel_opt could not allocate C++ memory.")));
    ereport(ERROR, (errcode(pending.sqlerrcode), errmsg("citadel_opt: %s", pending.message),
                    errhint("This is a defect of citadel_opt; the statement was ended and the server goes on.")));
    pg_unreachable();
}

} // namespace citadel::pg
