// The indexes that a table has, as the algorithms see them.
#pragma once

#include "advisor/expressions_pg.hpp"
#include "advisor/model.hpp"

#include "pg/server.hpp"

#include <vector>

namespace citadel::advisor {

// Every index of the table, of any access method (for a partitioned table: those of the parent, with the bytes of their
// partitions). Takes AccessShareLock on the table and its indexes and keeps the one on the table.
std::vector<ExistingIndex> existing_indexes(Oid relation, Expressions& expressions);

// The access method's OID.
Oid access_method_oid(AccessMethod method);

} // namespace citadel::advisor
