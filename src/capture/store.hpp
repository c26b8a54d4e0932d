// What capture remembers of statements: once per statement its text, search_path and a reservoir of parameter sets,
// once per plan its EXPLAIN text. Server-free, over the Buffer in shared memory.
//
// The index is set-associative: a key has one bucket of a few entries under a lock that is only ever tried. Bytes are
// written into blocks before the lock is taken and old ones freed after it is released, so that nothing happens under
// it but a few assignments (and, for readers, a copy into memory they brought). When blocks run out, a few buckets are
// looked at and their oldest entry that the reader has taken makes room: the least recently used, by sampling.
#pragma once

#include "capture/buffer.hpp"

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace citadel::capture {

struct StatementKey {
    std::uint32_t database, user;
    std::uint64_t query_id;
};

class Store {
  public:
    explicit Store(Buffer& buffer) : buffer_(buffer) {}

    enum class Known { no, yes, busy };
    enum class Stored { yes, no_room, busy };

    // Is its text here? Marks it as used now.
    Known statement_known(const StatementKey& key, std::int64_t now);
    Stored store_statement(const StatementKey& key, std::string_view text, std::string_view search_path, bool truncated,
                           std::uint32_t literals, std::int64_t now);

    struct PlanState {
        Known known;
        bool has_row_counts;
        bool should_arm; // the caller is asked to arm a run; not asked again for a while
    };
    PlanState plan_state(const StatementKey& key, std::uint64_t plan_id, std::int64_t now, std::int64_t rearm_after);
    // An empty text says that it could not be had: not to be tried again at each run.
    Stored store_plan(const StatementKey& key, std::uint64_t plan_id, std::string_view json, bool has_row_counts,
                      std::int64_t now);

    // Counts one more run that could give a parameter set. seen: how many there were with it, 0 when the statement is
    // unknown; literals: how many a set must have to fit the text.
    struct Offered {
        std::uint64_t seen;
        std::uint32_t literals;
    };
    Offered count_parameter_set(const StatementKey& key);
    Stored store_parameters(const StatementKey& key, int slot, std::string_view packed);

    // --- readers; `room` is the caller's memory for one text at a time
    // Calls take(entry, text, search_path) for each statement of the database that is new to the reader, and marks it
    // taken; text and search_path are views of `room`. Entries used again a day after they were taken count as new.
    template <class Take>
    void take_new(Entry::Kind kind, std::uint32_t database, char* room, std::size_t room_size, std::int64_t now,
                  std::int64_t renew_after, Take&& take);
    void forget_taken(std::uint32_t database); // a new reader: hand everything out again
    // All sets of a statement, calls take(packed bytes).
    template <class Take>
    bool read_parameters(const StatementKey& key, char* room, std::size_t room_size, Take&& take);
    // Calls visit(const Entry&, text, search_path) for every entry of the database, without marking anything.
    template <class Visit>
    void visit(std::uint32_t database, char* room, std::size_t room_size, Visit&& visit);
    void clear_parameters(std::uint32_t database);
    std::size_t count(Entry::Kind kind);

    // Bytes that fit into `room` at most; longer texts are never stored.
    static constexpr std::size_t longest_text = 64 * 1024;
    static constexpr std::size_t longest_search_path = 1024;

  private:
    class Locked { // a bucket, when the lock could be had
      public:
        Locked(Bucket& bucket, int tries);
        ~Locked();
        Locked(const Locked&) = delete;
        Locked& operator=(const Locked&) = delete;
        explicit operator bool() const { return held_; }

      private:
        Bucket& bucket_;
        bool held_;
    };
    static constexpr int writer_tries = 64;
    static constexpr int reader_tries = 100000;

    std::uint32_t bucket_of(const StatementKey& key, std::uint64_t plan_id) const;
    static Entry* find(Bucket& bucket, Entry::Kind kind, const StatementKey& key, std::uint64_t plan_id);
    static Entry* find_room(Bucket& bucket);
    bool write(std::string_view bytes, Chain& chain);
    void release(Chain& chain);
    void release(Entry& entry);
    bool evict_one();
    std::size_t read(const Chain& chain, char* room, std::size_t room_size);

    Buffer& buffer_;
};

template <class Take>
void Store::take_new(Entry::Kind kind, std::uint32_t database, char* room, std::size_t room_size, std::int64_t now,
                     std::int64_t renew_after, Take&& take) {
    for (std::uint32_t b = 0; b < buffer_.bucket_count(); ++b) {
        Bucket& bucket = buffer_.bucket(b);
        for (int way = 0; way < bucket_ways; ++way) {
            Entry copy;
            std::size_t text = 0, path = 0;
            {
                const Entry& peek = bucket.ways[way];
                if (peek.kind != kind || peek.database != database) // unlocked, a first look: the second is below
                    continue;
                Locked locked(bucket, reader_tries);
                Entry& entry = bucket.ways[way];
                if (!locked || entry.kind != kind || entry.database != database || entry.text.length == 0 ||
                    (entry.taken && entry.last_used - entry.taken_at < renew_after))
                    continue;
                text = read(entry.text, room, room_size);
                path = read(entry.search_path, room + text, room_size - text);
                entry.taken = true;
                entry.taken_at = now;
                copy = entry;
            }
            take(copy, std::string_view(room, text), std::string_view(room + text, path));
        }
    }
}

template <class Visit>
void Store::visit(std::uint32_t database, char* room, std::size_t room_size, Visit&& visit) {
    for (std::uint32_t b = 0; b < buffer_.bucket_count(); ++b) {
        for (int way = 0; way < bucket_ways; ++way) {
            Bucket& bucket = buffer_.bucket(b);
            Entry copy;
            std::size_t text = 0, path = 0;
            {
                Locked locked(bucket, reader_tries);
                copy = bucket.ways[way];
                if (!locked || copy.kind == Entry::Kind::free || copy.database != database)
                    continue;
                text = read(copy.text, room, room_size);
                path = read(copy.search_path, room + text, room_size - text);
            }
            visit(copy, std::string_view(room, text), std::string_view(room + text, path));
        }
    }
}

template <class Take>
bool Store::read_parameters(const StatementKey& key, char* room, std::size_t room_size, Take&& take) {
    std::size_t lengths[parameter_slots] = {};
    {
        Bucket& bucket = buffer_.bucket(bucket_of(key, 0));
        Locked locked(bucket, reader_tries);
        const Entry* entry = locked ? find(bucket, Entry::Kind::statement, key, 0) : nullptr;
        if (entry == nullptr)
            return false;
        std::size_t at = 0;
        for (int slot = 0; slot < parameter_slots; ++slot) {
            lengths[slot] = read(entry->parameters[slot], room + at, room_size - at);
            at += lengths[slot];
        }
    }
    std::size_t at = 0;
    for (std::size_t length : lengths) {
        if (length > 0)
            take(std::string_view(room + at, length));
        at += length;
    }
    return true;
}

} // namespace citadel::capture
