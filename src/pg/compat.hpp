// Version differences of the server. PG_VERSION_NUM appears in src/pg/ alone; wrappers carry the newest signature.
#pragma once

#include "pg/server.hpp"

extern "C" {
#include "access/amapi.h"
#include "access/attmap.h"
#include "catalog/pg_class_d.h"
#include "catalog/pg_database_d.h"
#include "catalog/pg_extension_d.h"
#include "catalog/pg_foreign_server_d.h"
#include "catalog/pg_namespace_d.h"
#include "catalog/pg_tablespace_d.h"
#include "commands/vacuum.h"
#include "commands/explain.h"
#if PG_VERSION_NUM >= 180000
#include "commands/explain_format.h"
#include "commands/explain_state.h"
#endif
#include "executor/instrument.h"
#include "executor/executor.h"
#include "nodes/parsenodes.h"
#include "nodes/pathnodes.h"
#include "nodes/plannodes.h"
#include "parser/analyze.h"
#include "parser/parse_type.h"
#include "rewrite/rewriteHandler.h"
#include "storage/proc.h"
#include "tcop/pquery.h"
#include "tcop/tcopprot.h"
#include "utils/acl.h"
#include "utils/lsyscache.h"
#include "utils/wait_event.h"
#if PG_VERSION_NUM >= 160000
#include "nodes/queryjumble.h"
#include "varatt.h"
#else
#include "utils/queryjumble.h"
#endif
}

#if PG_VERSION_NUM < 150000
#error "citadel_opt supports PostgreSQL 15 and later"
#elif PG_VERSION_NUM >= 190000
#error "citadel_opt has not been adapted to this version of PostgreSQL yet (supported: 15 to 18)"
#endif

#ifndef PG_WAIT_BUFFERPIN // its name until 16
#define PG_WAIT_BUFFERPIN PG_WAIT_BUFFER_PIN
#endif

