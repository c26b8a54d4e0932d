// What launcher, schedulers and job workers have in common: how they start, wait, reload and report.
#pragma once

#include "jobs/shared_state.hpp"

#include <string>

struct BackgroundWorkerHandle;

namespace citadel::jobs::worker {

// Asks the postmaster for a worker of ours that finds its slot through the ticket. nullptr when there is no free
// background worker. The handle is palloc'd in TopMemoryContext.
BackgroundWorkerHandle* start(const char* type, const char* name, const char* function, shared::Ticket ticket);
// Whether the worker has ended, or never will start. Frees the handle then.
bool has_ended(BackgroundWorkerHandle* handle);

// The ticket this worker was started with.
shared::Ticket own_ticket();

// Signals (SIGHUP reloads, SIGTERM ends as in a backend, SIGINT cancels as in a backend), unblocked.
void take_signals();
// Connects to the database as the bootstrap superuser and pins the settings that a database or role could bend.
void connect(Oid database, const char* application_name);
// For the launcher: shared catalogues alone.
void connect_to_none();

// Is our extension in this database? Needs a transaction.
bool extension_present();

// Sleeps until the latch is set or so many milliseconds have passed, then handles interrupts and reads the
// configuration anew when asked to. True when the latch was set: there may be something to do.
bool wait(long milliseconds);
// Reads the configuration anew when asked to, without waiting; whether it did. Outside a transaction.
bool take_reload();
// How often the configuration was read anew.
int reloads();

// Writes to the server log, at most once a minute for the same text; what was suppressed is counted and said later.
// Never raises.
void log_rarely(const std::string& message, const std::string& hint = {}) noexcept;

} // namespace citadel::jobs::worker
