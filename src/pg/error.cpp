#include "pg/error.hpp"

#include "pg/guard.hpp"

namespace citadel::pg {

namespace {

MemoryContext errors_memory = nullptr;

struct ErrorTexts {
    int sqlerrcode;
    const char* message;
    const char* detail;
    const char* hint;
};

} // namespace

void init_errors() {
    if (errors_memory == nullptr)
        errors_memory = AllocSetContextCreate(TopMemoryContext, "citadel_opt errors", ALLOCSET_SMALL_SIZES);
}

MemoryContext error_context() {
    return errors_memory;
}

// FreeErrorData does not free all that CopyErrorData copies (15.20 copies file and function names), so the whole
// context goes.
Error::Error(ErrorData* data)
    : data_(data, [](ErrorData* owned) { MemoryContextDelete(GetMemoryChunkContext(owned)); }) {}

std::string Error::sqlstate() const {
    return unpack_sql_state(data_->sqlerrcode);
}

void raise(int sqlerrcode, const std::string& message, const std::string& detail, const std::string& hint) {
    // The server builds the ErrorData itself, so that position and context callbacks behave as with any ereport.
    const ErrorTexts texts{sqlerrcode, message.c_str(), detail.empty() ? nullptr : detail.c_str(),
                           hint.empty() ? nullptr : hint.c_str()};
    guard([&texts] {
        ereport(ERROR, (errcode(texts.sqlerrcode), errmsg("%s", texts.message),
                        texts.detail != nullptr ? errdetail("%s", texts.detail) : 0,
                        texts.hint != nullptr ? errhint("%s", texts.hint) : 0));
    });
    pg_unreachable();
}

} // namespace citadel::pg
