// Where errors point to when the text at fault is not the statement that called us.
#pragma once

#include "pg/server.hpp"

namespace citadel::advisor {

// Makes error positions refer to `text`. Plain data linked into the server's stack of error callbacks, safe to jump
// over: the server unlinks it after an error.
class InnerPosition {
  public:
    static void link(ErrorContextCallback& callback, const char* text) {
        callback.callback = report;
        callback.arg = const_cast<char*>(text);
        callback.previous = error_context_stack;
        error_context_stack = &callback;
    }
    static void unlink(const ErrorContextCallback& callback) { error_context_stack = callback.previous; }

  private:
    static void report(void* text) {
        const int position = geterrposition();
        if (position > 0) {
            errposition(0);
            internalerrposition(position);
            internalerrquery(static_cast<const char*>(text));
        }
    }
};

} // namespace citadel::advisor
