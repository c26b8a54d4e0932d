// What the statistics functions need from the server beyond SQL: sizes of relations without a lock.
#include "pg/server.hpp"

#include "pg/boundary.hpp"
#include "pg/guard.hpp"
#include "pg/text.hpp"

#include <cstdint>
#include <string>
#include <sys/stat.h>

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
