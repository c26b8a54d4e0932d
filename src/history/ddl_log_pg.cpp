// Which DDL was committed when, so that a statement that has become slower can be told what changed at that time.
//
// The server tells of each object that is made, changed or dropped, also by DO blocks, functions, CASCADE and extension
// scripts (object_access_hook); which command it was is known from ProcessUtility. Both are noted in an array of this
// process, subtransactions that are rolled back forget theirs, and at commit the notes go to shared memory by plain
// memory work: nothing is allocated, raised or waited for. The text of commands is never looked at.
//
// The frames of the hooks own nothing: errors of the command jump through them.
#include "pg/server.hpp"

#include "history/ddl_log_pg.hpp"

#include "history/arrays_pg.hpp"
#include "history/ddl_notes.hpp"
#include "history/tasks_pg.hpp"
#include "pg/boundary.hpp"
#include "pg/clock.hpp"
#include "pg/fault.hpp"
#include "pg/preload.hpp"
#include "pg/shared_memory.hpp"
#include "pg/spi.hpp"
#include "settings/settings.hpp"

#include <algorithm>
#include <cstring>
#include <new>
#include <vector>

extern "C" {
#include "access/parallel.h"
#include "catalog/dependency.h"
#include "catalog/objectaccess.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint_d.h"
#include "catalog/pg_index.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_policy_d.h"
#include "catalog/pg_proc_d.h"
#include "catalog/pg_statistic_ext_d.h"
#include "catalog/pg_trigger_d.h"
#include "mb/pg_wchar.h"
#include "nodes/parsenodes.h"
#include "tcop/utility.h"
#include "utils/syscache.h"
}

