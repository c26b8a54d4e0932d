#include "capture/store.hpp"

#include "capture/random.hpp"

#include <algorithm>
#include <cstring>

namespace citadel::capture {

namespace {

constexpr int buckets_to_search = 16; // for something to evict, at a time

inline void pause() {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#endif
}

bool same(const Entry& entry, Entry::Kind kind, const StatementKey& key, std::uint64_t plan_id) {
    return entry.kind == kind && entry.query_id == key.query_id && entry.plan_id == plan_id &&
           entry.database == key.database && entry.user == key.user;
}

} // namespace

Store::Locked::Locked(Bucket& bucket, int tries) : bucket_(bucket), held_(false) {
    for (; tries > 0 && !held_; --tries) {
        std::uint32_t unlocked = 0;
        held_ = bucket.lock.load(std::memory_order_relaxed) == 0 &&
                bucket.lock.compare_exchange_weak(unlocked, 1, std::memory_order_acquire);
        if (!held_)
            pause();
    }
}

Store::Locked::~Locked() {
    if (held_)
        bucket_.lock.store(0, std::memory_order_release);
}

std::uint32_t Store::bucket_of(const StatementKey& key, std::uint64_t plan_id) const {
    const std::uint64_t owner = (static_cast<std::uint64_t>(key.database) << 32) | key.user;
    return static_cast<std::uint32_t>(mix(key.query_id + mix(owner + mix(plan_id))) % buffer_.bucket_count());
}

Entry* Store::find(Bucket& bucket, Entry::Kind kind, const StatementKey& key, std::uint64_t plan_id) {
    for (Entry& entry : bucket.ways)
        if (same(entry, kind, key, plan_id))
            return &entry;
    return nullptr;
}

// A free way, or the one used longest ago of those the reader has taken (or that hold nothing to be taken).
Entry* Store::find_room(Bucket& bucket) {
    Entry* oldest = nullptr;
    for (Entry& entry : bucket.ways) {
        if (entry.kind == Entry::Kind::free)
            return &entry;
        if ((entry.taken || entry.text.length == 0) && (oldest == nullptr || entry.last_used < oldest->last_used))
            oldest = &entry;
    }
    return oldest;
}

bool Store::write(std::string_view bytes, Chain& chain) {
    chain = {};
    std::uint32_t last = no_index;
    for (std::size_t done = 0; done < bytes.size();) {
        std::uint32_t index = buffer_.take_block();
        for (int attempt = 0; index == no_index && attempt < buckets_to_search; ++attempt)
            if (evict_one())
                index = buffer_.take_block();
        if (index == no_index) {
            release(chain);
            return false;
        }
        Block& block = buffer_.block(index);
        block.next.store(no_index, std::memory_order_relaxed);
        const std::size_t piece = std::min<std::size_t>(bytes.size() - done, block_bytes);
        std::memcpy(block.data, bytes.data() + done, piece);
        if (last == no_index)
            chain.first = index;
        else
            buffer_.block(last).next.store(index, std::memory_order_relaxed);
        last = index;
        done += piece;
        chain.length = static_cast<std::uint32_t>(done);
    }
    return true;
}

std::size_t Store::read(const Chain& chain, char* room, std::size_t room_size) {
    if (chain.length > room_size)
        return 0;
    std::size_t done = 0;
    for (std::uint32_t index = chain.first; index != no_index && done < chain.length;
         index = buffer_.block(index).next.load(std::memory_order_relaxed)) {
        const std::size_t piece = std::min<std::size_t>(chain.length - done, block_bytes);
        std::memcpy(room + done, buffer_.block(index).data, piece);
        done += piece;
    }
    return done;
}

void Store::release(Chain& chain) {
    for (std::uint32_t index = chain.first; index != no_index;) {
        const std::uint32_t next = buffer_.block(index).next.load(std::memory_order_relaxed);
        buffer_.give_block(index);
        index = next;
    }
    chain = {};
}

void Store::release(Entry& entry) {
    release(entry.text);
    release(entry.search_path);
    for (Chain& parameters : entry.parameters)
        release(parameters);
    entry.kind = Entry::Kind::free;
}

// Looks at one more bucket; true when something was freed.
bool Store::evict_one() {
    Bucket& bucket = buffer_.bucket(buffer_.next_victim_bucket());
    Entry victim{};
    {
        Locked locked(bucket, 1);
        if (!locked)
            return false;
        Entry* oldest = nullptr;
        for (Entry& entry : bucket.ways)
            if (entry.kind != Entry::Kind::free && entry.taken &&
                (oldest == nullptr || entry.last_used < oldest->last_used))
                oldest = &entry;
        if (oldest == nullptr)
            return false;
        victim = *oldest;
        *oldest = {};
    }
    release(victim);
    buffer_.count(count_evicted);
    return true;
}

Store::Known Store::statement_known(const StatementKey& key, std::int64_t now) {
    Bucket& bucket = buffer_.bucket(bucket_of(key, 0));
    Locked locked(bucket, writer_tries);
    if (!locked)
        return Known::busy;
    Entry* entry = find(bucket, Entry::Kind::statement, key, 0);
    if (entry == nullptr)
        return Known::no;
    entry->last_used = now;
    return Known::yes;
}

Store::Stored Store::store_statement(const StatementKey& key, std::string_view text, std::string_view search_path,
                                     bool truncated, std::uint32_t literals, std::int64_t now) {
    Entry fresh{};
    fresh.kind = Entry::Kind::statement;
    fresh.database = key.database;
    fresh.user = key.user;
    fresh.query_id = key.query_id;
    fresh.truncated = truncated;
    fresh.literals = literals;
    fresh.last_used = now;
    if (!write(text, fresh.text) || !write(search_path.substr(0, longest_search_path), fresh.search_path)) {
        release(fresh);
        return Stored::no_room;
    }
    Entry old{};
    Stored result = Stored::yes;
    {
        Bucket& bucket = buffer_.bucket(bucket_of(key, 0));
        Locked locked(bucket, writer_tries);
        Entry* entry = locked ? find(bucket, Entry::Kind::statement, key, 0) : nullptr;
        if (!locked) {
            result = Stored::busy;
            old = fresh;
        } else if (entry != nullptr) { // somebody else was quicker
            old = fresh;
        } else if (entry = find_room(bucket); entry == nullptr) {
            result = Stored::no_room;
            old = fresh;
        } else {
            if (entry->kind != Entry::Kind::free)
                buffer_.count(count_evicted);
            old = *entry;
            *entry = fresh;
        }
    }
    release(old);
    return result;
}

Store::PlanState Store::plan_state(const StatementKey& key, std::uint64_t plan_id, std::int64_t now,
                                   std::int64_t rearm_after) {
    Bucket& bucket = buffer_.bucket(bucket_of(key, plan_id));
    Locked locked(bucket, writer_tries);
    if (!locked)
        return {Known::busy, false, false};
    Entry* entry = find(bucket, Entry::Kind::plan, key, plan_id);
    if (entry == nullptr)
        return {Known::no, false, false};
    entry->last_used = now;
    const bool arm = !entry->has_row_counts && entry->text.length > 0 && now - entry->armed_at >= rearm_after;
    if (arm)
        entry->armed_at = now;
    return {Known::yes, entry->has_row_counts, arm};
}

Store::Stored Store::store_plan(const StatementKey& key, std::uint64_t plan_id, std::string_view json,
                                bool has_row_counts, std::int64_t now) {
    Entry fresh{};
    fresh.kind = Entry::Kind::plan;
    fresh.database = key.database;
    fresh.user = key.user;
    fresh.query_id = key.query_id;
    fresh.plan_id = plan_id;
    fresh.has_row_counts = has_row_counts;
    fresh.last_used = now;
    if (json.size() > longest_text || !write(json, fresh.text))
        return Stored::no_room;
    Entry old{};
    Stored result = Stored::yes;
    {
        Bucket& bucket = buffer_.bucket(bucket_of(key, plan_id));
        Locked locked(bucket, writer_tries);
        Entry* entry = locked ? find(bucket, Entry::Kind::plan, key, plan_id) : nullptr;
        if (!locked) {
            result = Stored::busy;
            old = fresh;
        } else if (entry != nullptr && (!has_row_counts || json.empty())) { // somebody else was quicker, or nothing new
            old = fresh;
        } else if (entry = entry != nullptr ? entry : find_room(bucket); entry == nullptr) {
            result = Stored::no_room;
            old = fresh;
        } else {
            fresh.armed_at = same(*entry, Entry::Kind::plan, key, plan_id) ? entry->armed_at : 0;
            old = *entry;
            *entry = fresh;
        }
    }
    release(old);
    return result;
}

Store::Offered Store::count_parameter_set(const StatementKey& key) {
    Bucket& bucket = buffer_.bucket(bucket_of(key, 0));
    Locked locked(bucket, writer_tries);
    Entry* entry = locked ? find(bucket, Entry::Kind::statement, key, 0) : nullptr;
    return entry != nullptr ? Offered{++entry->parameter_sets_seen, entry->literals} : Offered{0, 0};
}

Store::Stored Store::store_parameters(const StatementKey& key, int slot, std::string_view packed) {
    Chain chain;
    if (!write(packed, chain))
        return Stored::no_room;
    {
        Bucket& bucket = buffer_.bucket(bucket_of(key, 0));
        Locked locked(bucket, writer_tries);
        if (Entry* entry = locked ? find(bucket, Entry::Kind::statement, key, 0) : nullptr; entry != nullptr)
            std::swap(entry->parameters[slot], chain);
    }
    release(chain); // the old set, or the new one when its statement has gone
    return Stored::yes;
}

void Store::forget_taken(std::uint32_t database) {
    for (std::uint32_t b = 0; b < buffer_.bucket_count(); ++b) {
        Bucket& bucket = buffer_.bucket(b);
        Locked locked(bucket, reader_tries);
        if (!locked)
            continue;
        for (Entry& entry : bucket.ways)
            if (entry.kind != Entry::Kind::free && entry.database == database)
                entry.taken = false;
    }
}

void Store::clear_parameters(std::uint32_t database) {
    for (std::uint32_t b = 0; b < buffer_.bucket_count(); ++b) {
        for (int way = 0; way < bucket_ways; ++way) {
            Bucket& bucket = buffer_.bucket(b);
            Chain old[parameter_slots];
            {
                Locked locked(bucket, reader_tries);
                Entry& entry = bucket.ways[way];
                if (!locked || entry.kind != Entry::Kind::statement || entry.database != database)
                    continue;
                std::copy(std::begin(entry.parameters), std::end(entry.parameters), old);
                std::fill(std::begin(entry.parameters), std::end(entry.parameters), Chain{});
                entry.parameter_sets_seen = 0;
            }
            for (Chain& chain : old)
                release(chain);
        }
    }
}

std::size_t Store::count(Entry::Kind kind) {
    std::size_t n = 0;
    for (std::uint32_t b = 0; b < buffer_.bucket_count(); ++b)
        for (const Entry& entry : buffer_.bucket(b).ways)
            n += entry.kind == kind ? 1 : 0; // unlocked: a figure for people
    return n;
}

} // namespace citadel::capture
