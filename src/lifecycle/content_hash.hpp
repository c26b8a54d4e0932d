// A hash of a table's content that does not depend on the order of its rows, so that two copies can be compared.
//
// A row's hash is taken over the row as COPY ... (FORMAT binary) would write it: the number of columns, then each
// column as its length and the bytes of its type's send function, -1 for NULL. So json and point have one, and 1.0 is
// not 1.00. The rows' hashes are added up modulo 2^128. It finds accidents; against somebody who makes up rows so that
// the sum comes out right there is the SHA-256 of an archive's files.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace citadel::lifecycle {

struct ContentHash {
    std::int64_t rows = 0;
    std::uint64_t low = 0; // of the 128-bit sum
    std::uint64_t high = 0;

    bool operator==(const ContentHash&) const = default;
    // The content of two disjoint sets of rows together.
    ContentHash& operator+=(const ContentHash& other);
    ContentHash& operator-=(const ContentHash& other);
    // Adds one row.
    void add(const void* row, std::size_t bytes);

    // The sum as 32 hexadecimal digits, the high ones first.
    std::string hex() const;
    static std::optional<ContentHash> from_hex(std::int64_t rows, std::string_view digits);
};

// 128-bit hash of a byte string.
std::array<std::uint64_t, 2> hash_bytes_128(const void* data, std::size_t bytes);

} // namespace citadel::lifecycle
