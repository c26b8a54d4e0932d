// Writing entries, and the refusals that have no transaction to be written in.
#include "audit/audit.hpp"

#include "audit/refusals_pg.hpp"
#include "pg/clock.hpp"
#include "pg/fault.hpp"
#include "pg/guard.hpp"
#include "pg/shared_memory.hpp"
#include "pg/spi.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <vector>

extern "C" {
#include "access/xact.h"
#include "catalog/pg_class.h"
#include "mb/pg_wchar.h"
#include "storage/proc.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"
}

namespace citadel::audit {

namespace {

constexpr const char* memory_name = "citadel_opt audit";
constexpr std::size_t places = 128; // of refusals between two rounds of the schedulers, in the whole cluster
constexpr TimestampTz forgotten_after = 10 * USECS_PER_MINUTE; // nobody reads that database

struct Record {
    std::uint64_t number; // 0: free
    Oid database;
    Oid subject;
    TimestampTz at;
    char actor[NAMEDATALEN];
    char action[NAMEDATALEN];
    char schema[NAMEDATALEN];
    char name[NAMEDATALEN];
    char sqlstate[6];
    char message[512];
};

struct Shared {
    std::uint64_t last_number;
    std::uint64_t lost; // found no place
    Record records[places];
};

Shared* shared = nullptr;
LWLock* shared_lock = nullptr;

std::size_t memory_size() {
    return sizeof(Shared);
}

void attach(void* memory, bool fresh) {
    shared = static_cast<Shared*>(memory);
    if (fresh)
        memset(memory, 0, memory_size());
    shared_lock = pg::guard([] { return &GetNamedLWLockTranche(memory_name)->lock; });
}

// Records the transaction now running has written; they are freed when it commits.
std::array<std::uint64_t, places> writing;
std::size_t writing_count = 0;
std::uint64_t writing_lost = 0;

void transaction_ended(XactEvent event, void*) {
    if (event != XACT_EVENT_COMMIT && event != XACT_EVENT_ABORT)
        return;
    if (event == XACT_EVENT_COMMIT && (writing_count > 0 || writing_lost > 0)) {
        LWLockAcquire(shared_lock, LW_EXCLUSIVE);
        for (Record& record : shared->records)
            if (std::find(writing.begin(), writing.begin() + writing_count, record.number) !=
                writing.begin() + writing_count)
                record.number = 0;
        shared->lost -= std::min(shared->lost, writing_lost);
        LWLockRelease(shared_lock);
    }
    writing_count = 0;
    writing_lost = 0;
}

// Cuts at a character, so that the text stays valid in the database's encoding.
void put(char* place, std::size_t size, const std::string& text) {
    const int length = pg_mbcliplen(text.c_str(), static_cast<int>(text.size()), static_cast<int>(size) - 1);
    memcpy(place, text.c_str(), static_cast<std::size_t>(length));
    place[length] = '\0';
}

// One that is free, or the oldest when that has waited too long for its scheduler; else nullptr. Under the lock.
Record* free_place(TimestampTz now) {
    Record* oldest = std::min_element(std::begin(shared->records), std::end(shared->records),
                                      [](const Record& a, const Record& b) { return a.number < b.number; });
    return oldest->number == 0 || oldest->at + forgotten_after < now ? oldest : nullptr;
}

pg::Arg text_or_null(const std::string& text) {
    return text.empty() ? pg::null() : pg::arg(text);
}

pg::Arg text_or_null(const std::optional<std::string>& text) {
    return text ? pg::arg(*text) : pg::null();
}

} // namespace

void install() {
    pg::register_shared_memory({memory_name, memory_size, attach, 1});
}

void append(const Entry& entry) {
    pg::Spi spi;
    spi.execute(
        "INSERT INTO citadel.audit_pending (at, actor, action, outcome, subject_oid, subject_schema, subject_name, "
        "policy_id, policy_version, lower_bound, upper_bound, row_count, checksum, lsn, reason, detail) "
        "VALUES ($1, coalesce($2, session_user), $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, "
        "pg_current_wal_insert_lsn(), $14, $15)",
        {pg::arg_timestamptz(pg::now()), text_or_null(entry.actor), pg::arg(entry.action), pg::arg(entry.outcome),
         entry.subject == InvalidOid ? pg::null(OIDOID) : pg::arg_oid(entry.subject),
         text_or_null(entry.subject_schema), text_or_null(entry.subject_name),
         entry.policy_id ? pg::arg(*entry.policy_id) : pg::null(INT8OID),
         entry.policy_version ? pg::arg(*entry.policy_version) : pg::null(INT4OID), text_or_null(entry.lower_bound),
         text_or_null(entry.upper_bound), entry.rows ? pg::arg(*entry.rows) : pg::null(INT8OID),
         text_or_null(entry.checksum), text_or_null(entry.reason), pg::arg_as(JSONBOID, entry.detail)});
    pg::fault_point("audit.appended");
}

Entry about(const char* action, Oid relation) {
    Entry entry;
    entry.action = action;
    entry.subject = relation;
    NameData schema = {};
    NameData name = {};
    NameData actor = {};
    pg::guard([&] {
        HeapTuple tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relation));
        if (HeapTupleIsValid(tuple)) {
            const auto* row = reinterpret_cast<Form_pg_class>(GETSTRUCT(tuple));
            name = row->relname;
            if (const char* found = get_namespace_name(row->relnamespace))
                namestrcpy(&schema, found);
            ReleaseSysCache(tuple);
        }
        namestrcpy(&actor, GetUserNameFromId(GetSessionUserId(), true) == nullptr
                               ? "(a role that was dropped)"
                               : GetUserNameFromId(GetSessionUserId(), false));
    });
    entry.subject_schema = NameStr(schema);
    entry.subject_name = NameStr(name);
    entry.actor = NameStr(actor);
    return entry;
}

