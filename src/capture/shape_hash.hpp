// Hash of a plan's shape: an ordered combination for what a node consists of, a set combination for the children that
// stand for partitions, so that neither their number nor their order nor pruning down to one of them changes the plan.
#pragma once

#include "capture/random.hpp"

#include <bit>
#include <cstdint>

namespace citadel::capture {

// A rotation and a multiplication for each value (each step is a bijection of what there was before, so that a
// difference does not get lost), and one thorough mixing at the end: it is worked out for every statement planned.
class ShapeHash {
  public:
    constexpr void add(std::uint64_t value) { hash_ = (std::rotl(hash_, 25) ^ value) * 0x9e3779b97f4a7c15ULL; }
    constexpr std::uint64_t value() const { return mix(hash_); }

  private:
    std::uint64_t hash_ = 0x243f6a8885a308d3ULL;
};

// The distinct hashes of a group of children. Bounded: beyond `capacity` distinct shapes further ones are ignored.
class ShapeSet {
  public:
    static constexpr int capacity = 32;
    constexpr void add(std::uint64_t hash) {
        for (int i = 0; i < size_; ++i)
            if (members_[i] == hash)
                return;
        if (size_ < capacity)
            members_[size_++] = hash;
    }
    constexpr int size() const { return size_; }
    // One distinct shape is that shape itself, as when the planner pruned all partitions but one.
    constexpr std::uint64_t value() const {
        if (size_ == 1)
            return members_[0];
        std::uint64_t sum = 0;
        for (int i = 0; i < size_; ++i)
            sum += mix(members_[i]);
        return mix(sum + static_cast<std::uint64_t>(size_));
    }

  private:
    std::uint64_t members_[capacity] = {};
    int size_ = 0;
};

} // namespace citadel::capture
