#include "capture/statement_table.hpp"

#include <algorithm>
#include <new>

namespace citadel::capture {

namespace {

std::uint32_t tag_of(std::uint64_t hash) {
    return static_cast<std::uint32_t>(hash >> 32) | 1;
}

bool is_rest(const DeltaKey& key) {
    return key.query_id == 0;
}

char six_bits(std::uint32_t packed) {
    return static_cast<char>((packed & 0x3fU) + '0');
}

class TryLock {
  public:
    TryLock(std::atomic<std::uint32_t>& lock, int tries) : lock_(lock) {
        for (; tries > 0 && !held_; --tries) {
            std::uint32_t free = 0;
            held_ = lock_.load(std::memory_order_relaxed) == 0 &&
                    lock_.compare_exchange_strong(free, 1, std::memory_order_acquire);
        }
    }
    ~TryLock() {
        if (held_)
            lock_.store(0, std::memory_order_release);
    }
    TryLock(const TryLock&) = delete;
    TryLock& operator=(const TryLock&) = delete;
    explicit operator bool() const { return held_; }

  private:
    std::atomic<std::uint32_t>& lock_;
    bool held_ = false;
};

// Under the lock: whose figures are these? Another database had the place before.
void claim(RestOfDatabase& rest, std::uint32_t database) {
    if (rest.database == database)
        return;
    rest.database = database;
    rest.figures = {};
    rest.errors.clear();
    std::fill(std::begin(rest.latencies), std::end(rest.latencies), 0);
}

} // namespace

std::string error_classes_json(const ErrorClasses& errors) {
    std::string json;
    for (int i = 0; i < errors.size(); ++i) {
        const std::uint32_t packed = errors[i].error_class;
        json += json.empty() ? "{\"" : ", \"";
        if (packed == 0)
            json += "other";
        else
            json += {six_bits(packed), six_bits(packed >> 6)};
        json += "\": " + std::to_string(errors[i].count);
    }
    return json.empty() ? json : json + "}";
}

std::size_t StatementTable::size_for(std::size_t wanted) {
    return sizeof(StatementTable) + std::max<std::size_t>(8, wanted / sizeof(Set)) * sizeof(Set);
}

StatementTable* StatementTable::create(void* memory, std::size_t wanted) {
    auto* table = new (memory) StatementTable();
    table->bytes_ = size_for(wanted);
    table->sets_at_ = sizeof(StatementTable);
    table->set_count_ = std::max<std::size_t>(8, wanted / sizeof(Set));
    for (std::size_t i = 0; i < table->set_count_; ++i)
        new (&table->set_at(i)) Set();
    for (RestOfDatabase& rest : table->rests_)
        new (&rest) RestOfDatabase();
    return table;
}

// Moves the entries of one key, of a locked set, to the rest.
bool StatementTable::evict(Set& set, const DeltaKey& key, int place, int tries) {
    RestOfDatabase& rest = rests_[place];
    const TryLock locked(rest.lock, tries);
    if (!locked)
        return false;
    claim(rest, key.database);
    for (int way = 0; way < ways; ++way) {
        const SharedDelta& entry = set.entries[way];
        if (set.tags[way] == 0 || !(entry.key == key))
            continue;
        rest.figures.add(entry.figures);
        rest.errors.add(entry.errors);
        for (std::uint32_t i = 0; i < entry.bucket_count; ++i)
            rest.latencies[entry.buckets[i]] += entry.counts[i];
        set.tags[way] = 0;
    }
    evicted_.fetch_add(1, std::memory_order_relaxed);
    return true;
}

bool StatementTable::add_to_rest(LocalDelta& delta, int place, int tries) {
    RestOfDatabase& rest = rests_[place];
    const TryLock locked(rest.lock, tries);
    if (!locked) {
        busy_.fetch_add(1, std::memory_order_relaxed);
        return false;
    }
    claim(rest, delta.key.database);
    rest.figures.add(delta.figures);
    rest.errors.add(delta.errors);
    delta.latencies.take([&rest](int bucket, std::uint32_t count) {
        rest.latencies[bucket] += count;
        return true;
    });
    delta.figures = {};
    delta.errors.clear();
    return true;
}

// A free way of a locked set, or -1. Of what is in the way, entries that nobody takes go first, then the least used
// statement of this database (those of others have a reader who will come).
int StatementTable::make_room(Set& set, const DeltaKey& key, int place, int tries) {
    int least = -1;
    for (int way = 0; way < ways; ++way) {
        const SharedDelta& entry = set.entries[way];
        if (set.tags[way] == 0)
            return way;
        if (entry.key.minute + forgotten_after < key.minute) {
            discarded_.fetch_add(1, std::memory_order_relaxed);
            set.tags[way] = 0;
            return way;
        }
        // An entry without calls has further buckets of another one, and goes with that.
        if (entry.key.database == key.database && !(entry.key == key) && entry.figures.calls > 0 &&
            (least < 0 || entry.figures.calls < set.entries[least].figures.calls))
            least = way;
    }
    if (least < 0)
        return -1;
    const DeltaKey loser = set.entries[least].key;
    return evict(set, loser, place, tries) ? least : -1;
}

bool StatementTable::add(LocalDelta& delta, int place, int tries) {
    if (is_rest(delta.key))
        return add_to_rest(delta, place, tries);
    const std::uint64_t hash = hash_of(delta.key);
    const std::uint32_t tag = tag_of(hash);
    Set& set = set_at(hash % set_count_);
    const TryLock locked(set.lock, tries);
    if (!locked) {
        busy_.fetch_add(1, std::memory_order_relaxed);
        return false;
    }
    bool figures_added = false;
    const auto add_to = [&](SharedDelta& entry) {
        if (!figures_added) {
            entry.figures.add(delta.figures);
            entry.errors.add(delta.errors);
            delta.figures = {};
            delta.errors.clear();
            figures_added = true;
        }
        delta.latencies.take([&entry](int bucket, std::uint32_t count) { return entry.add(bucket, count); });
    };
    for (int way = 0; way < ways; ++way)
        if (set.tags[way] == tag && set.entries[way].key == delta.key) {
            add_to(set.entries[way]);
            if (delta.latencies.empty())
                return true;
        }
    while (!figures_added || !delta.latencies.empty()) {
        const int way = make_room(set, delta.key, place, tries);
        if (way < 0) {
            busy_.fetch_add(1, std::memory_order_relaxed);
            return false;
        }
        set.entries[way] = SharedDelta{};
        set.entries[way].key = delta.key;
        set.tags[way] = tag;
        add_to(set.entries[way]);
    }
    return true;
}

int StatementTable::take_from(Set& set, std::uint32_t database, std::uint32_t running_minute, SharedDelta* taken) {
    const auto due = [&](int way) {
        return set.tags[way] != 0 && set.entries[way].key.database == database &&
               set.entries[way].key.minute != running_minute;
    };
    // Unlocked, a first look; the second is below.
    bool any = false;
    for (int way = 0; way < ways && !any; ++way)
        any = due(way);
    if (!any)
        return 0;
    const TryLock locked(set.lock, reader_tries);
    if (!locked)
        return 0;
    int count = 0;
    for (int way = 0; way < ways; ++way)
        if (due(way)) {
            taken[count++] = set.entries[way];
            set.tags[way] = 0;
        }
    return count;
}

bool StatementTable::take_rest(int place, std::uint32_t database, Figures& figures, ErrorClasses& errors,
                               LatencyHistogram& latencies) {
    RestOfDatabase& rest = rests_[place];
    const TryLock locked(rest.lock, reader_tries);
    if (!locked || rest.database != database || rest.figures.calls == 0)
        return false;
    figures = rest.figures;
    errors = rest.errors;
    for (int bucket = 0; bucket < latency_bucket_count; ++bucket)
        if (rest.latencies[bucket] > 0)
            latencies.add(bucket, rest.latencies[bucket]);
    claim(rest, 0);
    return true;
}

std::size_t StatementTable::used() const {
    std::size_t count = 0;
    for (std::size_t i = 0; i < set_count_; ++i) {
        const auto* set = reinterpret_cast<const Set*>(reinterpret_cast<const char*>(this) + sets_at_) + i;
        count += static_cast<std::size_t>(
            std::count_if(std::begin(set->tags), std::end(set->tags), [](std::uint32_t tag) { return tag != 0; }));
    }
    return count;
}

} // namespace citadel::capture
