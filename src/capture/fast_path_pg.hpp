// The fast path: every run that ends is counted in this process's delta, which goes to shared memory now and then.
#pragma once

#include "pg/server.hpp"

#include "capture/record_pg.hpp"
#include "capture/statement_table.hpp"

namespace citadel::capture {

// nullptr unless preloaded and the server's shared memory has been set up.
StatementTable* shared_statements();
void register_statements(); // at preload

// A run that ended. No allocation, no lock that is waited for, no error; good on the error path. sqlstate 0: it ended
// well.
void count_run(const Watched& watched, double duration_ms, int sqlstate);
// The same when the query itself is gone.
void count_rolled_back(const Watched& watched);

// Errors that belong to no run. One that is reported to the client is counted as such unless error_of_a_run() was said
// of it before; errors_are_over() when its transaction has been aborted.
void error_of_a_run();
void count_error(int sqlstate);
void errors_are_over();

// Moves this process's delta to shared memory now, as far as no lock is held for long by others.
void flush_statements();

} // namespace citadel::capture
