// PostgreSQL errors as C++ exceptions, whole: SQLSTATE, message, detail, hint, position and context survive.
#pragma once

#include "pg/server.hpp"

#include <exception>
#include <memory>
#include <string>

namespace citadel::pg {

// A server error on its way through C++ frames. Copies share the one ErrorData; each error has a small memory context
// of its own, deleted with the last copy.
class Error : public std::exception {
  public:
    // Takes ownership of an ErrorData from take_error(), and of the memory context it lies in.
    explicit Error(ErrorData* data);
    const char* what() const noexcept override { return data_->message != nullptr ? data_->message : "unknown error"; }
    int sqlerrcode() const noexcept { return data_->sqlerrcode; }
    // A cancel request or a timeout of the statement.
    bool is_cancel() const noexcept { return data_->sqlerrcode == ERRCODE_QUERY_CANCELED; }
    // Somebody wants it to end: a cancel, or a server that shuts down.
    bool is_intervention() const noexcept {
        return ERRCODE_TO_CATEGORY(data_->sqlerrcode) == ERRCODE_OPERATOR_INTERVENTION;
    }
    // Five-character SQLSTATE.
    std::string sqlstate() const;
    std::string detail() const { return text_or_empty(data_->detail); }
    std::string hint() const { return text_or_empty(data_->hint); }
    std::string context() const { return text_or_empty(data_->context); }
    const ErrorData& data() const noexcept { return *data_; }
    // For the boundary alone: the shared ErrorData.
    const std::shared_ptr<ErrorData>& shared() const noexcept { return data_; }

  private:
    static std::string text_or_empty(const char* text) { return text != nullptr ? text : ""; }
    std::shared_ptr<ErrorData> data_;
};

// Parent of the memory contexts of live errors. Created by init_errors(), never reset.
MemoryContext error_context();

// Creates the context; called from _PG_init, so that the error path itself never has to.
void init_errors();

// Throws an Error made in C++. `sqlerrcode` is one of ERRCODE_*; detail and hint may be empty.
[[noreturn]] void raise(int sqlerrcode, const std::string& message, const std::string& detail = {},
                        const std::string& hint = {});

} // namespace citadel::pg
