// The shared memory of capture, server-free. One fixed piece, made at server start, laid out as
//
//   header | databases | armed plans | slots of the backends | sample entries | index of texts | blocks
//
// Backends put samples into a queue for each database (lock-free: a free list, and a push by compare-and-swap that its
// one reader empties by exchange) and texts into the store (store.hpp). Nobody waits here: what does not fit is dropped
// and counted. It is made of blocks of one size rather than of a DSA area because a block can be had without any lock
// and without attaching, and given back by whoever notices that it is not needed.
#pragma once

#include "capture/free_list.hpp"
#include "capture/sample.hpp"

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace citadel::capture {

inline constexpr int max_databases = 256;
inline constexpr int armed_slots = 128;
inline constexpr int bucket_ways = 8;
inline constexpr int parameter_slots = 5;
inline constexpr std::uint32_t block_bytes = 508;
inline constexpr std::size_t cache_line = 64;

// A database whose slow statements somebody reads.
struct alignas(cache_line) Database {
    std::atomic<std::uint32_t> oid;     // 0: free slot
    std::atomic<std::uint32_t> newest;  // sample entry, head of the queue
    std::atomic<std::int32_t> consumer; // number of the reading process, -1: none at the moment
    std::atomic<std::uint32_t> held;    // the reader is a debugging session, which the scheduler does not displace
    std::atomic<std::uint32_t> woken;   // the reader was told that the buffer is half full
    std::atomic<std::int64_t> left_at;  // when the last reader went (TimestampTz)
};

struct SampleEntry {
    std::atomic<std::uint32_t> next; // in its database's queue
    Sample sample;
};

// What a backend is running, for the wait sampler. The backend writes the first part, the sampler the second; they are
// tied by `generation`, so that neither has to clear anything on the fast path.
struct alignas(cache_line) BackendSlot {
    std::atomic<std::uint64_t> generation; // of the statement
    std::atomic<std::int64_t> slow_at;     // when it will have run for its threshold; 0: not running
    std::atomic<std::uint64_t> counted_generation;
    std::atomic<std::uint32_t> waits[wait_class_count];
};

struct Chain { // bytes in blocks
    std::uint32_t first = no_index;
    std::uint32_t length = 0;
};

struct Entry { // a remembered statement or plan; plain data under its bucket's lock
    enum class Kind : std::uint8_t { free, statement, plan } kind;
    bool taken;          // by the reader; only then may it be evicted
    bool truncated;      // statement
    bool has_row_counts; // plan
    std::uint32_t database, user;
    std::uint64_t query_id, plan_id;
    std::int64_t last_used, taken_at;
    std::int64_t armed_at;             // plan: when a run was last told to count rows
    std::uint64_t parameter_sets_seen; // statement
    std::uint32_t literals;            // statement: how many its text has placeholders for; no_index: not all fit
    Chain text;                        // statement or plan
    Chain search_path;                 // statement
    Chain parameters[parameter_slots];
};

struct alignas(cache_line) Bucket {
    std::atomic<std::uint32_t> lock;
    Entry ways[bucket_ways];
};

struct Block {
    std::atomic<std::uint32_t> next; // in the free list or in its chain
    char data[block_bytes];
};

enum Counter : int {
    count_captured,
    count_dropped_full,
    count_dropped_memory,
    count_dropped_busy,
    count_discarded,
    count_plans_captured,
    count_plans_failed,
    count_texts_truncated,
    count_evicted,
    count_repeated,
    count_row_counts,
    count_hook_errors,
    counter_count
};

// What a plan is armed for (bits).
enum Armed : unsigned { armed_none = 0, armed_row_counts = 1, armed_plan_at_start = 2 };

// The padding keeps what different processes write on different cache lines.
class Buffer { // NOLINT(clang-analyzer-optin.performance.Padding)
  public:
    // Bytes for a buffer of about `wanted` bytes and so many backends.
    static std::size_t size_for(std::size_t wanted, int backends);
    // Initialises `memory`, which has size_for() bytes and is aligned to a cache line.
    static Buffer* create(void* memory, std::size_t wanted, int backends);

    // --- databases
    // Changes whenever a database begins or ceases to be captured: what find_database said may be outdated then.
    std::uint32_t generation() const { return generation_.load(std::memory_order_acquire); }
    int find_database(std::uint32_t oid) const; // index, -1: not captured
    // Makes `process` the reader; -1 when all slots are in use, or a debugging session holds it. `changed` says whether
    // it was somebody else before.
    int become_consumer(std::uint32_t oid, std::int32_t process, bool hold, bool& changed);
    bool is_consumer(int database, std::uint32_t oid, std::int32_t process) const;
    // The reader goes. Its database is still captured for a while, in case another one comes.
    void leave(int database, std::int32_t process, std::int64_t now);
    // Forgets databases that nobody reads any more, with their samples. For readers.
    void forget_abandoned(std::int64_t now, std::int64_t patience);
    Database& database(int i) { return databases_[i]; }

    // --- samples
    enum class Pushed { stored, stored_and_half_full, full };
    Pushed push(int database, const Sample& sample);
    // Calls `take(sample)` for each, oldest first, and frees them. `prepare(count)` is called before anything is taken.
    template <class Prepare, class Take>
    std::size_t drain(int database, Prepare&& prepare, Take&& take);
    std::uint32_t sample_capacity() const { return sample_count_; }
    std::uint32_t samples_used() const { return sample_list_.used(); }

    // --- armed plans: of a statement with several plans the run of another one must not take the turn
    bool any_armed() const { return armed_count_.load(std::memory_order_relaxed) != 0; }
    void arm(std::uint32_t database, std::uint64_t query_id, std::uint64_t plan_id, unsigned what);
    // What it was armed for; disarmed now.
    unsigned claim_armed(std::uint32_t database, std::uint64_t query_id, std::uint64_t plan_id);

    // --- backends
    int backends() const { return backend_count_; }
    BackendSlot& backend(int i) { return slots_()[i]; }

    // --- counters and space
    void count(Counter counter) { counters_[counter].fetch_add(1, std::memory_order_relaxed); }
    std::uint64_t counted(Counter counter) const { return counters_[counter].load(std::memory_order_relaxed); }
    std::size_t bytes() const { return bytes_; }
    std::size_t bytes_used() const;

    // --- for the store
    std::uint32_t bucket_count() const { return bucket_count_; }
    Bucket& bucket(std::uint32_t i) { return at<Bucket>(buckets_at_)[i]; }
    std::uint32_t block_capacity() const { return block_count_; }
    std::uint32_t blocks_used() const { return block_list_.used(); }
    Block& block(std::uint32_t i) { return at<Block>(blocks_at_)[i]; }
    std::uint32_t take_block();
    void give_block(std::uint32_t i);
    std::uint32_t next_victim_bucket() { return clock_hand_.fetch_add(1, std::memory_order_relaxed) % bucket_count_; }

  private:
    Buffer() = default;
    template <class T>
    T* at(std::size_t offset) {
        return reinterpret_cast<T*>(reinterpret_cast<char*>(this) + offset);
    }
    struct Layout;
    static Layout layout(std::size_t wanted, int backends);
    BackendSlot* slots_() { return at<BackendSlot>(slots_at_); }
    SampleEntry& sample(std::uint32_t i) { return at<SampleEntry>(samples_at_)[i]; }
    void free_sample(std::uint32_t i) { sample_list_.give(at<std::atomic<std::uint32_t>>(sample_links_at_), i); }
    std::uint32_t reversed(std::uint32_t newest, std::size_t& count);
    void deactivate(Database& database);

    std::size_t bytes_;
    std::size_t slots_at_, sample_links_at_, samples_at_, buckets_at_, block_links_at_, blocks_at_;
    std::uint32_t sample_count_, bucket_count_, block_count_;
    int backend_count_;

    alignas(cache_line) std::atomic<std::uint32_t> generation_; // read on the fast path, hardly ever written
    std::atomic<std::uint32_t> armed_count_;
    alignas(cache_line) FreeList sample_list_;
    alignas(cache_line) FreeList block_list_;
    alignas(cache_line) std::atomic<std::uint32_t> registry_lock_;
    std::atomic<std::uint32_t> clock_hand_;
    std::atomic<std::uint64_t> counters_[counter_count];
    alignas(cache_line) Database databases_[max_databases];
    alignas(cache_line) std::atomic<std::uint64_t> armed_[armed_slots];
};

template <class Prepare, class Take>
std::size_t Buffer::drain(int database, Prepare&& prepare, Take&& take) {
    Database& from = databases_[database];
    std::size_t count = 0;
    std::uint32_t index = reversed(from.newest.exchange(no_index, std::memory_order_acquire), count);
    bool prepared = false;
    // Whatever the caller does, the entries go back to the free list.
    struct Rest {
        Buffer* buffer;
        Database* from;
        std::uint32_t* index;
        ~Rest() {
            while (*index != no_index) {
                const std::uint32_t next = buffer->sample(*index).next.load(std::memory_order_relaxed);
                buffer->free_sample(*index);
                buffer->count(count_discarded);
                *index = next;
            }
            // Not before: while the entries are being freed more than half is still in use, and a reader that was woken
            // for that would find nothing to do, and never be woken again.
            from->woken.store(0, std::memory_order_relaxed);
        }
    } rest{this, &from, &index};
    while (index != no_index) {
        if (!prepared) {
            prepare(count);
            prepared = true;
        }
        const std::uint32_t current = index;
        take(sample(current).sample);
        index = sample(current).next.load(std::memory_order_relaxed);
        free_sample(current);
    }
    return count;
}

} // namespace citadel::capture
