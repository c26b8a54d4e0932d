#include "pg/relation.hpp"

#include "pg/guard.hpp"
#include "pg/text.hpp"

extern "C" {
#include "access/htup_details.h"
#include "catalog/pg_class.h"
#include "miscadmin.h"
#include "utils/syscache.h"
}

namespace citadel::pg {

Oid owner_of(Oid relation) {
    return guard([relation] {
        HeapTuple row = SearchSysCache1(RELOID, ObjectIdGetDatum(relation));
        if (!HeapTupleIsValid(row))
            ereport(ERROR, (errcode(ERRCODE_UNDEFINED_TABLE), errmsg("relation with OID %u does not exist", relation)));
        const Oid owner = reinterpret_cast<Form_pg_class>(GETSTRUCT(row))->relowner;
        ReleaseSysCache(row);
        return owner;
    });
}

std::string role_name(Oid role) {
    const char* name = guard([role] { return GetUserNameFromId(role, false); });
    return quote_identifier(name);
}

} // namespace citadel::pg
