// A statement may fail where no hook of the executor sees it: in parsing, analysis and planning, for want of
// privileges, in a utility statement, at commit (deferred constraints). The one place that all of these pass is the
// report to the server's log, which has a hook. An error that PL code caught never comes there, and none comes there
// twice. A session that is terminated in the middle of a statement tells of it there alone, too. It comes there with
// log_min_messages at its default or anything below 'log': with 'fatal' or 'panic' such errors are not counted.
#include "pg/server.hpp"

#include "capture/errors_pg.hpp"

#include "capture/fast_path_pg.hpp"
#include "capture/hooks_pg.hpp"

extern "C" {
#include "utils/elog.h"
}

namespace citadel::capture {

namespace {

emit_log_hook_type previous_emit = nullptr;

// Memory work alone, no error: this is called with one under way.
void error_is_reported(ErrorData* error) {
    if (error->elevel == ERROR && errors_are_counted())
        count_error(error->sqlerrcode);
    else if (error->elevel == FATAL)
        session_fails();
    if (previous_emit != nullptr)
        previous_emit(error);
}

} // namespace

void install_error_hook() {
    previous_emit = emit_log_hook;
    emit_log_hook = error_is_reported;
}

} // namespace citadel::capture
