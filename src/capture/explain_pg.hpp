// The text of a plan, and the values a statement was given: what needs the catalogue, and so a subtransaction.
#pragma once

#include "pg/server.hpp"

#include "capture/parameters.hpp"

extern "C" {
#include "executor/execdesc.h"
}

#include <cstddef>

namespace citadel::capture {

// Whether the catalogue may be read here, under an internal subtransaction that swallows what goes wrong.
bool catalogue_usable();

// EXPLAIN (FORMAT JSON) of a started query, without constants, into `out`. With row counts when its nodes were
// instrumented and `with_rows`. Returns the bytes, 0 when it failed or did not fit. Never raises.
std::size_t explain_into(QueryDesc* query, bool with_rows, char* out, std::size_t out_size);

// Appends the bind values in text form. False when one of them cannot be had: of a type whose output function is not
// the server's own, too long, or out of line. Never raises.
bool append_binds(ParamListInfo binds, ParameterWriter& writer);

} // namespace citadel::capture
