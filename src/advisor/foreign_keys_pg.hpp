// What deletions, and updates of referenced columns, cost elsewhere: for each row the server asks every table that
// references it.
#pragma once

#include "pg/server.hpp"

#include <string>
#include <vector>

extern "C" {
#include "nodes/plannodes.h"
}

namespace citadel::advisor {

// Rows that a plan deletes from a table or whose columns it sets, as the planner estimates them.
struct ReferencedChange {
    Oid relation = InvalidOid;
    double rows = 0.0;
    std::vector<AttrNumber> columns; // that an update sets; empty: deletion
};
std::vector<ReferencedChange> referenced_changes(const std::vector<PlannedStmt*>& plans);

// The look-ups that the server's triggers make for one row, as statements whose parameters are the referenced columns:
// one for each foreign key to this table that the change concerns, 50 at most. They select `ctid`, because the real
// ones lock the rows they find and cannot do with an index alone.
std::vector<std::string> reference_checks(const ReferencedChange& change);

} // namespace citadel::advisor
