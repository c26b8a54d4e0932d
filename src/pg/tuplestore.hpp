// Set-returning functions in materialise mode.
#pragma once

#include "pg/text.hpp"

#include <vector>

namespace citadel::pg {

// Collects the rows of a set-returning function. Construct it first, add rows, then return (Datum)0. The columns must
// match the function's declared row type; values are converted by the column's own input function where needed.
class ResultSet {
  public:
    explicit ResultSet(FunctionCallInfo call);
    void row(const std::vector<Arg>& columns);

  private:
    ReturnSetInfo* info_;
};

// A composite value of the function's declared row type, for functions that return one row.
Datum composite(FunctionCallInfo call, const std::vector<Arg>& columns);

} // namespace citadel::pg