void note_refusal(const Entry& entry, const pg::Error& error) noexcept {
    if (shared == nullptr || MyProc == nullptr)
        return;
    // Memory work alone: the transaction is in the middle of an error.
    LWLockAcquire(shared_lock, LW_EXCLUSIVE);
    const TimestampTz now = pg::now();
    Record* place = free_place(now);
    if (place == nullptr || place->number != 0)
        ++shared->lost;
    if (place != nullptr) {
        place->database = MyDatabaseId;
        place->subject = entry.subject;
        place->at = now;
        put(place->actor, sizeof(place->actor), entry.actor);
        put(place->action, sizeof(place->action), entry.action);
        put(place->schema, sizeof(place->schema), entry.subject_schema);
        put(place->name, sizeof(place->name), entry.subject_name);
        memcpy(place->sqlstate, unpack_sql_state(error.sqlerrcode()), sizeof(place->sqlstate));
        put(place->message, sizeof(place->message), error.what());
        place->number = ++shared->last_number;
    }
    LWLockRelease(shared_lock);
}

bool refusals_noted() {
    if (shared == nullptr)
        return false;
    LWLockAcquire(shared_lock, LW_SHARED);
    const bool any = shared->lost > 0 ||
                     std::any_of(std::begin(shared->records), std::end(shared->records), [](const Record& record) {
                         return record.number != 0 && record.database == MyDatabaseId;
                     });
    LWLockRelease(shared_lock);
    return any;
}

void write_refusals() {
    // What a subtransaction writes may be rolled back while the transaction commits.
    if (shared == nullptr || GetCurrentTransactionNestLevel() > 1)
        return;
    static bool registered = false;
    if (!registered) {
        pg::guard([] { RegisterXactCallback(transaction_ended, nullptr); });
        registered = true;
    }
    std::vector<Record> records;
    records.reserve(places); // nothing is allocated under the lock
    LWLockAcquire(shared_lock, LW_SHARED);
    const std::uint64_t lost = shared->lost;
    for (const Record& record : shared->records)
        if (record.number != 0 && record.database == MyDatabaseId)
            records.push_back(record);
    LWLockRelease(shared_lock);
    std::sort(records.begin(), records.end(),
              [](const Record& one, const Record& other) { return one.number < other.number; });
    pg::Spi spi;
    for (const Record& record : records) {
        if (std::find(writing.begin(), writing.begin() + writing_count, record.number) !=
            writing.begin() + writing_count)
            continue;
        spi.execute("INSERT INTO citadel.audit_pending (at, actor, action, outcome, subject_oid, subject_schema, "
                    "subject_name, lsn, reason, detail) VALUES ($1, coalesce($2, '(unknown)'), $3, 'refused', $4, $5, "
                    "$6, pg_current_wal_insert_lsn(), $7, jsonb_build_object('sqlstate', $8::text))",
                    {pg::arg_timestamptz(record.at), text_or_null(std::string(record.actor)), pg::arg(record.action),
                     record.subject == InvalidOid ? pg::null(OIDOID) : pg::arg_oid(record.subject),
                     text_or_null(std::string(record.schema)), text_or_null(std::string(record.name)),
                     pg::arg(record.message), pg::arg(record.sqlstate)});
        writing[writing_count++] = record.number;
    }
    if (lost > 0 && writing_lost == 0) {
        Entry entry;
        entry.action = "note_refusal";
        entry.outcome = outcome::failed;
        entry.rows = static_cast<std::int64_t>(lost);
        entry.reason = "refusals came faster than they could be written; these have no entry of their own";
        append(entry);
        writing_lost = lost;
    }
}

} // namespace citadel::audit
