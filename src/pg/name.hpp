// Names made from other names.
#pragma once

#include <string>

namespace citadel::pg {

// `name` + `ending`, the name cut at a whole character so that both fit into an identifier. The server would cut the
// ending off, and every name made so would be the same.
std::string fitting_name(const std::string& name, const std::string& ending);

// Whether the schema has a relation of that name, or a type: each table brings a type of its name.
bool name_is_taken(const std::string& schema, const std::string& name);

} // namespace citadel::pg
