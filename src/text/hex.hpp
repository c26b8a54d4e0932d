// Bytes as digits.
#pragma once

#include <cstddef>
#include <string>

namespace citadel {

// Lower-case hexadecimal.
std::string hexadecimal(const unsigned char* bytes, std::size_t count);

} // namespace citadel
