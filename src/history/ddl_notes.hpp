// What DDL a transaction did, until it commits, and the ring in shared memory in which the scheduler of the database
// finds it then. Server-free.
//
// Both are plain memory of fixed size: nothing here allocates, waits or fails, because it runs inside somebody's DDL
// and after somebody's commit. What does not fit is counted.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

namespace citadel::history {

enum class DdlAction : std::uint8_t { created, altered, dropped, truncated };

// One object that a command touched. No text of the command: it may hold secrets.
struct DdlNote {
    static constexpr std::size_t name_size = 64; // NAMEDATALEN
    std::int64_t at = 0;                         // of the commit; microseconds since 2000-01-01
    std::int64_t number = 0;                     // order of the notes in the ring
    std::uint32_t database = 0;
    std::uint32_t user = 0;
    std::uint32_t object_class = 0; // catalogue that the object is in
    std::uint32_t object = 0;
    std::uint32_t relation = 0; // table of an index, when it was known at the time
    std::int32_t tag = 0;       // of the command
    DdlAction action = DdlAction::created;
    char kind = 0;                             // pg_class.relkind, 0: no relation or unknown
    std::array<char, name_size> schema_name{}; // empty: to be looked up
    std::array<char, name_size> name{};
};

// The notes of the transaction that runs in this process.
class DdlNotes {
  public:
    static constexpr int capacity = 64;

    // False when there is no room: the caller counts it. What is noted already is not noted again; what was created in
    // this subtransaction and is dropped in it never was.
    bool add(const DdlNote& note, int level) {
        for (int i = 0; i < count_; ++i) {
            const DdlNote& earlier = notes_[index(i)];
            if (earlier.object != note.object || earlier.object_class != note.object_class)
                continue;
            if (earlier.action == note.action ||
                (earlier.action == DdlAction::created && note.action == DdlAction::altered))
                return true;
            if (earlier.action == DdlAction::created && note.action == DdlAction::dropped &&
                levels_[index(i)] == level) {
                remove(i);
                return true;
            }
        }
        if (count_ == capacity)
            return false;
        notes_[index(count_)] = note;
        levels_[index(count_++)] = level;
        return true;
    }
    bool room() const { return count_ < capacity; }
    int size() const { return count_; }
    DdlNote& operator[](int i) { return notes_[index(i)]; }
    void clear() { count_ = 0; }

    // The subtransaction of this nesting level ends: its notes become its parent's, or never were.
    void subtransaction_ends(int level, bool committed) {
        int kept = 0;
        for (int i = 0; i < count_; ++i) {
            const bool inside = levels_[index(i)] >= level;
            if (inside && !committed)
                continue;
            notes_[index(kept)] = notes_[index(i)];
            levels_[index(kept++)] = inside ? level - 1 : levels_[index(i)];
        }
        count_ = kept;
    }

  private:
    static std::size_t index(int i) { return static_cast<std::size_t>(i); }
    void remove(int at) {
        for (int i = at + 1; i < count_; ++i) {
            notes_[index(i - 1)] = notes_[index(i)];
            levels_[index(i - 1)] = levels_[index(i)];
        }
        --count_;
    }

    std::array<DdlNote, capacity> notes_{};
    std::array<int, capacity> levels_{};
    int count_ = 0;
};

// Slots that anybody fills and the reader of each database empties, each claimed by one compare-and-swap. A process
// that is killed in between takes the whole shared memory with it, so no slot stays claimed.
class DdlRing {
  public:
    static constexpr std::size_t slots = 1024;
    static constexpr std::int64_t forgotten_after = 600LL * 1000 * 1000; // microseconds: nobody reads that database

    // False when there was no room, which is counted.
    bool push(const DdlNote& note) {
        const std::uint64_t number = next_.fetch_add(1, std::memory_order_relaxed);
        for (std::size_t tried = 0; tried < slots; ++tried) {
            Slot& slot = slots_[(number + tried) % slots];
            std::uint32_t state = slot.state.load(std::memory_order_relaxed);
            const bool stale = state == full && slot.at.load(std::memory_order_relaxed) + forgotten_after < note.at;
            if ((state != empty && !stale) ||
                !slot.state.compare_exchange_strong(state, claimed, std::memory_order_acquire))
                continue;
            slot.note = note;
            slot.note.number = static_cast<std::int64_t>(number);
            slot.at.store(note.at, std::memory_order_relaxed);
            slot.database.store(note.database, std::memory_order_relaxed);
            slot.state.store(full, std::memory_order_release);
            if (stale)
                count_missed(1);
            return true;
        }
        count_missed(1);
        return false;
    }

    // Calls take(const DdlNote&) for each note of the database, in no order, and frees it.
    template <class Take>
    void drain(std::uint32_t database, Take&& take) {
        for (Slot& slot : slots_) {
            std::uint32_t state = full;
            if (slot.state.load(std::memory_order_acquire) != full ||
                slot.database.load(std::memory_order_relaxed) != database ||
                !slot.state.compare_exchange_strong(state, claimed, std::memory_order_acquire))
                continue;
            const DdlNote taken = slot.note; // somebody may have filled it anew in between
            slot.state.store(taken.database == database ? empty : full, std::memory_order_release);
            if (taken.database == database)
                take(taken);
        }
    }

    // Notes that were not kept since the server started: no room here, or in the transaction's own.
    void count_missed(std::uint64_t notes) { missed_.fetch_add(notes, std::memory_order_relaxed); }
    std::uint64_t missed() const { return missed_.load(std::memory_order_relaxed); }

  private:
    enum State : std::uint32_t { empty, claimed, full };
    struct Slot {
        std::atomic<std::uint32_t> state{empty};
        std::atomic<std::uint32_t> database{0};
        std::atomic<std::int64_t> at{0};
        DdlNote note;
    };

    std::atomic<std::uint64_t> next_{0};
    std::atomic<std::uint64_t> missed_{0};
    std::array<Slot, slots> slots_{};
};

} // namespace citadel::history
