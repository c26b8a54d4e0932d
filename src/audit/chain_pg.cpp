// The chainer, the verifier and the sealing of old stretches.
#include "audit/audit.hpp"

#include "audit/canonical.hpp"
#include "audit/refusals_pg.hpp"
#include "pg/boundary.hpp"
#include "pg/clock.hpp"
#include "pg/fault.hpp"
#include "pg/guard.hpp"
#include "pg/spi.hpp"
#include "pg/subtransaction.hpp"
#include "pg/tuplestore.hpp"
#include "settings/settings.hpp"
#include "text/hex.hpp"

#include <set>

extern "C" {
#include "access/xact.h"
#include "commands/trigger.h"
#include "common/cryptohash.h"
#include "common/sha2.h"
}

namespace citadel::audit {

namespace {

constexpr int period_ms = 10 * 1000;
constexpr int rows_per_round = 1000;
constexpr const char* notify_channel = "citadel_audit_head";
constexpr const char* seal_action = "seal_audit_log";

// The fields of an entry in their order in the canonical form, between its place and the hash before it.
constexpr const char* fields =
    "((extract(epoch FROM at) * 1000000)::bigint)::text, actor, action, outcome, subject_oid::text, subject_schema, "
    "subject_name, policy_id::text, policy_version::text, lower_bound, upper_bound, row_count::text, checksum, "
    "lsn::text, reason, detail::text";
constexpr std::size_t field_count = 16;
constexpr std::size_t action_field = 2;
constexpr std::size_t upper_bound_field = 10;
constexpr std::size_t checksum_field = 12;

std::string first_previous() {
    return std::string(PG_SHA256_DIGEST_LENGTH * 2, '0');
}

std::string sha256(const std::string& bytes) {
    const auto* data = reinterpret_cast<const uint8*>(bytes.data());
    const std::size_t size = bytes.size();
    uint8 digest[PG_SHA256_DIGEST_LENGTH];
    uint8* result = digest;
    pg::guard([=] {
        pg_cryptohash_ctx* context = pg_cryptohash_create(PG_SHA256);
        if (context == nullptr)
            ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory")));
        const bool failed = pg_cryptohash_init(context) < 0 || pg_cryptohash_update(context, data, size) < 0 ||
                            pg_cryptohash_final(context, result, PG_SHA256_DIGEST_LENGTH) < 0;
        pg_cryptohash_free(context);
        if (failed)
            ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR), errmsg("could not compute SHA-256")));
    });
    return hexadecimal(digest, sizeof(digest));
}

// Columns `first` .. of a row are the fields.
std::string entry_hash(std::int64_t seq, const pg::Rows& rows, std::size_t row, std::size_t first,
                       const std::string& previous) {
    std::vector<std::optional<std::string>> values;
    values.reserve(field_count + 2);
    values.emplace_back(std::to_string(seq));
    for (std::size_t i = first; i < first + field_count; ++i)
        values.push_back(rows.is_null(row, i) ? std::nullopt : std::optional<std::string>(rows.text(row, i)));
    values.emplace_back(previous);
    return sha256(canonical_form(values));
}

// While in scope this process may take rows away; nobody else can say so.
bool may_remove = false;

class Removing {
  public:
    Removing() { may_remove = true; }
    Removing(const Removing&) = delete;
    Removing& operator=(const Removing&) = delete;
    ~Removing() { may_remove = false; }
};

struct Link {
    std::int64_t seq = 0;
    std::string hash = first_previous();
};

Link last_link(pg::Spi& spi) {
    Link last;
    const pg::Rows rows =
        spi.query("SELECT seq, encode(hash, 'hex') FROM citadel.audit_entry ORDER BY seq DESC LIMIT 1");
    const pg::Rows seal =
        rows.empty() ? spi.query("SELECT last_seq, encode(head, 'hex') FROM citadel.audit_seal ORDER BY last_seq DESC "
                                 "LIMIT 1")
                     : rows;
    if (!seal.empty()) {
        last.seq = seal.int64(0, 0);
        last.hash = seal.text(0, 1);
    }
    return last;
}

