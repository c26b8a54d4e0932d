// Counts how often each statement ran in the running transaction, to find the same statement sent many times (N+1).
// Backend-local, fixed size: a transaction that runs more different statements forgets the rarest.
#pragma once

#include <cstdint>

namespace citadel::capture {

struct Repeated {
    std::uint64_t query_id = 0;
    std::uint32_t user = 0;
    std::uint32_t calls = 0;
    double total_ms = 0;
    std::int64_t rows = 0;
    std::int64_t started_at = 0; // of the first call that was counted
};

class RepeatTable {
  public:
    static constexpr int capacity = 16;
    static constexpr std::uint32_t worth_reporting = 10; // calls in one transaction

    bool empty() const { return size_ == 0; }
    int size() const { return size_; }
    const Repeated& operator[](int i) const { return entries_[i]; }
    void clear() { size_ = 0; }

    // Counts one call and returns its entry; what had to make room for it is in `evicted` (calls = 0: nothing).
    Repeated& count(std::uint64_t query_id, std::uint32_t user, double ms, std::int64_t rows, std::int64_t now,
                    Repeated& evicted) {
        evicted = {};
        for (int i = 0; i < size_; ++i)
            if (entries_[i].query_id == query_id && entries_[i].user == user)
                return add(entries_[i], ms, rows);
        int slot = size_;
        if (size_ < capacity) {
            ++size_;
        } else {
            slot = 0;
            for (int i = 1; i < size_; ++i)
                if (entries_[i].calls < entries_[slot].calls)
                    slot = i;
            evicted = entries_[slot];
        }
        entries_[slot] = {query_id, user, 0, 0, 0, now};
        return add(entries_[slot], ms, rows);
    }

  private:
    static Repeated& add(Repeated& entry, double ms, std::int64_t rows) {
        ++entry.calls;
        entry.total_ms += ms;
        entry.rows += rows;
        return entry;
    }

    Repeated entries_[capacity];
    int size_ = 0;
};

} // namespace citadel::capture
