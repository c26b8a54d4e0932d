// The delta of one process: a small open-addressing table that is filled at the end of each statement and emptied into
// the shared one now and then. Fixed size, no allocation; not shared with anybody. About 28 kB.
#pragma once

#include "capture/statement_delta.hpp"

#include <cstdint>
#include <utility>

namespace citadel::capture {

class LocalDeltas {
  public:
    static constexpr int capacity = 32;

    // Counts a run. False when the table is full of others: flush() and try again, or count_anyway().
    bool count(const DeltaKey& key, const Run& run) {
        LocalDelta* entry = find_or_add(key);
        if (entry == nullptr)
            return false;
        entry->add(run);
        pending_ = true;
        return true;
    }

    // Makes room by moving what the least used entry counted to the rest, whose key is of zeros but for database and
    // minute.
    void count_anyway(const DeltaKey& key, const Run& run) {
        if (size_ == capacity) {
            int least = 0;
            for (int i = 1; i < size_; ++i)
                if (entries_[i].figures.calls < entries_[least].figures.calls)
                    least = i;
            rest_.key = rest_key(entries_[least].key);
            rest_.take(entries_[least]);
            ++moved_to_rest_;
            remove(least);
        }
        (void)count(key, run);
    }

    // An error that belongs to no run: the rest of the key's database and minute has one call more, of no time, which
    // its histogram knows nothing of.
    void count_error(const DeltaKey& key, std::uint32_t error_class) {
        rest_.key = rest_key(key);
        ++rest_.figures.calls;
        ++rest_.figures.errors;
        rest_.errors.add(error_class, 1);
        pending_ = true;
    }

    // Offers each entry to `move(entry)`, which empties as much of it as it can. Forgets those that are empty when the
    // table is more than half full, so that statements that run all the time keep their place.
    template <class Move>
    void flush(Move&& move) {
        bool left = false;
        for (int i = 0; i < size_; ++i)
            if (entries_[i].pending()) {
                move(entries_[i]);
                left = left || entries_[i].pending();
            }
        if (rest_.pending()) {
            move(rest_);
            left = left || rest_.pending();
        }
        pending_ = left;
        if (size_ <= capacity / 2)
            return;
        if (!left)
            forget_all();
        else
            for (int i = size_ - 1; i >= 0; --i)
                if (!entries_[i].pending())
                    remove(i);
    }

    bool pending() const { return pending_; }
    int size() const { return size_; }
    std::uint64_t moved_to_rest() const { return moved_to_rest_; }
    static DeltaKey rest_key(const DeltaKey& key) { return {0, 0, key.database, 0, key.minute, 0}; }

  private:
    static constexpr std::uint8_t none = 0;
    static constexpr std::uint64_t index_size = 128; // a power of two, four times the capacity: short probes

    LocalDelta* find_or_add(const DeltaKey& key) {
        if (last_ < size_ && entries_[last_].key == key)
            return &entries_[last_];
        std::uint64_t at = hash_of(key) % index_size;
        for (; index_[at] != none; at = (at + 1) % index_size)
            if (const int entry = index_[at] - 1; entries_[entry].key == key)
                return &entries_[last_ = entry];
        if (size_ == capacity)
            return nullptr;
        last_ = size_++;
        index_[at] = static_cast<std::uint8_t>(size_);
        entries_[last_].key = key;
        return &entries_[last_];
    }

    void forget_all() {
        index_ = {};
        size_ = last_ = 0;
    }

    // The last entry takes the place of the one that goes; it is rare, so the index is made anew.
    void remove(int entry) {
        if (entry != --size_) {
            entries_[entry] = entries_[size_];
            entries_[size_].figures = {};
            entries_[size_].errors.clear();
            entries_[size_].latencies = {};
        }
        index_ = {};
        for (int i = 0; i < size_; ++i) {
            std::uint64_t at = hash_of(entries_[i].key) % index_size;
            while (index_[at] != none)
                at = (at + 1) % index_size;
            index_[at] = static_cast<std::uint8_t>(i + 1);
        }
        last_ = 0;
    }

    std::array<std::uint8_t, index_size> index_{}; // number of an entry, from 1
    LocalDelta entries_[capacity];
    LocalDelta rest_;
    int size_ = 0;
    int last_ = 0;
    bool pending_ = false;
    std::uint64_t moved_to_rest_ = 0;
};

} // namespace citadel::capture