// Rows of a dump being restored must not meet rows of ours: pg_dump's scripts make the extension and then fill its
// tables, pg_restore does so with several connections.
bool being_restored(pg::Spi& spi) {
    return !spi.query("SELECT 1 FROM citadel.installation i, pg_stat_get_activity(i.backend_pid) a "
                      "WHERE i.by_restore AND a.backend_start = i.backend_start "
                      "UNION ALL SELECT 1 FROM pg_stat_activity a JOIN pg_roles r ON r.rolname = a.usename "
                      "WHERE a.datname = current_database() AND a.application_name = 'pg_restore' AND r.rolsuper",
                      {}, 1)
                .empty();
}

bool something_to_chain(pg::Spi& spi) {
    return refusals_noted() || !spi.query("SELECT 1 FROM citadel.audit_pending LIMIT 1").empty();
}

// --- the head goes outside

std::string head_to_log;

void log_head(XactEvent event, void*) {
    if (event != XACT_EVENT_COMMIT && event != XACT_EVENT_ABORT)
        return;
    if (event == XACT_EVENT_COMMIT && !head_to_log.empty())
        ereport(LOG,
                (errmsg("citadel_opt: head of the audit log of database %u is %s", MyDatabaseId, head_to_log.c_str()),
                 errhidestmt(true)));
    head_to_log.clear();
}

void publish(pg::Spi& spi, const Link& last) {
    static bool registered = false;
    if (!registered) {
        pg::guard([] { RegisterXactCallback(log_head, nullptr); });
        registered = true;
    }
    const std::string head = format_head(last.seq, last.hash);
    spi.query("SELECT pg_notify($1, $2)", {pg::arg(notify_channel), pg::arg(head)});
    head_to_log = head;
}

// Links one batch; the number of entries linked. The caller holds the lock.
std::size_t link_some(pg::Spi& spi, Link& last) {
    const pg::Rows rows =
        spi.query(std::string("SELECT pending_id, ") + fields +
                  " FROM citadel.audit_pending ORDER BY pending_id LIMIT " + std::to_string(rows_per_round));
    std::vector<std::string> linked;
    for (std::size_t row = 0; row < rows.size(); ++row) {
        const std::string hash = entry_hash(last.seq + 1, rows, row, 1, last.hash);
        spi.execute("INSERT INTO citadel.audit_entry SELECT $2, at, actor, action, outcome, subject_oid, "
                    "subject_schema, subject_name, policy_id, policy_version, lower_bound, upper_bound, row_count, "
                    "checksum, lsn, reason, detail, decode($3, 'hex'), decode($4, 'hex') "
                    "FROM citadel.audit_pending WHERE pending_id = $1",
                    {pg::arg(rows.int64(row, 0)), pg::arg(last.seq + 1), pg::arg(last.hash), pg::arg(hash)});
        linked.push_back(rows.text(row, 0));
        last = {last.seq + 1, hash};
    }
    pg::fault_point("audit.linked");
    if (!linked.empty()) {
        const Removing removing;
        spi.execute("DELETE FROM citadel.audit_pending WHERE pending_id = ANY ($1::bigint[])",
                    {pg::arg(pg::text_array_literal(linked))});
    }
    return linked.size();
}

// Whether this transaction can see and change the present end of the chain.
bool can_chain() {
    return !XactReadOnly && !RecoveryInProgress() && !IsolationUsesXactSnapshot();
}

void chain_now(bool wait) {
    pg::Spi spi;
    if (!can_chain() || !something_to_chain(spi) || being_restored(spi))
        return;
    const std::string lock = "LOCK TABLE citadel.audit_entry IN SHARE ROW EXCLUSIVE MODE";
    if (wait) {
        spi.execute(lock);
    } else if (const auto error = pg::try_subtransaction([&] {
                   pg::Spi inner;
                   inner.execute(lock + " NOWAIT");
               })) {
        if (error->sqlerrcode() == ERRCODE_LOCK_NOT_AVAILABLE)
            return; // somebody is at it
        throw *error;
    }
    write_refusals();
    Link last = last_link(spi);
    const std::int64_t before = last.seq;
    while (link_some(spi, last) == rows_per_round) {
    }
    if (last.seq > before)
        publish(spi, last);
}

struct Verification {
    std::int64_t entries = 0;
    Link head;
    std::optional<std::int64_t> first_broken;
    std::string problem;

    void broken(std::int64_t seq, const std::string& what) {
        if (first_broken)
            return;
        first_broken = seq;
        problem = what;
    }
};

struct Seals {
    Link last;
    std::set<std::string> heads; // "SEQ:HASH"
};