namespace citadel::history {

namespace {

constexpr const char* memory_name = "citadel_opt ddl";
constexpr std::size_t most_pending = 20000; // notes that could not be stored yet
constexpr const char* rows_kept = "20000";  // in citadel.ddl_log, whatever the retention says

DdlRing* ring = nullptr;
DdlNotes notes;
int current_tag = CMDTAG_UNKNOWN;
bool making_temporary = false; // the command that runs makes a temporary table
bool (*somebody_reads_here)() = nullptr;
ProcessUtility_hook_type previous_utility = nullptr;
object_access_hook_type previous_access = nullptr;

std::size_t memory_size() {
    return sizeof(DdlRing);
}

void attach(void* memory, bool fresh) {
    ring = fresh ? new (memory) DdlRing : static_cast<DdlRing*>(memory);
}

bool noted_class(Oid object_class) {
    return object_class == RelationRelationId || object_class == ProcedureRelationId ||
           object_class == TriggerRelationId || object_class == ConstraintRelationId ||
           object_class == PolicyRelationId || object_class == StatisticExtRelationId;
}

// Sequences, TOAST tables and composite types are nobody's plan.
bool noted_kind(char kind) {
    return kind != RELKIND_SEQUENCE && kind != RELKIND_TOASTVALUE && kind != RELKIND_COMPOSITE_TYPE;
}

void copy_name(std::array<char, DdlNote::name_size>& to, const char* from) {
    const char* name = from == nullptr ? "" : from;
    const auto length = static_cast<int>(std::strlen(name));
    const auto kept = static_cast<std::size_t>(pg_mbcliplen(name, length, static_cast<int>(to.size()) - 1));
    std::memcpy(to.data(), name, kept);
    to[kept] = '\0';
}

// What is gone when the scheduler looks can only be named now; other names it looks up itself. (A subtransaction, which
// would make errors harmless, is out of the question in the middle of a command: its end makes half-made catalogue
// entries visible.) These are entries of the catalogue cache that the command has in its hands itself: to drop a
// relation it reads them next, and what would fail here fails there.
bool describe_relation(DdlNote& note) {
    const HeapTuple tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(note.object));
    if (!HeapTupleIsValid(tuple))
        return true;
    const auto* relation = reinterpret_cast<const FormData_pg_class*>(GETSTRUCT(tuple));
    const bool temporary = relation->relpersistence == RELPERSISTENCE_TEMP;
    const Oid schema = relation->relnamespace;
    note.kind = relation->relkind;
    copy_name(note.name, NameStr(relation->relname));
    ReleaseSysCache(tuple);
    if (temporary || !noted_kind(note.kind))
        return false;
    if (note.action != DdlAction::dropped)
        return true;
    if (const HeapTuple row = SearchSysCache1(NAMESPACEOID, ObjectIdGetDatum(schema)); HeapTupleIsValid(row)) {
        copy_name(note.schema_name, NameStr(reinterpret_cast<const FormData_pg_namespace*>(GETSTRUCT(row))->nspname));
        ReleaseSysCache(row);
    }
    if (note.kind != RELKIND_INDEX && note.kind != RELKIND_PARTITIONED_INDEX)
        return true;
    if (const HeapTuple row = SearchSysCache1(INDEXRELID, ObjectIdGetDatum(note.object)); HeapTupleIsValid(row)) {
        note.relation = reinterpret_cast<const FormData_pg_index*>(GETSTRUCT(row))->indrelid;
        ReleaseSysCache(row);
    }
    return true;
}

bool wanted() {
    return ring != nullptr && settings::enabled && settings::capture && IsTransactionState() && !IsParallelWorker() &&
           !IsInParallelMode() && somebody_reads_here();
}

void note_object(Oid object_class, Oid object, DdlAction action) {
    if (!notes.room()) { // a script of hundreds of commands: no look-up for what will not be kept
        ring->count_missed(1);
        return;
    }
    DdlNote note;
    note.database = MyDatabaseId;
    note.user = GetUserId();
    note.object_class = object_class;
    note.object = object;
    note.action = action;
    note.tag = current_tag;
    if (object_class == RelationRelationId && action != DdlAction::created && !describe_relation(note))
        return;
    if (action == DdlAction::altered) // it may be renamed once more
        note.name[0] = '\0';
    if (!notes.add(note, GetCurrentTransactionNestLevel()))
        ring->count_missed(1);
}

void object_access(ObjectAccessType access, Oid object_class, Oid object, int column, void* detail) {
    if (previous_access != nullptr)
        previous_access(access, object_class, object, column, detail);
    // Looking up a name or a function comes here as well, thousands of times.
    if (access == OAT_FUNCTION_EXECUTE || access == OAT_NAMESPACE_SEARCH || !noted_class(object_class))
        return;
    DdlAction action = DdlAction::altered;
    bool internal = false;
    switch (access) {
    case OAT_POST_CREATE:
        internal = detail != nullptr && static_cast<ObjectAccessPostCreate*>(detail)->is_internal;
        action = column == 0 ? DdlAction::created : DdlAction::altered;
        break;
    case OAT_DROP:
        internal =
            detail != nullptr && (static_cast<ObjectAccessDrop*>(detail)->dropflags & PERFORM_DELETION_INTERNAL) != 0;
        action = column == 0 ? DdlAction::dropped : DdlAction::altered;
        break;
    case OAT_POST_ALTER:
        internal = detail != nullptr && static_cast<ObjectAccessPostAlter*>(detail)->is_internal;
        break;
    case OAT_TRUNCATE:
        action = DdlAction::truncated;
        break;
    default:
        return;
    }
    if (!internal && !(making_temporary && action == DdlAction::created) && wanted())
        note_object(object_class, object, action);
}

bool noted_command(Node* command) {
    switch (nodeTag(command)) {
    case T_TruncateStmt:
    case T_ReindexStmt:
    case T_ClusterStmt:
    case T_VacuumStmt:
        return true;
    default:
        return GetCommandLogLevel(command) == LOGSTMT_DDL;
    }
}

// An application that works with temporary tables may make thousands of them a second.
bool makes_temporary(const Node* command) {
    const RangeVar* relation = nullptr;
    if (nodeTag(command) == T_CreateStmt)
        relation = reinterpret_cast<const CreateStmt*>(command)->relation;
    else if (nodeTag(command) == T_CreateTableAsStmt)
        relation = reinterpret_cast<const CreateTableAsStmt*>(command)->into->rel;
    else if (nodeTag(command) == T_ViewStmt)
        relation = reinterpret_cast<const ViewStmt*>(command)->view;
    return relation != nullptr && relation->relpersistence == RELPERSISTENCE_TEMP;
}

void process_utility(PlannedStmt* statement, const char* text, bool read_only_tree, ProcessUtilityContext context,
                     ParamListInfo params, QueryEnvironment* environment, DestReceiver* dest,
                     QueryCompletion* completion) {
    const int outer = current_tag;
    const bool outer_temporary = making_temporary;
    Node* const command = statement->utilityStmt;
    if (ring != nullptr && (noted_command(command))) {
        current_tag = CreateCommandTag(command);
        making_temporary = makes_temporary(command);
    }
    if (previous_utility != nullptr)
        previous_utility(statement, text, read_only_tree, context, params, environment, dest, completion);
    else
        standard_ProcessUtility(statement, text, read_only_tree, context, params, environment, dest, completion);
    current_tag = outer; // after an error: at the end of the transaction
    making_temporary = outer_temporary;
}

void transaction_ends(XactEvent event, void*) {
    // A prepared transaction may be committed by anybody, elsewhere, later: its DDL is not known here.
    if (event != XACT_EVENT_COMMIT && event != XACT_EVENT_ABORT && event != XACT_EVENT_PREPARE)
        return;
    current_tag = CMDTAG_UNKNOWN;
    making_temporary = false;
    if (notes.size() == 0)
        return;
    if (event == XACT_EVENT_COMMIT) {
        const TimestampTz now = pg::now();
        for (int i = 0; i < notes.size(); ++i) {
            notes[i].at = now;
            (void)ring->push(notes[i]);
        }
    } else if (event == XACT_EVENT_PREPARE) {
        ring->count_missed(static_cast<std::uint64_t>(notes.size()));
    }
    notes.clear();
}

void subtransaction_ends(SubXactEvent event, SubTransactionId, SubTransactionId, void*) {
    if (notes.size() > 0 && (event == SUBXACT_EVENT_COMMIT_SUB || event == SUBXACT_EVENT_ABORT_SUB))
        notes.subtransaction_ends(GetCurrentTransactionNestLevel(), event == SUBXACT_EVENT_COMMIT_SUB);
}

// --- in the scheduler

struct Pending {
    std::vector<DdlNote> notes;
    bool stored = false;
};

Pending& pending() {
    static Pending held;
    return held;
}

const char* action_name(DdlAction action) {
    switch (action) {
    case DdlAction::created:
        return "created";
    case DdlAction::altered:
        return "altered";
    case DdlAction::dropped:
        return "dropped";
    case DdlAction::truncated:
        return "truncated";
    }
    return "";
}

// Names that are not known yet are those of objects that were there at commit; what is gone again by now has a row that
// says it was dropped. What concerns nobody's statements (our own tables, temporary ones) is left out, and so are
// constraints that are indexes, or say NOT NULL (18): what made them is logged.
constexpr const char* insert_sql =
    "INSERT INTO citadel.ddl_log (at, user_id, command, action, object_class, object, kind, schema_name, object_name, "
    "relation) SELECT at, user_id, command, action, class::regclass, object, kind, schema_name, name, coalesce(owner, "
    "CASE WHEN class = 'pg_class'::regclass AND kind NOT IN ('i', 'I') THEN object END) "
    "FROM (SELECT v.place, v.at, v.user_id, v.command, v.action, v.class, v.object, coalesce(nullif(v.kind, ''), "
    "c.relkind::text) AS kind, coalesce(nullif(v.schema_name, ''), n.nspname) AS schema_name, "
    "coalesce(nullif(v.name, ''), c.relname, CASE WHEN v.action <> 'dropped' AND v.class <> 'pg_class'::regclass THEN "
    "left((pg_identify_object(v.class, v.object, 0)).identity, 63) END) AS name, coalesce(nullif(v.relation, 0), "
    "i.indrelid, t.tgrelid, nullif(k.conrelid, 0), p.polrelid, s.stxrelid) AS owner, k.conindid, k.contype "
    "FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) WITH ORDINALITY AS v (at, user_id, command, action, class, "
    "object, kind, schema_name, name, relation, place) "
    "LEFT JOIN pg_class c ON v.class = 'pg_class'::regclass AND c.oid = v.object "
    "LEFT JOIN pg_namespace n ON n.oid = c.relnamespace "
    "LEFT JOIN pg_index i ON i.indexrelid = c.oid "
    "LEFT JOIN pg_trigger t ON v.class = 'pg_trigger'::regclass AND t.oid = v.object "
    "LEFT JOIN pg_constraint k ON v.class = 'pg_constraint'::regclass AND k.oid = v.object "
    "LEFT JOIN pg_policy p ON v.class = 'pg_policy'::regclass AND p.oid = v.object "
    "LEFT JOIN pg_statistic_ext s ON v.class = 'pg_statistic_ext'::regclass AND s.oid = v.object) AS o "
    "WHERE (name IS NOT NULL OR (action = 'dropped' AND class <> 'pg_constraint'::regclass)) AND coalesce(kind, '') "
    "NOT IN ('S', 't', 'c') AND coalesce(conindid, 0) = 0 AND coalesce(contype, '') <> 'n' "
    "AND coalesce(schema_name, '') NOT IN ('citadel', 'pg_toast') AND coalesce(schema_name, '') NOT LIKE "
    "'pg\\_temp\\_%' ORDER BY place";

void insert(const std::vector<DdlNote>& committed) {
    ValueArray at(TIMESTAMPTZOID), user(OIDOID), object_class(OIDOID), object(OIDOID), relation(OIDOID);
    TextArray command, action, kind, schema_name, name;
    for (const DdlNote& note : committed) {
        at.add(TimestampTzGetDatum(note.at));
        user.add(ObjectIdGetDatum(note.user));
        command.add(note.tag == CMDTAG_UNKNOWN ? "" : GetCommandTagName(static_cast<CommandTag>(note.tag)));
        action.add(action_name(note.action));
        object_class.add(ObjectIdGetDatum(note.object_class));
        object.add(ObjectIdGetDatum(note.object));
        kind.add(note.kind == 0 ? std::string() : std::string(1, note.kind));
        schema_name.add(note.schema_name.data());
        name.add(note.name.data());
        relation.add(ObjectIdGetDatum(note.relation));
    }
    pg::Spi spi;
    spi.execute(insert_sql, {at.arg(), user.arg(), command.arg(), action.arg(), object_class.arg(), object.arg(),
                             kind.arg(), schema_name.arg(), name.arg(), relation.arg()});
    pg::fault_point("ddl.stored");
    spi.execute(std::string("DELETE FROM citadel.ddl_log WHERE id <= (SELECT max(id) FROM citadel.ddl_log) - ") +
                rows_kept);
}

} // namespace

