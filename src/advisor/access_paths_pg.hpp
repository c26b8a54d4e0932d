// What each index on offer would cost at each place where a plan reads a table, from the planner call that made the
// plan: the idea of INUM (Papadomanolakis, Dash and Ailamaki, VLDB 2007) with what the planner computed anyway, as
// PINUM (Maier et al., EDBT 2010) takes it.
#pragma once

#include "pg/server.hpp"

#include <vector>

extern "C" {
#include "nodes/pathnodes.h"
#include "nodes/plannodes.h"
}

namespace citadel::advisor {

// What the total cost changes by when a place is served in another way.
struct OtherAccess {
    Oid index = InvalidOid; // InvalidOid: the table is read through
    double change = 0.0;
};

// All places of a statement's plans that use one index.
struct Place {
    Oid index = InvalidOid;
    std::vector<OtherAccess>
        others; // for all of them: same rows, same outer relations, the same order where it matters
};

// While alive, planner calls of ours note the cost of every way to read a table. Nests: an inner one replaces the
// outer.
class AccessPaths {
  public:
    AccessPaths();
    AccessPaths(const AccessPaths&) = delete;
    AccessPaths& operator=(const AccessPaths&) = delete;
    ~AccessPaths();

    // In the memory that the statement was planned in, before anything else is planned. The joins stay as they are, so
    // a plan with such changes is one that exists, at about that cost: the planner may know a cheaper one. Places that
    // do not run a known number of times (correlated subplans), partitions, and combined bitmaps stay as they are.
    std::vector<Place> places(const std::vector<PlannedStmt*>& plans) const;

    // To be called with the indexes of a table complete, as the planner is to see them.
    static void watch(RelOptInfo* relation);

    struct State;

  private:
    State* state_;
    State* outer_;
};

// Installs the planner hook that sees the paths.
void install_access_paths();

} // namespace citadel::advisor