Seals check_seals(pg::Spi& spi, Verification& result) {
    Seals seals;
    const pg::Rows rows =
        spi.query("SELECT first_seq, last_seq, encode(head, 'hex') FROM citadel.audit_seal ORDER BY last_seq");
    for (std::size_t row = 0; row < rows.size(); ++row) {
        if (rows.int64(row, 0) != seals.last.seq + 1)
            result.broken(seals.last.seq + 1, "is missing: the seals leave a gap before " + rows.text(row, 0));
        seals.last = {rows.int64(row, 1), rows.text(row, 2)};
        seals.heads.insert(format_head(seals.last.seq, seals.last.hash));
    }
    return seals;
}

void check_expected(const std::string& text, const Seals& seals, const std::string& hash_at_expected, bool hash_found,
                    Verification& result) {
    const Head expected = *parse_head(text);
    if (!expected.seq) {
        if (!hash_found && result.problem.empty())
            result.broken(seals.last.seq + 1, "or a later one was changed: no entry has the expected hash");
        return;
    }
    if (*expected.seq > result.head.seq) {
        result.broken(result.head.seq + 1, "is missing: the log goes on to entry " + std::to_string(*expected.seq));
    } else if (*expected.seq <= seals.last.seq) {
        if (seals.heads.count(format_head(*expected.seq, expected.hash)) == 0 && result.problem.empty())
            result.problem = "the expected head lies in a stretch that was removed and cannot be compared";
    } else if (hash_at_expected != expected.hash) {
        // Everything up to there may have been written anew; an entry that does not fit by itself comes first.
        result.broken(*expected.seq, "has another hash than the expected head: it or one before it was changed and "
                                     "the chain computed anew");
    }
}

Verification verify(const std::string& expected_text) {
    Verification result;
    pg::Spi spi;
    const Seals seals = check_seals(spi, result);
    const auto expected = expected_text.empty() ? std::nullopt : parse_head(expected_text);
    Link at = seals.last;
    bool seal_recorded = seals.heads.empty();
    bool hash_found = expected && seals.heads.count(format_head(at.seq, expected->hash)) > 0;
    std::string hash_at_expected;
    for (;;) {
        const pg::Rows rows = spi.query(std::string("SELECT seq, encode(previous_hash, 'hex'), encode(hash, 'hex'), ") +
                                            fields + " FROM citadel.audit_entry WHERE seq > $1 ORDER BY seq LIMIT " +
                                            std::to_string(rows_per_round),
                                        {pg::arg(result.entries == 0 ? std::int64_t{-1} : at.seq)});
        for (std::size_t row = 0; row < rows.size(); ++row) {
            const std::int64_t seq = rows.int64(row, 0);
            const std::string& hash = rows.text(row, 2);
            if (seq <= at.seq)
                result.broken(seq, "should have been removed: its stretch is sealed");
            else if (seq != at.seq + 1)
                result.broken(at.seq + 1, "is missing");
            else if (rows.text(row, 1) != at.hash)
                result.broken(seq, "does not follow the entry before it");
            else if (!result.first_broken && entry_hash(seq, rows, row, 3, rows.text(row, 1)) != hash)
                result.broken(seq, "was changed");
            if (rows.text(row, 3 + action_field) == seal_action &&
                rows.text(row, 3 + upper_bound_field) == std::to_string(seals.last.seq) &&
                rows.text(row, 3 + checksum_field) == seals.last.hash)
                seal_recorded = true;
            if (expected && expected->seq == seq)
                hash_at_expected = hash;
            hash_found = hash_found || (expected && expected->hash == hash);
            at = {seq, hash};
            ++result.entries;
        }
        if (rows.size() < rows_per_round)
            break;
    }
    result.head = at;
    if (!seal_recorded)
        seal_recorded = !spi.query("SELECT 1 FROM citadel.audit_pending WHERE action = $1 AND checksum = $2",
                                   {pg::arg(seal_action), pg::arg(seals.last.hash)})
                             .empty();
    if (!seal_recorded)
        result.broken(seals.last.seq + 1, "follows a stretch that was removed without the log saying so");
    if (expected)
        check_expected(expected_text, seals, hash_at_expected, hash_found, result);
    return result;
}