void install_ddl_log(bool (*read_here)()) {
    somebody_reads_here = read_here;
    pg::register_shared_memory({memory_name, memory_size, attach, 0});
    previous_utility = ProcessUtility_hook;
    ProcessUtility_hook = process_utility;
    previous_access = object_access_hook;
    object_access_hook = object_access;
    pg::guard([] {
        RegisterXactCallback(transaction_ends, nullptr);
        RegisterSubXactCallback(subtransaction_ends, nullptr);
    });
}

void store_ddl() {
    if (restore_in_progress())
        return;
    Pending& held = pending();
    if (held.notes.size() < most_pending) // else they stay in shared memory, which has a bound of its own
        ring->drain(MyDatabaseId, [&held](const DdlNote& note) { held.notes.push_back(note); });
    if (held.notes.empty())
        return;
    std::sort(held.notes.begin(), held.notes.end(),
              [](const DdlNote& a, const DdlNote& b) { return a.number < b.number; });
    held.stored = record_source("ddl", pg::now(), [&held] { insert(held.notes); });
}

void ddl_ended(bool committed) noexcept {
    Pending& held = pending();
    if (committed && held.stored)
        held.notes.clear();
    held.stored = false;
}

std::uint64_t missed_ddl() {
    return ring == nullptr ? 0 : ring->missed();
}

} // namespace citadel::history

// citadel.ddl_notes_missed()
CITADEL_FUNCTION(citadel_ddl_notes_missed) {
    citadel::pg::require_preload("citadel.ddl_notes_missed()");
    PG_RETURN_INT64(static_cast<int64>(citadel::history::missed_ddl()));
}
