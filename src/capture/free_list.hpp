// A lock-free list of free elements of a fixed array, by index. Works in shared memory: no pointers, address-free
// atomics. The head carries a tag that grows with each change, so that an element which was taken and given back
// between another process's read and its exchange is noticed (the ABA problem: Treiber 1986, IBM RJ 5118).
#pragma once

#include <atomic>
#include <cstdint>

namespace citadel::capture {

inline constexpr std::uint32_t no_index = 0xffffffffU;

class FreeList {
  public:
    // `next` is the array of links, one for each element. Not concurrent.
    void fill(std::atomic<std::uint32_t>* next, std::uint32_t size) {
        for (std::uint32_t i = 0; i < size; ++i)
            next[i].store(i + 1 < size ? i + 1 : no_index, std::memory_order_relaxed);
        head_.store(size > 0 ? 0 : no_index, std::memory_order_release);
        used_.store(0, std::memory_order_relaxed);
    }

    // An element, or no_index.
    std::uint32_t take(std::atomic<std::uint32_t>* next) {
        std::uint64_t head = head_.load(std::memory_order_acquire);
        for (;;) {
            const auto index = static_cast<std::uint32_t>(head);
            if (index == no_index)
                return no_index;
            const std::uint64_t after = next_tag(head) | next[index].load(std::memory_order_relaxed);
            if (head_.compare_exchange_weak(head, after, std::memory_order_acquire)) {
                used_.fetch_add(1, std::memory_order_relaxed);
                return index;
            }
        }
    }

    void give(std::atomic<std::uint32_t>* next, std::uint32_t index) {
        std::uint64_t head = head_.load(std::memory_order_relaxed);
        do {
            next[index].store(static_cast<std::uint32_t>(head), std::memory_order_relaxed);
        } while (!head_.compare_exchange_weak(head, next_tag(head) | index, std::memory_order_release,
                                              std::memory_order_relaxed));
        used_.fetch_sub(1, std::memory_order_relaxed);
    }

    std::uint32_t used() const { return used_.load(std::memory_order_relaxed); }

  private:
    static std::uint64_t next_tag(std::uint64_t head) { return ((head >> 32) + 1) << 32; }

    std::atomic<std::uint64_t> head_;
    std::atomic<std::uint32_t> used_;
};

static_assert(std::atomic<std::uint64_t>::is_always_lock_free && std::atomic<std::uint32_t>::is_always_lock_free);

} // namespace citadel::capture
