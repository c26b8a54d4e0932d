#include "pg/guard.hpp"

#include <new>

namespace citadel::pg {

ErrorData* take_error() noexcept {
    ErrorData* volatile copy = nullptr;
    const MemoryContext before = CurrentMemoryContext;
    // CopyErrorData can itself run out of memory; a second jump from here must not leave the guard.
    PG_TRY();
    {
        MemoryContextSwitchTo(AllocSetContextCreate(error_context(), "citadel_opt error", ALLOCSET_SMALL_SIZES));
        copy = CopyErrorData();
    }
    PG_CATCH();
    { copy = nullptr; }
    PG_END_TRY();
    MemoryContextSwitchTo(before);
    FlushErrorState();
    return copy;
}

void throw_error(ErrorData* data) {
    if (data == nullptr)
        throw std::bad_alloc();
    throw Error(data);
}

} // namespace citadel::pg
