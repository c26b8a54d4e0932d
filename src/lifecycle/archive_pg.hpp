// Archives of whole relations: made, verified, given back. What the executor of policies calls.
//
// An archive is one row of citadel.archive_entry. Each function below does a bounded piece of work in the current
// transaction and writes how far it got into that row, so the caller commits between two calls, and calls on until
// Progress::done; after a crash it just goes on calling. What touches the owner's table is done as the owner,
// restricted; the functions must be called as the worker's superuser, outside any RoleScope. Errors come as pg::Error:
// the caller rolls back, records the message and tries again later.
#pragma once

#include "lifecycle/content_hash.hpp"
#include "pg/server.hpp"

#include <cstdint>
#include <string>

namespace citadel::lifecycle::archive {

enum class Progress { more, done };

// What is to be archived: a detached partition, or a table that rows were collected in. Writers must be shut out from
// before begin() until the archive is complete and the source dropped.
struct Source {
    std::int64_t policy_id = 0; // 0: none
    Oid relation = InvalidOid;
    std::string destination;   // 'schema', 'server:NAME', 'file:DIR'
    std::string tablespace;    // for 'schema'; empty: stays where it is
    std::string origin_schema; // the table that it was a part of
    std::string origin_name;
    std::string lower_bound; // of the rows inside, for people; empty: open or unknown
    std::string upper_bound;
    std::string privileges;      // before writers were shut out (writers_pg.hpp); empty: unknown
    std::string partition_bound; // 'FOR VALUES ...' as pg_get_expr() said before the detach; empty: was no partition
};

// Why `owner` cannot archive to `destination`; empty when he can. Changes nothing; for previews and new policies.
std::string destination_problem(const std::string& destination, const std::string& tablespace, Oid owner);

// Writes the catalogue entry (state 'copying', verification 'pending') and returns its archive_id. Raises what
// destination_problem() found.
std::int64_t begin(const Source& source);

// Copies a piece. 'schema' moves the relation instead, after its content has been hashed.
Progress copy_some(std::int64_t archive_id);

// Re-reads a piece of the copy from where it lies, and of the source. When done, both sides were the same, and the
// entry is 'complete' and 'verified' ('moved' for 'schema'). Otherwise it raises data_corrupted (XX001) and the source
// stays; discard_partial() starts over.
Progress verify_some(std::int64_t archive_id);

// Whether the source still is, row for row, what the archive holds. Reads all of the source, under a lock that keeps
// writers out until the transaction ends: call it in the transaction that drops the source. 'schema' has no source:
// true.
bool source_matches(std::int64_t archive_id);

// Removes what an unfinished copy left, and sets the entry to 'discarded'. Never touches a complete archive or a
// source.
void discard_partial(std::int64_t archive_id);

// The same for whatever state an archive is in whose copy cannot become whole; a complete archive, or a table that was
// moved, is left as it is.
void give_up(std::int64_t archive_id);

// Raises an error unless the copy of a complete archive is still there as it was verified: files with their SHA-256,
// rows on a server with their hash. Reads all of it. Nothing to do for 'schema'.
void require_copy(std::int64_t archive_id);

// Gives up a copy whose source is still there, for an undo: an unfinished one, or a complete one that the source still
// matches row for row. A complete one that differs stays. Raises 55000 for a table that was moved.
void discard_copy(std::int64_t archive_id);

// How an archive comes back.
enum class RestoreAs {
    partition, // attached to the target again, with the bounds it had
    rows,      // inserted into the target, so that its constraints and triggers see them
    beside     // as a table of its own in the origin's schema
};

const char* name_of(RestoreAs as);

// Notes in the entry that the archive is to be restored. `target` is InvalidOid for `beside`. Checks that it can be.
void begin_restore(std::int64_t archive_id, Oid target, RestoreAs as);

// Does a piece of the restore that begin_restore() noted; when done the content was compared with the archive's hash
// and the entry is 'restored'. Files and foreign tables stay where they are; a relation that was moved is moved back.
Progress restore_some(std::int64_t archive_id);

// Gives up a restore that is under way: what was loaded is dropped, and the archive is complete again. Raises 55000
// when the target has been given rows already, or a table that was moved is back: then it has to go on.
void abandon_restore(std::int64_t archive_id);

// The content of a relation, or of its rows that satisfy `where` (SQL over its columns): read as the current user when
// `where` is given or the relation is no plain table, else straight from the storage.
ContentHash hash_relation(Oid relation, const std::string& where = {});

} // namespace citadel::lifecycle::archive
