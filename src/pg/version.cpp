#include "pg/server.hpp"

#include "pg/version.hpp"

#include "pg/error.hpp"
#include "pg/guard.hpp"
#include "text/version.hpp"

extern "C" {
#include "access/genam.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/indexing.h"
#include "catalog/pg_extension.h"
#include "commands/extension.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/rel.h"
}

namespace citadel::pg {

namespace {

constexpr int longest_version = 64; // what is longer is cut, and is another version all the same

// Into `version`; empty where the extension is not installed.
void read_installed_version(char* version) {
    Relation extensions = table_open(ExtensionRelationId, AccessShareLock);
    ScanKeyData key;
    ScanKeyInit(&key, Anum_pg_extension_extname, BTEqualStrategyNumber, F_NAMEEQ, CStringGetDatum("citadel_opt"));
    SysScanDesc scan = systable_beginscan(extensions, ExtensionNameIndexId, true, nullptr, 1, &key);
    const HeapTuple tuple = systable_getnext(scan);
    if (HeapTupleIsValid(tuple)) {
        bool is_null = true;
        const Datum value = heap_getattr(tuple, Anum_pg_extension_extversion, RelationGetDescr(extensions), &is_null);
        if (!is_null)
            strlcpy(version, TextDatumGetCString(value), longest_version);
    }
    systable_endscan(scan);
    table_close(extensions, AccessShareLock);
}

} // namespace

std::optional<VersionProblem> version_problem() {
    char installed[longest_version] = "";
    guard([&installed] { read_installed_version(installed); });
    if (*installed == '\0')
        return std::nullopt;
    const int order = compare_versions(installed, library_version);
    if (order == 0)
        return std::nullopt;
    const std::string message = std::string("the library of citadel_opt is version ") + library_version +
                                ", the extension in this database is version " + installed;
    if (order < 0)
        return VersionProblem{message, "Run ALTER EXTENSION citadel_opt UPDATE in this database."};
    return VersionProblem{message, std::string("Install version ") + installed +
                                       " of the package if it is not there, and restart the server."};
}

void require_same_version() {
    static TimestampTz found_same = 0;
    if (creating_extension || found_same == GetCurrentTransactionStartTimestamp())
        return;
    if (const auto problem = version_problem())
        raise(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, problem->message, {}, problem->hint);
    found_same = GetCurrentTransactionStartTimestamp();
}

} // namespace citadel::pg
