// Why an index is recommended, in a sentence.
#pragma once

#include "advisor/expressions_pg.hpp"
#include "advisor/model.hpp"

#include <string>
#include <vector>

namespace citadel::advisor {

// schema.table (key), as it is called in sentences about it.
std::string key_text(const Candidate& index, const Expressions& expressions);

// What the columns of the index are for in these statements: "equality on a and b, range on c".
std::string purpose(const Candidate& index, const std::vector<const StatementUse*>& uses,
                    const Expressions& expressions);

} // namespace citadel::advisor
