// What the statistics functions need from the server beyond SQL: sizes and definitions without waiting for a lock.
#include "pg/server.hpp"

#include "pg/boundary.hpp"
#include "pg/guard.hpp"
#include "pg/text.hpp"

#include <cstdint>
#include <string>
#include <sys/stat.h>

extern "C" {
#include "catalog/index.h"
#include "catalog/pg_index.h"
#include "storage/lmgr.h"
#include "utils/syscache.h"
}

namespace {

// Bytes of one fork: its segment files, of which all but the last are full. What is not there, or goes away while we
// look, has no bytes; a report may not fail over a table that is just being dropped.
std::int64_t fork_bytes(const std::string& path) {
    constexpr std::int64_t full_segment = static_cast<std::int64_t>(RELSEG_SIZE) * BLCKSZ;
    std::int64_t bytes = 0;
    std::string segment = path;
    for (int number = 1;; ++number) {
        struct stat status {};
        if (stat(segment.c_str(), &status) != 0)
            return bytes;
        bytes += status.st_size;
        if (status.st_size < full_segment)
            return bytes;
        segment = path + "." + std::to_string(number);
    }
}

} // namespace

// citadel.relation_bytes(relation oid, main_fork_only boolean): size on disk. The server's pg_relation_size() opens the
// relation, which waits behind ACCESS EXCLUSIVE locks and leaves a relation cache entry of some kilobytes behind for
// every table and index of the database; this looks at the files alone. NULL: no such relation, or one without storage.
CITADEL_FUNCTION(citadel_relation_bytes) {
    const Oid relation = PG_GETARG_OID(0);
    const bool main_fork_only = PG_GETARG_BOOL(1);
    // Called through the function manager, because it reports a missing file by returning SQL NULL.
    const text* path = citadel::pg::guard([relation]() -> text* {
        LOCAL_FCINFO(call, 1);
        InitFunctionCallInfoData(*call, nullptr, 1, InvalidOid, nullptr, nullptr);
        call->args[0].value = ObjectIdGetDatum(relation);
        call->args[0].isnull = false;
        const Datum result = pg_relation_filepath(call);
        return call->isnull ? nullptr : DatumGetTextPP(result);
    });
    if (path == nullptr)
        PG_RETURN_NULL();
    const std::string main_path = citadel::pg::to_string(path);
    std::int64_t bytes = fork_bytes(main_path);
    if (!main_fork_only && bytes > 0)
        bytes += fork_bytes(main_path + "_fsm") + fork_bytes(main_path + "_vm");
    PG_RETURN_INT64(bytes);
}

namespace {

// For guards: owns nothing. Nullptr for SQL NULL.
text* call_for_text(PGFunction function, Datum first, Datum second, int arguments) {
    LOCAL_FCINFO(call, 3);
    InitFunctionCallInfoData(*call, nullptr, static_cast<short>(arguments), InvalidOid, nullptr, nullptr);
    call->args[0] = {first, false};
    call->args[1] = {second, false};
    call->args[2] = {BoolGetDatum(false), false}; // pretty
    const Datum result = function(call);
    return call->isnull ? nullptr : DatumGetTextPP(result);
}

// Both relations are locked, so nothing that the server's functions look up can go away under them.
text* definition_of_locked(Oid index, Oid table, int part) {
    if (!SearchSysCacheExists1(RELOID, ObjectIdGetDatum(table)) ||
        !SearchSysCacheExists1(RELOID, ObjectIdGetDatum(index)))
        return nullptr;
    if (part >= 0)
        return call_for_text(pg_get_indexdef_ext, ObjectIdGetDatum(index), Int32GetDatum(part), 3);
    HeapTuple tuple = SearchSysCache1(INDEXRELID, ObjectIdGetDatum(index));
    if (!HeapTupleIsValid(tuple))
        return nullptr;
    bool is_null = false;
    const Datum predicate = SysCacheGetAttr(INDEXRELID, tuple, Anum_pg_index_indpred, &is_null);
    text* result = is_null ? nullptr : call_for_text(pg_get_expr, predicate, ObjectIdGetDatum(table), 2);
    ReleaseSysCache(tuple);
    return result;
}

} // namespace

// citadel.index_definition(index oid, part integer). The server's functions open the table: they wait for its lock, and
// raise an error when it has been dropped meanwhile. This gives NULL in both cases.
CITADEL_FUNCTION(citadel_index_definition) {
    const Oid index = PG_GETARG_OID(0);
    const int part = PG_GETARG_INT32(1);
    const text* definition = citadel::pg::guard([index, part]() -> text* {
        const Oid table = IndexGetRelation(index, true);
        if (!OidIsValid(table) || !ConditionalLockRelationOid(table, AccessShareLock))
            return nullptr;
        text* result = nullptr;
        if (ConditionalLockRelationOid(index, AccessShareLock)) {
            result = definition_of_locked(index, table, part);
            UnlockRelationOid(index, AccessShareLock);
        }
        UnlockRelationOid(table, AccessShareLock);
        return result;
    });
    if (definition == nullptr)
        PG_RETURN_NULL();
    PG_RETURN_TEXT_P(const_cast<text*>(definition));
}
