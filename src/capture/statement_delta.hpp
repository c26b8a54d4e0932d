// What a statement did since somebody last looked: the plain data of the fast path, server-free.
#pragma once

#include "capture/latency_histogram.hpp"
#include "capture/random.hpp"

#include <array>
#include <cstdint>

namespace citadel::capture {

// Whose runs are counted together. A key of zeros but for the database: all statements that had no room of their own.
struct DeltaKey {
    std::uint64_t query_id = 0;
    std::uint64_t plan_id = 0;
    std::uint32_t database = 0;
    std::uint32_t user = 0;
    std::uint32_t minute = 0; // in which the runs ended, since 2000-01-01
    std::uint32_t nested = 0; // 1: inside a function or procedure
    friend bool operator==(const DeltaKey&, const DeltaKey&) = default;
};

inline std::uint64_t hash_of(const DeltaKey& key) {
    return mix(key.query_id ^ mix(key.plan_id + ((static_cast<std::uint64_t>(key.user) << 32) | key.database)) ^
               ((static_cast<std::uint64_t>(key.minute) << 1) | key.nested));
}

struct Figures {
    std::uint64_t calls = 0;  // runs that ended, well or with an error
    std::uint64_t errors = 0; // with an error, a cancel or a timeout
    double total_ms = 0;
    double max_ms = 0;
    std::uint64_t rows = 0;
    std::uint64_t shared_hit = 0, shared_read = 0; // blocks
    std::uint64_t temp_blocks = 0;                 // read and written

    void add(const Figures& more) {
        calls += more.calls;
        errors += more.errors;
        total_ms += more.total_ms;
        max_ms = more.max_ms > max_ms ? more.max_ms : max_ms;
        rows += more.rows;
        shared_hit += more.shared_hit;
        shared_read += more.shared_read;
        temp_blocks += more.temp_blocks;
    }
};

// Errors by the class of their SQLSTATE (its first two characters, six bits each, as the server packs them). A
// statement that fails in more than a few ways has the rest counted together, as class 0.
class ErrorClasses {
  public:
    struct Count {
        std::uint32_t error_class;
        std::uint32_t count;
    };
    static constexpr int capacity = 5;

    int size() const { return size_; }
    const Count& operator[](int i) const { return counts_[static_cast<std::size_t>(i)]; }
    void add(std::uint32_t error_class, std::uint32_t count) {
        for (int i = 0; i < size_; ++i)
            if (counts_[static_cast<std::size_t>(i)].error_class == error_class) {
                counts_[static_cast<std::size_t>(i)].count += count;
                return;
            }
        if (size_ == capacity - 1 && error_class != 0) { // the last place is for the rest
            add(0, count);
            return;
        }
        if (size_ == capacity) {
            counts_[capacity - 1].count += count;
            return;
        }
        counts_[static_cast<std::size_t>(size_++)] = {error_class, count};
    }
    void add(const ErrorClasses& more) {
        for (int i = 0; i < more.size_; ++i)
            add(more.counts_[static_cast<std::size_t>(i)].error_class, more.counts_[static_cast<std::size_t>(i)].count);
    }
    void clear() { size_ = 0; }

  private:
    std::array<Count, capacity> counts_{};
    int size_ = 0;
};

// One run of a statement, or several alike that it stands for.
struct Run {
    Figures figures; // of all of them
    std::uint32_t runs = 1;
    std::uint32_t error_class = 0;
    int bucket = 0; // of its latency
};

// A full histogram of a short time with the buckets in use marked, so that emptying it costs what was counted.
class BucketCounts {
  public:
    void add(int bucket, std::uint32_t count) {
        const auto i = static_cast<std::size_t>(bucket);
        counts_[i] += count;
        used_[i / 64] |= std::uint64_t{1} << (i % 64);
    }
    // Calls move(bucket, count) for each that is not empty; those for which it returns true are emptied.
    template <class Move>
    void take(Move&& move) {
        for (std::size_t word = 0; word < used_.size(); ++word)
            for (std::uint64_t left = used_[word]; left != 0; left &= left - 1) {
                const std::size_t i = word * 64 + static_cast<std::size_t>(std::countr_zero(left));
                if (move(static_cast<int>(i), counts_[i])) {
                    counts_[i] = 0;
                    used_[word] &= ~(std::uint64_t{1} << (i % 64));
                }
            }
    }
    bool empty() const { return (used_[0] | used_[1] | used_[2]) == 0; }

  private:
    std::array<std::uint32_t, latency_bucket_count> counts_{};
    std::array<std::uint64_t, (latency_bucket_count + 63) / 64> used_{};
    static_assert(latency_bucket_count <= 3 * 64);
};

// A statement's share of a process's delta.
struct LocalDelta {
    DeltaKey key;
    Figures figures;
    ErrorClasses errors;
    BucketCounts latencies;

    bool pending() const { return figures.calls > 0 || !latencies.empty(); }
    void add(const Run& run) {
        figures.add(run.figures);
        if (run.figures.errors > 0)
            errors.add(run.error_class, run.runs);
        latencies.add(run.bucket, run.runs);
    }
    // What another one counted, which is empty then.
    void take(LocalDelta& other) {
        figures.add(other.figures);
        errors.add(other.errors);
        other.latencies.take([this](int bucket, std::uint32_t count) {
            latencies.add(bucket, count);
            return true;
        });
        other.figures = {};
        other.errors.clear();
    }
};

} // namespace citadel::capture
