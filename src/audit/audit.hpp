// The audit log: what the extension did, was told to do, and refused to do.
//
// A writer appends in its own transaction; the entry exists if and only if the work does. A refusal's transaction rolls
// back, so that goes through shared memory and is written by the scheduler. One chainer links entries with SHA-256.
#pragma once

#include "pg/server.hpp"

#include "pg/error.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <utility>

namespace citadel::audit {

namespace outcome {
inline constexpr const char* started = "started"; // the decision is recorded before the act
inline constexpr const char* done = "done";
inline constexpr const char* refused = "refused"; // asked for and not allowed or not possible
inline constexpr const char* failed = "failed";   // tried and went wrong
} // namespace outcome

struct Entry {
    std::string action; // a verb: 'place_hold', 'detach', 'archive', 'drop'
    std::string outcome = outcome::done;
    std::string actor; // empty: the session user
    Oid subject = InvalidOid;
    std::string subject_schema, subject_name;
    std::optional<std::int64_t> policy_id;
    std::optional<std::int32_t> policy_version;
    std::optional<std::string> lower_bound, upper_bound;
    std::optional<std::int64_t> rows;
    std::string checksum; // of the rows concerned, hexadecimal
    std::string reason;
    std::string detail = "{}"; // a JSON object; may hold literals, so only who may read all data is shown it
};

// Writes one entry in the current transaction. The current user must be the owner of the extension's tables: callers
// leave a RoleScope first, and SQL functions are SECURITY DEFINER. LSN and time are taken here.
void append(const Entry& entry);

// Notes, in shared memory, what a transaction that is about to roll back was refused. The scheduler writes it to the
// log within seconds; a crash of the server in between loses it. Never fails; does nothing without preload.
void note_refusal(const Entry& entry, const pg::Error& error) noexcept;

// Runs `body`; an error is noted as a refusal of `entry` on its way out. A cancelled statement is not a refusal.
template <class Body>
decltype(auto) audited(const Entry& entry, Body&& body) {
    try {
        return std::forward<Body>(body)();
    } catch (const pg::Error& error) {
        if (!error.is_cancel())
            note_refusal(entry, error);
        throw;
    }
}

// The schema and name of a relation for an entry; what is gone has only its OID.
Entry about(const char* action, Oid relation);

// Writes noted refusals, then links what was appended; the tick of the scheduler, also run by verify_audit_log().
// Only one process links at a time. Does nothing in a database that is being restored.
void chain();
int chain_period_ms();

// Removes entries older than citadel_opt.audit_retention and keeps the hash at which the rest goes on.
void seal_expired();

// Asks for shared memory; at preload.
void install();

} // namespace citadel::audit
