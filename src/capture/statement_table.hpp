// What all processes' statements did since the history last looked: the shared memory of the fast path, server-free.
//
// A set-associative table: a key has one set of 16 entries under a lock that is only ever tried. A process empties its
// delta (local_deltas.hpp) into it every other second; the scheduler of a database takes out what is not of
// the running minute. Histograms are sparse: an entry has room for 20 buckets, and a statement whose latencies need
// more has several entries of the same key. When a set is full its least used entry is added to the rest of its
// database, which has a full histogram; entries that nobody took for ten minutes are dropped. Both are counted.
#pragma once

#include "capture/buffer.hpp"
#include "capture/statement_delta.hpp"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>

namespace citadel::capture {

struct SharedDelta {
    static constexpr int bucket_capacity = 20;
    DeltaKey key;
    Figures figures;
    ErrorClasses errors;
    std::uint32_t bucket_count = 0;
    std::array<std::uint8_t, bucket_capacity> buckets{};
    std::array<std::uint32_t, bucket_capacity> counts{};

    bool add(int bucket, std::uint32_t count) { // false: no room for this bucket
        for (std::uint32_t i = 0; i < bucket_count; ++i)
            if (buckets[i] == bucket) {
                counts[i] += count;
                return true;
            }
        if (bucket_count == bucket_capacity)
            return false;
        buckets[bucket_count] = static_cast<std::uint8_t>(bucket);
        counts[bucket_count++] = count;
        return true;
    }
};
static_assert(latency_bucket_count <= 256);

// The statements of a database that had no place of their own.
struct alignas(cache_line) RestOfDatabase {
    std::atomic<std::uint32_t> lock;
    std::uint32_t database;
    Figures figures;
    ErrorClasses errors;
    std::uint64_t latencies[latency_bucket_count];
};

// {"23": 4, "other": 1}; empty when there are no errors.
std::string error_classes_json(const ErrorClasses& errors);

// The padding keeps what different processes write on different cache lines.
class StatementTable { // NOLINT(clang-analyzer-optin.performance.Padding)
  public:
    static std::size_t size_for(std::size_t wanted);
    // Initialises `memory`, which has size_for() bytes and is aligned to a cache line.
    static StatementTable* create(void* memory, std::size_t wanted);

    // Adds what `delta` holds, and empties it as far as that was possible without waiting: a lock is tried so many
    // times. `place` is the number of its database among the captured ones. True when it is empty now.
    bool add(LocalDelta& delta, int place, int tries);

    // For the reader of a database: calls take(const SharedDelta&) for each entry of it that is not of the running
    // minute (after the clock was put back it may be a later one), and frees it. take() runs outside the locks.
    template <class Take>
    void drain(std::uint32_t database, std::uint32_t running_minute, Take&& take);
    // The rest of the database, empty then. False when there is nothing.
    bool take_rest(int place, std::uint32_t database, Figures& figures, ErrorClasses& errors,
                   LatencyHistogram& latencies);

    std::size_t bytes() const { return bytes_; }
    std::size_t capacity() const { return set_count_ * ways; }
    std::size_t used() const; // counted as it is asked for
    std::uint64_t evicted() const { return evicted_.load(std::memory_order_relaxed); }
    std::uint64_t discarded() const { return discarded_.load(std::memory_order_relaxed); }
    std::uint64_t busy() const { return busy_.load(std::memory_order_relaxed); }

    static constexpr int ways = 16;
    static constexpr std::uint32_t forgotten_after = 10; // minutes
    static constexpr int reader_tries = 100000;

  private:
    struct alignas(cache_line) Set {
        std::atomic<std::uint32_t> lock;
        std::uint32_t tags[ways]; // of the hash; 0: free
        SharedDelta entries[ways];
    };

    StatementTable() = default;
    Set& set_at(std::size_t i) { return sets()[i]; }
    Set* sets() { return reinterpret_cast<Set*>(reinterpret_cast<char*>(this) + sets_at_); }
    int make_room(Set& set, const DeltaKey& key, int place, int tries);
    bool evict(Set& set, const DeltaKey& key, int place, int tries);
    bool add_to_rest(LocalDelta& delta, int place, int tries);
    int take_from(Set& set, std::uint32_t database, std::uint32_t running_minute, SharedDelta* taken);

    std::size_t bytes_;
    std::size_t sets_at_;
    std::size_t set_count_;
    alignas(cache_line) std::atomic<std::uint64_t> evicted_;
    std::atomic<std::uint64_t> discarded_;
    std::atomic<std::uint64_t> busy_;
    RestOfDatabase rests_[max_databases];
};

template <class Take>
void StatementTable::drain(std::uint32_t database, std::uint32_t running_minute, Take&& take) {
    SharedDelta taken[ways];
    for (std::size_t i = 0; i < set_count_; ++i) {
        const int count = take_from(set_at(i), database, running_minute, taken);
        for (int k = 0; k < count; ++k)
            take(taken[k]);
    }
}

} // namespace citadel::capture
