// Takes the constants out of the text of EXPLAIN (FORMAT JSON).
//
// Only the names the plan speaks in (node types, relations, indexes, strategies) are trusted to hold no value; every
// other string, whatever its key (Filter, Index Cond, Remote SQL, a key of a later version), goes through the lexer.
// Numbers outside of strings are the plan's own figures. "Output" lists are left out: nothing reads them and they are
// often the longest part.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace citadel::capture {

// Returns the bytes written, or 0 when the result does not fit or the text is not JSON.
std::size_t redact_plan_into(std::string_view json, char* out, std::size_t out_size);

std::string redact_plan(std::string_view json);

} // namespace citadel::capture
