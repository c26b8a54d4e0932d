// New partitions, with the properties of their parent.
#pragma once

#include "lifecycle/model.hpp"
#include "pg/server.hpp"

#include <string>
#include <vector>

namespace citadel::lifecycle {

// A free name for a partition that begins at `lower`.
std::string partition_name(const Policy& policy, Place lower);

// Makes an empty table of the parent's shape in its schema, not attached, as its owner. The caller is superuser.
Oid make_table_like(const Policy& policy, const std::string& name);

// Statements that give `table` (quoted) the constraints of `parent` of these kinds (letters of pg_constraint.contype)
// and all its indexes, so that attaching it builds nothing. Run them as the owner.
std::vector<std::string> matching_statements(Oid parent, const std::string& table, const std::string& constraints);

// Attaches a table as a partition, as the owner. Takes SHARE UPDATE EXCLUSIVE on the parent.
void attach(const Policy& policy, Oid table, Place lower, Place upper);

// Makes the partition [lower, upper) in the current transaction, through pg_partman where it can; raises an error when
// it does not exist afterwards. Returns it.
Oid make_partition(const Policy& policy, Place lower, Place upper);
Oid make_default_partition(const Policy& policy);

// Its replica identity alone, for partitions that were just attached.
void give_replica_identity(Oid parent, const std::vector<Partition>& partitions);

// Owner, privileges, replica identity and (unless it has its own) storage options as the parent and its other
// partitions have them. Publications of the parent include every partition.
void give_parents_properties(Oid parent, Oid partition);

} // namespace citadel::lifecycle
