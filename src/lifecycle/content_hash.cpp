#include "lifecycle/content_hash.hpp"

#include <cstring>

namespace citadel::lifecycle {

namespace {

// Odd constants without structure: fractional parts of square roots of primes.
constexpr std::uint64_t multiplier_a = 0x9e3779b97f4a7c15ULL;
constexpr std::uint64_t multiplier_b = 0xbb67ae8584caa73bULL;
constexpr std::uint64_t start_a = 0x3c6ef372fe94f82bULL;
constexpr std::uint64_t start_b = 0xa54ff53a5f1d36f1ULL;

constexpr std::uint64_t rotate(std::uint64_t value, int bits) {
    return (value << bits) | (value >> (64 - bits));
}

// Each output bit depends on each input bit; one-to-one.
constexpr std::uint64_t avalanche(std::uint64_t value) {
    value ^= value >> 33;
    value *= 0x510e527fade682d1ULL;
    value ^= value >> 29;
    value *= 0x1f83d9abfb41bd6bULL;
    value ^= value >> 32;
    return value;
}

// Little-endian, so that the hash is the same on every machine.
std::uint64_t load(const unsigned char* bytes, std::size_t count) {
    std::uint64_t value = 0;
    if constexpr (__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__) {
        std::memcpy(&value, bytes, count);
    } else {
        for (std::size_t i = 0; i < count; ++i)
            value |= static_cast<std::uint64_t>(bytes[i]) << (8 * i);
    }
    return value;
}

// Two lanes that see every word, mixed differently. For a given word a lane is a one-to-one function of its state, and
// for a given state of the word: nothing can get lost on the way.
struct Lanes {
    std::uint64_t a = start_a;
    std::uint64_t b = start_b;
    void take(std::uint64_t word) {
        a = (a ^ word) * multiplier_a;
        a ^= a >> 32;
        b = rotate(b + word, 29) * multiplier_b;
    }
};

} // namespace

std::array<std::uint64_t, 2> hash_bytes_128(const void* data, std::size_t bytes) {
    const auto* at = static_cast<const unsigned char*>(data);
    Lanes lanes;
    std::size_t left = bytes;
    for (; left >= 8; left -= 8, at += 8)
        lanes.take(load(at, 8));
    if (left > 0)
        lanes.take(load(at, left));
    // The length tells a short last word from one that ends in zero bytes.
    lanes.take(bytes);
    const std::uint64_t a = avalanche(lanes.a + rotate(lanes.b, 17));
    const std::uint64_t b = avalanche(lanes.b ^ a);
    return {a, b};
}

ContentHash& ContentHash::operator+=(const ContentHash& other) {
    rows += other.rows;
    low += other.low;
    high += other.high + (low < other.low ? 1 : 0);
    return *this;
}

ContentHash& ContentHash::operator-=(const ContentHash& other) {
    rows -= other.rows;
    high -= other.high + (low < other.low ? 1 : 0);
    low -= other.low;
    return *this;
}

void ContentHash::add(const void* row, std::size_t bytes) {
    const auto hash = hash_bytes_128(row, bytes);
    *this += ContentHash{1, hash[0], hash[1]};
}

std::string ContentHash::hex() const {
    static constexpr char digits[] = "0123456789abcdef";
    std::string text(32, '0');
    for (int i = 0; i < 16; ++i) {
        text[15 - i] = digits[(high >> (4 * i)) & 15];
        text[31 - i] = digits[(low >> (4 * i)) & 15];
    }
    return text;
}

std::optional<ContentHash> ContentHash::from_hex(std::int64_t rows, std::string_view digits) {
    if (digits.size() != 32)
        return std::nullopt;
    std::uint64_t halves[2] = {0, 0};
    for (std::size_t i = 0; i < 32; ++i) {
        const char digit = digits[i];
        std::uint64_t value = 0;
        if (digit >= '0' && digit <= '9')
            value = static_cast<std::uint64_t>(digit - '0');
        else if (digit >= 'a' && digit <= 'f')
            value = static_cast<std::uint64_t>(digit - 'a') + 10U;
        else
            return std::nullopt;
        halves[i / 16] = halves[i / 16] << 4 | value;
    }
    return ContentHash{rows, halves[1], halves[0]};
}

} // namespace citadel::lifecycle