std::int64_t seal(TimestampTz before) {
    chain_now(true);
    const Verification state = verify("");
    if (state.first_broken)
        pg::raise(ERRCODE_DATA_CORRUPTED, "the audit log is broken and is left as it is",
                  "Entry " + std::to_string(*state.first_broken) + " " + state.problem + ".",
                  "SELECT * FROM citadel.verify_audit_log() says the same.");
    pg::Spi spi;
    spi.execute("LOCK TABLE citadel.audit_entry IN SHARE ROW EXCLUSIVE MODE");
    // The stretch ends before the first entry that is too new; times need not ascend. The last entry stays.
    const pg::Rows rows =
        spi.query("SELECT min(seq), max(seq), min(at), max(at), "
                  "(SELECT encode(l.hash, 'hex') FROM citadel.audit_entry l WHERE l.seq = max(e.seq)) "
                  "FROM citadel.audit_entry e WHERE seq < least((SELECT max(seq) FROM citadel.audit_entry), "
                  "(SELECT min(seq) FROM citadel.audit_entry WHERE at >= $1))",
                  {pg::arg_timestamptz(before)});
    if (rows.is_null(0, 0))
        return 0;
    spi.execute("INSERT INTO citadel.audit_seal (first_seq, last_seq, first_at, last_at, head, sealed_at, sealed_by) "
                "VALUES ($1::bigint, $2::bigint, $3::timestamptz, $4::timestamptz, decode($5, 'hex'), $6, "
                "session_user)",
                {pg::arg(rows.int64(0, 0)), pg::arg(rows.int64(0, 1)), pg::arg(rows.text(0, 2)),
                 pg::arg(rows.text(0, 3)), pg::arg(rows.text(0, 4)), pg::arg_timestamptz(pg::now())});
    std::uint64_t removed = 0;
    {
        const Removing removing;
        removed = spi.execute("DELETE FROM citadel.audit_entry WHERE seq <= $1", {pg::arg(rows.int64(0, 1))});
    }
    Entry entry;
    entry.action = seal_action;
    entry.lower_bound = rows.text(0, 0);
    entry.upper_bound = rows.text(0, 1);
    entry.rows = static_cast<std::int64_t>(removed);
    entry.checksum = rows.text(0, 4);
    append(entry);
    return static_cast<std::int64_t>(removed);
}

} // namespace

void chain() {
    chain_now(false);
}

int chain_period_ms() {
    return period_ms;
}

void seal_expired() {
    if (settings::audit_retention_min > 0)
        (void)seal(pg::now() - static_cast<TimestampTz>(settings::audit_retention_min) * USECS_PER_MINUTE);
}

} // namespace citadel::audit

using namespace citadel;

CITADEL_FUNCTION(citadel_audit_guard) {
    if (!CALLED_AS_TRIGGER(fcinfo))
        pg::raise(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED, "audit_guard() is a trigger function");
    const auto* trigger = reinterpret_cast<TriggerData*>(fcinfo->context);
    if (!audit::may_remove || !TRIGGER_FIRED_BY_DELETE(trigger->tg_event))
        pg::raise(ERRCODE_INSUFFICIENT_PRIVILEGE, "the audit log can only be appended to", {},
                  "citadel.seal_audit_log() removes old entries and keeps the chain whole.");
    return PointerGetDatum(nullptr);
}

CITADEL_FUNCTION(citadel_verify_audit_log) {
    std::string expected;
    if (!PG_ARGISNULL(0)) {
        expected = pg::to_string(pg::guard([&] { return PG_GETARG_TEXT_PP(0); }));
        if (!audit::parse_head(expected))
            pg::raise(ERRCODE_INVALID_PARAMETER_VALUE, "\"" + expected + "\" is no head of an audit log", {},
                      "A head is a sequence number, a colon and 64 hexadecimal digits, or the digits alone.");
    }
    audit::chain_now(true);
    const audit::Verification result = audit::verify(expected);
    return pg::composite(
        fcinfo,
        {pg::arg(result.entries),
         result.head.seq == 0 ? pg::null() : pg::arg(audit::format_head(result.head.seq, result.head.hash)),
         result.first_broken ? pg::arg(*result.first_broken) : pg::null(INT8OID),
         result.problem.empty()
             ? pg::null()
             : pg::arg(result.first_broken ? "entry " + std::to_string(*result.first_broken) + " " + result.problem
                                           : result.problem)});
}

CITADEL_FUNCTION(citadel_seal_audit_log) {
    const TimestampTz before = PG_GETARG_TIMESTAMPTZ(0);
    PG_RETURN_INT64(
        audit::audited(audit::about(audit::seal_action, InvalidOid), [before] { return audit::seal(before); }));
}
