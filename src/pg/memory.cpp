#include "pg/memory.hpp"

namespace citadel::pg {

MemoryScope::MemoryScope(const char* name, MemoryContext parent) : before_(CurrentMemoryContext), context_(nullptr) {
    const MemoryContext owner = parent != nullptr ? parent : CurrentMemoryContext;
    context_ = guard([owner, name] {
        // A name that is no literal needs the identifier; the context's own name is constant.
        const MemoryContext made = AllocSetContextCreate(owner, "citadel_opt scope", ALLOCSET_DEFAULT_SIZES);
        MemoryContextSetIdentifier(made, name);
        return made;
    });
    MemoryContextSwitchTo(context_);
}

MemoryScope::~MemoryScope() {
    // After an error inside, the current context may be another one; never leave it dangling.
    MemoryContextSwitchTo(before_);
    MemoryContextDelete(context_);
}

} // namespace citadel::pg
