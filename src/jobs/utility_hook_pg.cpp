// DDL that concerns the workers: extensions that come and go, and databases that nobody may be connected to.
//
// Nothing here may fail or hold up a user's statement. Look-ups run in a subtransaction whose error is dropped (the
// statement itself will meet the same problem and say so); waiting for our workers to leave is interruptible and ends
// after a few seconds whatever they do. At the end of a transaction only locks are taken and latches set.
#include "pg/server.hpp"

#include "jobs/utility_hook.hpp"

#include "jobs/shared_state.hpp"
#include "pg/boundary.hpp"
#include "pg/compat.hpp"
#include "pg/subtransaction.hpp"

#include <csignal>
#include <cstring>

extern "C" {
#include "catalog/pg_database.h"
#include "catalog/pg_extension.h"
#include "commands/dbcommands.h"
#include "commands/defrem.h"
#include "commands/extension.h"
#include "nodes/parsenodes.h"
#include "storage/lwlock.h"
#include "tcop/utility.h"
#include "utils/acl.h"
#include "utils/lsyscache.h"
}

namespace citadel::jobs {

namespace {

constexpr const char* extension_name = "citadel_opt";
constexpr TimestampTz ask_ms = 1000;    // for the running task of a scheduler to end by itself
constexpr TimestampTz cancel_ms = 2000; // then it is cancelled, then ended
constexpr TimestampTz give_up_ms = 5000;

ProcessUtility_hook_type previous_hook = nullptr;

// What is to happen at the end of this backend's transaction.
struct Pending {
    bool paused;
    bool look_here;
    bool databases_changed;
    bool wake_scheduler;
};
Pending pending{};

// Keeps the workers out of a database until this transaction has ended, and waits until those inside have left.
void stand_aside(Oid database) {
    pending.paused = true;
    if (!shared::pause(database) || shared::inside(database) == 0)
        return;
    shared::signal_inside(database, SIGINT, true);
    const TimestampTz started = GetCurrentTimestamp();
    TimestampTz next_step_ms = ask_ms;
    while (shared::inside(database) > 0) {
        const TimestampTz waited_ms = (GetCurrentTimestamp() - started) / 1000;
        if (waited_ms >= give_up_ms)
            break;
        if (waited_ms >= next_step_ms) {
            shared::signal_inside(database, waited_ms >= cancel_ms ? SIGTERM : SIGINT, false);
            next_step_ms = waited_ms >= cancel_ms ? give_up_ms : cancel_ms;
        }
        shared::wait_for_change(100);
    }
    shared::cancel_wait();
}

// Whoever may not do it anyway shall not be able to disturb the workers with the attempt. (Anybody with CREATEDB may
// clone a template, but no worker of ours runs in templates.)
Oid own_database(const char* name) {
    if (name == nullptr)
        return InvalidOid;
    const Oid database = get_database_oid(name, true);
    if (database == InvalidOid || !pg::owns_object(DatabaseRelationId, database, GetUserId()))
        return InvalidOid;
    return database;
}

const char* string_option(List* options, const char* name) {
    for (int i = 0; i < list_length(options); ++i) {
        const auto* option = static_cast<DefElem*>(list_nth(options, i));
        if (std::strcmp(option->defname, name) == 0 && option->arg != nullptr)
            return defGetString(const_cast<DefElem*>(option));
    }
    return nullptr;
}

bool drops_us(const DropStmt& statement) {
    if (statement.behavior == DROP_CASCADE)
        return true; // one of the extensions that we require may take us with it
    for (int i = 0; i < list_length(statement.objects); ++i)
        if (std::strcmp(strVal(list_nth(statement.objects, i)), extension_name) == 0)
            return true;
    return false;
}

// This database when our extension is in it and the user may drop it.
Oid own_extension() {
    const Oid extension = get_extension_oid(extension_name, true);
    if (extension == InvalidOid || !pg::owns_object(ExtensionRelationId, extension, GetUserId()))
        return InvalidOid;
    return MyDatabaseId;
}

// The database that has to be free of our workers while the statement runs. Also notes what to do at commit.
Oid database_to_leave(Node* statement) {
    switch (nodeTag(statement)) {
    case T_CreateExtensionStmt: // any: ours may come along through CASCADE
        pending.look_here = true;
        return InvalidOid;
    case T_DropStmt: {
        const auto* drop = reinterpret_cast<DropStmt*>(statement);
        if (drop->removeType != OBJECT_EXTENSION)
            return InvalidOid;
        pending.look_here = true;
        return drops_us(*drop) ? own_extension() : InvalidOid;
    }
    case T_AlterExtensionStmt:
        if (std::strcmp(reinterpret_cast<AlterExtensionStmt*>(statement)->extname, extension_name) != 0)
            return InvalidOid;
        pending.look_here = true;
        return own_extension();
    case T_DropdbStmt:
        pending.databases_changed = true;
        return own_database(reinterpret_cast<DropdbStmt*>(statement)->dbname);
    case T_CreatedbStmt:
        pending.databases_changed = true;
        return own_database(string_option(reinterpret_cast<CreatedbStmt*>(statement)->options, "template"));
    case T_AlterDatabaseStmt: {
        const auto* alter = reinterpret_cast<AlterDatabaseStmt*>(statement);
        pending.databases_changed = true;
        return string_option(alter->options, "tablespace") != nullptr ? own_database(alter->dbname) : InvalidOid;
    }
    case T_RenameStmt: {
        const auto* rename = reinterpret_cast<RenameStmt*>(statement);
        if (rename->renameType != OBJECT_DATABASE)
            return InvalidOid;
        pending.databases_changed = true;
        return own_database(rename->subname);
    }
    case T_TransactionStmt:
        if (reinterpret_cast<TransactionStmt*>(statement)->kind == TRANS_STMT_COMMIT_PREPARED)
            pending.look_here = true;
        return InvalidOid;
    default:
        return InvalidOid;
    }
}

bool concerns_us(const Node* statement) {
    switch (nodeTag(statement)) {
    case T_CreateExtensionStmt:
    case T_AlterExtensionStmt:
    case T_DropdbStmt:
    case T_CreatedbStmt:
    case T_AlterDatabaseStmt:
        return true;
    case T_DropStmt:
        return reinterpret_cast<const DropStmt*>(statement)->removeType == OBJECT_EXTENSION;
    case T_RenameStmt:
        return reinterpret_cast<const RenameStmt*>(statement)->renameType == OBJECT_DATABASE;
    case T_TransactionStmt:
        return reinterpret_cast<const TransactionStmt*>(statement)->kind == TRANS_STMT_COMMIT_PREPARED;
    default:
        return false;
    }
}

void before_statement(Node* statement) {
    Oid database = InvalidOid;
    const auto error = pg::try_subtransaction(
        [statement, &database] { pg::guard([statement, &database] { database = database_to_leave(statement); }); });
    pg::rethrow_cancel(error);
    if (!error && database != InvalidOid)
        stand_aside(database);
}

void process_utility(PlannedStmt* statement, const char* source, bool read_only_tree, ProcessUtilityContext context,
                     ParamListInfo parameters, QueryEnvironment* environment, DestReceiver* destination,
                     QueryCompletion* completion) {
    // A worker of ours must not ask itself to leave.
    if (concerns_us(statement->utilityStmt) && shared::available() && shared::own() == nullptr && IsTransactionState())
        pg::boundary([statement] { before_statement(statement->utilityStmt); });
    if (previous_hook != nullptr)
        previous_hook(statement, source, read_only_tree, context, parameters, environment, destination, completion);
    else
        standard_ProcessUtility(statement, source, read_only_tree, context, parameters, environment, destination,
                                completion);
}

void at_transaction_end(XactEvent event, void*) {
    if (event != XACT_EVENT_COMMIT && event != XACT_EVENT_ABORT && event != XACT_EVENT_PREPARE)
        return;
    if (!pending.paused && !pending.look_here && !pending.databases_changed && !pending.wake_scheduler)
        return;
    const Pending now = pending;
    pending = {};
    if (now.paused)
        shared::resume_own();
    if (event == XACT_EVENT_ABORT) {
        if (now.paused)
            shared::wake_launcher();
        return;
    }
    if (now.look_here)
        shared::request_look(MyDatabaseId);
    if (now.databases_changed || now.paused)
        shared::wake_launcher(); // it reads the list of databases each time
    if (now.wake_scheduler)
        shared::wake_scheduler(MyDatabaseId, true);
}

} // namespace

void install_utility_hook() {
    previous_hook = ProcessUtility_hook;
    ProcessUtility_hook = process_utility;
    pg::guard([] { RegisterXactCallback(at_transaction_end, nullptr); });
}

void wake_scheduler_at_commit() {
    pending.wake_scheduler = true;
}

} // namespace citadel::jobs
