// A small generator (splitmix64: Steele, Lea, Flood 2014) and reservoir sampling (algorithm R: Vitter 1985).
#pragma once

#include <cstdint>

namespace citadel::capture {

// The finaliser of splitmix64: a bijection that spreads every input bit over all output bits.
constexpr std::uint64_t mix(std::uint64_t x) {
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
    return x ^ (x >> 31);
}

class Random {
  public:
    explicit constexpr Random(std::uint64_t seed) : state_(seed) {}
    constexpr std::uint64_t next() { return mix(state_ += 0x9e3779b97f4a7c15ULL); }
    // In [0, 1).
    constexpr double fraction() { return static_cast<double>(next() >> 11) * 0x1p-53; }
    // In [0, bound). The bias of the modulus is below 2^-32 for the bounds used here.
    constexpr std::uint64_t below(std::uint64_t bound) { return next() % bound; }

  private:
    std::uint64_t state_;
};

// Which slot of a reservoir takes the item that is the seen-th (counted from 1), or -1: then it is not kept. Every item
// ends up in the reservoir with the same probability.
constexpr int reservoir_slot(std::uint64_t seen, int slots, Random& random) {
    if (seen <= static_cast<std::uint64_t>(slots))
        return static_cast<int>(seen) - 1;
    const std::uint64_t slot = random.below(seen);
    return slot < static_cast<std::uint64_t>(slots) ? static_cast<int>(slot) : -1;
}

} // namespace citadel::capture
