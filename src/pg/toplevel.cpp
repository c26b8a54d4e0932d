#include "pg/toplevel.hpp"

#include "pg/compat.hpp"
#include "pg/guard.hpp"

extern "C" {
#include "pgstat.h"
#include "parser/analyze.h"
#include "tcop/dest.h"
#include "tcop/pquery.h"
#include "tcop/tcopprot.h"
#include "tcop/utility.h"
#include "utils/backend_status.h"
#include "utils/portal.h"
#include "utils/snapmgr.h"
}

namespace citadel::pg {

namespace {

// Whom to be again before the transaction commits: the server wants no security context between transactions.
struct Caller {
    bool away = false;
    Oid user = InvalidOid;
    int context = 0;
};
Caller caller;

void come_back(XactEvent event, void*) {
    if (event == XACT_EVENT_PRE_COMMIT && caller.away)
        SetUserIdAndSecContext(caller.user, caller.context);
    // An abort restores by itself.
    if (event == XACT_EVENT_PRE_COMMIT || event == XACT_EVENT_ABORT)
        caller.away = false;
}

void act_as(Oid user) {
    static bool registered = false;
    if (!registered)
        RegisterXactCallback(come_back, nullptr);
    registered = true;
    GetUserIdAndSecContext(&caller.user, &caller.context);
    caller.away = true;
    SetUserIdAndSecContext(user, caller.context | SECURITY_LOCAL_USERID_CHANGE | SECURITY_RESTRICTED_OPERATION);
}

void run_statement(const char* sql, Oid user) {
    SetCurrentStatementStartTimestamp();
    StartTransactionCommand();
    if (user != InvalidOid)
        act_as(user);
    const MemoryContext memory =
        AllocSetContextCreate(TopMemoryContext, "citadel_opt top-level statement", ALLOCSET_DEFAULT_SIZES);
    MemoryContextSwitchTo(memory);
    List* parsed = pg_parse_query(sql);
    if (list_length(parsed) != 1)
        ereport(ERROR, (errcode(ERRCODE_SYNTAX_ERROR),
                        errmsg("exactly one statement is needed, not %d", list_length(parsed))));
    RawStmt* statement = linitial_node(RawStmt, parsed);
    const CommandTag tag = CreateCommandTag(statement->stmt);
    pgstat_report_activity(STATE_RUNNING, sql);

    const bool needs_snapshot = analyze_requires_snapshot(statement);
    if (needs_snapshot)
        PushActiveSnapshot(GetTransactionSnapshot());
    List* queries = pg_analyze_and_rewrite_fixedparams(statement, sql, nullptr, 0, nullptr);
    List* plans = pg_plan_queries(queries, sql, CURSOR_OPT_PARALLEL_OK, nullptr);
    if (needs_snapshot)
        PopActiveSnapshot();

    Portal portal = CreatePortal("", true, true);
    portal->visible = false;
    PortalDefineQuery(portal, nullptr, sql, tag, plans, nullptr);
    PortalStart(portal, nullptr, 0, InvalidSnapshot);
    DestReceiver* receiver = CreateDestReceiver(DestNone);
    QueryCompletion completion;
    portal_run_all(portal, receiver, &completion);
    receiver->rDestroy(receiver);
    PortalDrop(portal, false);
    CommitTransactionCommand();
    MemoryContextSwitchTo(TopMemoryContext);
    MemoryContextDelete(memory);
    pgstat_report_stat(true);
    pgstat_report_activity(STATE_IDLE, nullptr);
}

} // namespace

void run_top_level(const std::string& sql, Oid user) {
    const char* text = sql.c_str();
    const MemoryContext before = CurrentMemoryContext;
    try {
        guard([text, user] { run_statement(text, user); });
    } catch (...) {
        AbortCurrentTransaction();
        MemoryContextSwitchTo(before);
        throw;
    }
    MemoryContextSwitchTo(before);
}

} // namespace citadel::pg
