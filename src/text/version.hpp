// Versions of the extension: numbers with dots between.
#pragma once

#include <string_view>

namespace citadel {

// Less than 0, 0 or more than 0, as `one` is older than `other`, the same or newer. Parts are compared as numbers while
// both are numbers (0.9 is older than 0.10), otherwise as text; what has more parts is newer.
int compare_versions(std::string_view one, std::string_view other);

} // namespace citadel
