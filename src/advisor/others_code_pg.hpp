// Code that a superuser's statement should not run again without him.
#pragma once

#include "pg/server.hpp"

#include <map>

namespace citadel::advisor {

// Functions that somebody who is no superuser may change, or whose body may call such a one; and the relations that
// planning runs them for although no statement names them: in indexes, constraints, statistics, partition keys, and in
// the types of columns.
struct OthersCode {
    // The role that may change it; InvalidOid: a body in SQL or another language, owned by a superuser and not part of
    // an extension, in a database in which others own functions or tables that it may call or read.
    std::map<Oid, Oid> functions;
    std::map<Oid, Oid> relations; // likewise

    static OthersCode read();
};

} // namespace citadel::advisor