namespace citadel::pg {

// May an update of a column stay HOT although a BRIN index holds it?
#if PG_VERSION_NUM >= 160000
constexpr bool brin_keeps_hot = true;
#else
constexpr bool brin_keeps_hot = false;
#endif

// Parse analysis and rewriting of one raw statement whose parameter types are partly unknown; types and count are
// updated in place (pg_analyze_and_rewrite_varparams has had this name since 15).
inline List* analyze_and_rewrite_varparams(RawStmt* statement, const char* source, Oid** types, int* count) {
    return pg_analyze_and_rewrite_varparams(statement, source, types, count, nullptr);
}

// Checks that the current user may read what a plan reads; raises 42501 otherwise, naming the relation.
inline void check_plan_permissions(PlannedStmt* plan) {
#if PG_VERSION_NUM >= 160000
    ExecCheckPermissions(plan->rtable, plan->permInfos, true);
#else
    ExecCheckRTPerms(plan->rtable, true);
#endif
}

// Whether a role owns an object of this catalogue (a relation, a database, an extension), or is a member of the role
// that does; superusers own all. The object must exist.
inline bool owns_object(Oid catalogue, Oid object, Oid role) {
#if PG_VERSION_NUM >= 160000
    return object_ownercheck(catalogue, object, role);
#else
    if (catalogue == RelationRelationId)
        return pg_class_ownercheck(object, role);
    if (catalogue == DatabaseRelationId)
        return pg_database_ownercheck(object, role);
    return catalogue == ExtensionRelationId && pg_extension_ownercheck(object, role);
#endif
}
inline bool owns_relation(Oid relation, Oid role) {
    return owns_object(RelationRelationId, relation, role);
}

// Whether a role may create objects in a schema, a tablespace; use a foreign server.
inline bool may_create_in_schema(Oid schema, Oid role) {
#if PG_VERSION_NUM >= 160000
    return object_aclcheck(NamespaceRelationId, schema, role, ACL_CREATE) == ACLCHECK_OK;
#else
    return pg_namespace_aclcheck(schema, role, ACL_CREATE) == ACLCHECK_OK;
#endif
}
inline bool may_create_in_tablespace(Oid tablespace, Oid role) {
#if PG_VERSION_NUM >= 160000
    return object_aclcheck(TableSpaceRelationId, tablespace, role, ACL_CREATE) == ACLCHECK_OK;
#else
    return pg_tablespace_aclcheck(tablespace, role, ACL_CREATE) == ACLCHECK_OK;
#endif
}
inline bool may_use_server(Oid server, Oid role) {
#if PG_VERSION_NUM >= 160000
    return object_aclcheck(ForeignServerRelationId, server, role, ACL_USAGE) == ACLCHECK_OK;
#else
    return pg_foreign_server_aclcheck(server, role, ACL_USAGE) == ACLCHECK_OK;
#endif
}

// A type's name with modifiers, and nothing else; raises an error when it is none.
inline void parse_type(const char* text, Oid* type, int32* modifier) {
#if PG_VERSION_NUM >= 160000
    (void)parseTypeString(text, type, modifier, nullptr);
#else
    parseTypeString(text, type, modifier, false);
#endif
}

// Number of this backend in the array of all server processes.
inline int my_proc_number() {
#if PG_VERSION_NUM >= 170000
    return MyProcNumber;
#else
    return MyProc == nullptr ? -1 : MyProc->pgprocno;
#endif
}

inline void standard_or_previous_executor_run(ExecutorRun_hook_type previous, QueryDesc* query, ScanDirection direction,
                                              uint64 count, bool execute_once) {
#if PG_VERSION_NUM >= 180000
    (void)execute_once;
    if (previous != nullptr)
        previous(query, direction, count);
    else
        standard_ExecutorRun(query, direction, count);
#else
    if (previous != nullptr)
        previous(query, direction, count, execute_once);
    else
        standard_ExecutorRun(query, direction, count, execute_once);
#endif
}

// Runs a portal to its end as a top-level statement.
inline void portal_run_all(Portal portal, DestReceiver* receiver, QueryCompletion* completion) {
#if PG_VERSION_NUM >= 180000
    (void)PortalRun(portal, FETCH_ALL, true, receiver, receiver, completion);
#else
    (void)PortalRun(portal, FETCH_ALL, true, true, receiver, receiver, completion);
#endif
}

// The ExecutorRun hook with the same parameters in all versions: execute_once went away in 18.
using ExecutorRunFunction = void (*)(QueryDesc*, ScanDirection, uint64, bool);
#if PG_VERSION_NUM >= 180000
template <ExecutorRunFunction Run>
void executor_run_hook(QueryDesc* query, ScanDirection direction, uint64 count) {
    Run(query, direction, count, false);
}
#else
template <ExecutorRunFunction Run>
void executor_run_hook(QueryDesc* query, ScanDirection direction, uint64 count, bool execute_once) {
    Run(query, direction, count, execute_once);
}
#endif

// The server's monotonic clock, in nanoseconds.
inline int64 monotonic_ns() {
    instr_time now;
    INSTR_TIME_SET_CURRENT(now);
#if PG_VERSION_NUM >= 160000
    return INSTR_TIME_GET_NANOSEC(now);
#else
    return static_cast<int64>(now.tv_sec) * 1'000'000'000 + now.tv_nsec;
#endif
}

// Time spent in reads and writes of blocks, with track_io_timing.
inline double io_milliseconds(const BufferUsage& usage) {
    instr_time sum;
    INSTR_TIME_SET_ZERO(sum);
#if PG_VERSION_NUM >= 170000
    INSTR_TIME_ADD(sum, usage.shared_blk_read_time);
    INSTR_TIME_ADD(sum, usage.shared_blk_write_time);
    INSTR_TIME_ADD(sum, usage.local_blk_read_time);
    INSTR_TIME_ADD(sum, usage.local_blk_write_time);
#else
    INSTR_TIME_ADD(sum, usage.blk_read_time);
    INSTR_TIME_ADD(sum, usage.blk_write_time);
#endif
    INSTR_TIME_ADD(sum, usage.temp_blk_read_time);
    INSTR_TIME_ADD(sum, usage.temp_blk_write_time);
    return INSTR_TIME_GET_MILLISEC(sum);
}

// What the planner wants to know of an index's access method, as get_relation_info() copies it.
inline void copy_access_method(IndexOptInfo* index, const IndexAmRoutine* method) {
    index->amcanorderbyop = method->amcanorderbyop;
    index->amoptionalkey = method->amoptionalkey;
    index->amsearcharray = method->amsearcharray;
    index->amsearchnulls = method->amsearchnulls;
    index->amcanparallel = method->amcanparallel;
    index->amhasgettuple = method->amgettuple != nullptr;
    index->amhasgetbitmap = method->amgetbitmap != nullptr;
    index->amcanmarkpos = method->ammarkpos != nullptr && method->amrestrpos != nullptr;
    // 15 declares the member without its parameters.
    index->amcostestimate = reinterpret_cast<decltype(index->amcostestimate)>(method->amcostestimate);
}

// Makes a Var of a query what the catalogues store for a column: number 1, no trace of the query it came from.
inline void make_catalogue_var(Var* var) {
    var->varno = 1;
    var->varnosyn = 1;
    var->varattnosyn = var->varattno;
#if PG_VERSION_NUM >= 160000
    var->varnullingrels = nullptr;
#endif
#if PG_VERSION_NUM >= 180000
    var->varreturningtype = VAR_RETURNING_DEFAULT;
#endif
    var->location = -1;
}

// Which column of `inner` stands for each column of `outer`, matched by name; raises when one is missing.
inline AttrMap* attribute_map(TupleDesc inner, TupleDesc outer) {
#if PG_VERSION_NUM >= 160000
    return build_attrmap_by_name(inner, outer, false);
#else
    return build_attrmap_by_name(inner, outer);
#endif
}

// Statistics as detailed as default_statistics_target says, for values that are no column.
inline void use_default_statistics_target(VacAttrStats* statistics) {
#if PG_VERSION_NUM >= 170000
    statistics->attstattarget = -1;
#else
    statistics->attr = static_cast<Form_pg_attribute>(palloc0(ATTRIBUTE_FIXED_PART_SIZE));
    statistics->attr->attstattarget = -1;
#endif
}

// One of the calls of an aggregate function that are the same.
inline const Aggref* one_of(const AggInfo* aggregate) {
#if PG_VERSION_NUM >= 160000
    return linitial_node(Aggref, aggregate->aggrefs);
#else
    return aggregate->representative_aggref;
#endif
}

// The family that orders by the operator, and which way; InvalidOid: none does.
inline Oid ordering_family(Oid operator_id, bool* descending) {
    Oid family = InvalidOid;
    Oid type = InvalidOid;
#if PG_VERSION_NUM >= 180000
    CompareType direction = COMPARE_INVALID;
    const bool found = get_ordering_op_properties(operator_id, &family, &type, &direction);
    *descending = direction == COMPARE_GT;
#else
    int16 direction = 0;
    const bool found = get_ordering_op_properties(operator_id, &family, &type, &direction);
    *descending = direction == BTGreaterStrategyNumber;
#endif
    return found ? family : InvalidOid;
}

// Direction of a wanted order.
inline bool pathkey_is_descending(const PathKey* key) {
#if PG_VERSION_NUM >= 180000
    return key->pk_cmptype == COMPARE_GT;
#else
    return key->pk_strategy == BTGreaterStrategyNumber;
#endif
}

} // namespace citadel::pg
