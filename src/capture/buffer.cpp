#include "capture/buffer.hpp"

#include "capture/random.hpp"

#include <algorithm>
#include <new>

namespace citadel::capture {

namespace {

constexpr std::size_t aligned(std::size_t bytes) {
    return (bytes + cache_line - 1) / cache_line * cache_line;
}

// Key of an armed plan: never 0, with the two low bits free for what it is armed for.
std::uint64_t armed_key(std::uint32_t database, std::uint64_t query_id, std::uint64_t plan_id) {
    return (mix(plan_id + mix(query_id + mix(database))) | 4) & ~std::uint64_t{3};
}

} // namespace

struct Buffer::Layout {
    std::size_t slots_at, sample_links_at, samples_at, buckets_at, block_links_at, blocks_at, end;
    std::uint32_t samples, buckets, blocks;
};

// Half for samples: with the default of 16 MB some 41,000, more than 10 seconds of 2,000 a second. One sixteenth for
// the index, the rest for texts.
Buffer::Layout Buffer::layout(std::size_t wanted, int backends) {
    Layout l{};
    wanted = std::max<std::size_t>(wanted, 256 * 1024);
    l.samples = static_cast<std::uint32_t>(wanted / 2 / (sizeof(SampleEntry) + sizeof(std::uint32_t)));
    l.buckets = static_cast<std::uint32_t>(std::max<std::size_t>(8, wanted / 16 / sizeof(Bucket)));
    l.blocks = static_cast<std::uint32_t>(wanted * 7 / 16 / (sizeof(Block) + sizeof(std::uint32_t)));
    l.slots_at = aligned(sizeof(Buffer));
    l.sample_links_at = aligned(l.slots_at + sizeof(BackendSlot) * static_cast<std::size_t>(backends));
    l.samples_at = aligned(l.sample_links_at + sizeof(std::uint32_t) * l.samples);
    l.buckets_at = aligned(l.samples_at + sizeof(SampleEntry) * l.samples);
    l.block_links_at = aligned(l.buckets_at + sizeof(Bucket) * l.buckets);
    l.blocks_at = aligned(l.block_links_at + sizeof(std::uint32_t) * l.blocks);
    l.end = aligned(l.blocks_at + sizeof(Block) * l.blocks);
    return l;
}

std::size_t Buffer::size_for(std::size_t wanted, int backends) {
    return layout(wanted, backends).end;
}

Buffer* Buffer::create(void* memory, std::size_t wanted, int backends) {
    const Layout l = layout(wanted, backends);
    auto* buffer = new (memory) Buffer();
    buffer->bytes_ = l.end;
    buffer->slots_at_ = l.slots_at;
    buffer->sample_links_at_ = l.sample_links_at;
    buffer->samples_at_ = l.samples_at;
    buffer->buckets_at_ = l.buckets_at;
    buffer->block_links_at_ = l.block_links_at;
    buffer->blocks_at_ = l.blocks_at;
    buffer->sample_count_ = l.samples;
    buffer->bucket_count_ = l.buckets;
    buffer->block_count_ = l.blocks;
    buffer->backend_count_ = backends;
    buffer->generation_.store(1);
    for (Database& database : buffer->databases_) {
        database.oid.store(0);
        database.newest.store(no_index);
        database.consumer.store(-1);
    }
    for (int i = 0; i < backends; ++i)
        new (&buffer->backend(i)) BackendSlot();
    for (std::uint32_t i = 0; i < l.buckets; ++i)
        new (&buffer->bucket(i)) Bucket();
    for (std::uint32_t i = 0; i < l.samples; ++i)
        new (&buffer->sample(i)) SampleEntry();
    buffer->sample_list_.fill(buffer->at<std::atomic<std::uint32_t>>(l.sample_links_at), l.samples);
    buffer->block_list_.fill(buffer->at<std::atomic<std::uint32_t>>(l.block_links_at), l.blocks);
    return buffer;
}

std::size_t Buffer::bytes_used() const {
    return sample_list_.used() * sizeof(SampleEntry) + block_list_.used() * sizeof(Block);
}

std::uint32_t Buffer::take_block() {
    return block_list_.take(at<std::atomic<std::uint32_t>>(block_links_at_));
}
void Buffer::give_block(std::uint32_t i) {
    block_list_.give(at<std::atomic<std::uint32_t>>(block_links_at_), i);
}

int Buffer::find_database(std::uint32_t oid) const {
    for (int i = 0; i < max_databases; ++i)
        if (databases_[i].oid.load(std::memory_order_acquire) == oid)
            return i;
    return -1;
}

void Buffer::deactivate(Database& database) {
    database.oid.store(0, std::memory_order_release);
    generation_.fetch_add(1, std::memory_order_acq_rel);
}

// Readers are background workers: they may wait for each other for a moment, and try again in the next cycle.
int Buffer::become_consumer(std::uint32_t oid, std::int32_t process, bool hold, bool& changed) {
    changed = false;
    int index = find_database(oid);
    if (index < 0) {
        std::uint32_t unlocked = 0;
        if (!registry_lock_.compare_exchange_strong(unlocked, 1, std::memory_order_acquire))
            return -1;
        index = find_database(oid);
        if (index < 0)
            index = find_database(0);
        if (index >= 0 && databases_[index].oid.load(std::memory_order_relaxed) != oid) {
            databases_[index].consumer.store(-1, std::memory_order_relaxed);
            databases_[index].held.store(0, std::memory_order_relaxed);
            databases_[index].oid.store(oid, std::memory_order_release);
            generation_.fetch_add(1, std::memory_order_acq_rel);
        }
        registry_lock_.store(0, std::memory_order_release);
        if (index < 0)
            return -1;
    }
    Database& database = databases_[index];
    const std::int32_t before = database.consumer.load(std::memory_order_acquire);
    if (before != process) {
        if (database.held.load(std::memory_order_acquire) != 0 && before != -1)
            return -1;
        database.consumer.store(process, std::memory_order_release);
        changed = true;
    }
    database.held.store(hold ? 1 : 0, std::memory_order_release);
    return index;
}

bool Buffer::is_consumer(int database, std::uint32_t oid, std::int32_t process) const {
    return database >= 0 && databases_[database].oid.load(std::memory_order_acquire) == oid &&
           databases_[database].consumer.load(std::memory_order_acquire) == process;
}

void Buffer::leave(int database, std::int32_t process, std::int64_t now) {
    Database& left = databases_[database];
    left.left_at.store(now, std::memory_order_relaxed);
    std::int32_t expected = process;
    if (left.consumer.compare_exchange_strong(expected, -1, std::memory_order_acq_rel))
        left.held.store(0, std::memory_order_release);
}

void Buffer::forget_abandoned(std::int64_t now, std::int64_t patience) {
    for (int i = 0; i < max_databases; ++i) {
        Database& database = databases_[i];
        const bool in_use = database.oid.load(std::memory_order_acquire) != 0;
        if (in_use && (database.consumer.load(std::memory_order_acquire) != -1 ||
                       now - database.left_at.load(std::memory_order_relaxed) < patience))
            continue;
        if (in_use)
            deactivate(database);
        // A backend that was just about to push may still do so after this: the next round finds it.
        if (database.newest.load(std::memory_order_relaxed) != no_index &&
            database.oid.load(std::memory_order_acquire) == 0)
            drain(
                i, [](std::size_t) {}, [this](const Sample&) { count(count_discarded); });
    }
}

Buffer::Pushed Buffer::push(int database, const Sample& sample) {
    const std::uint32_t index = sample_list_.take(at<std::atomic<std::uint32_t>>(sample_links_at_));
    Database& to = databases_[database];
    if (index == no_index) {
        count(count_dropped_full);
        return Pushed::full;
    }
    SampleEntry& entry = this->sample(index);
    entry.sample = sample;
    // The reader takes the whole queue at once, so a head that comes back to the same value is the same queue.
    std::uint32_t newest = to.newest.load(std::memory_order_relaxed);
    do {
        entry.next.store(newest, std::memory_order_relaxed);
    } while (!to.newest.compare_exchange_weak(newest, index, std::memory_order_release, std::memory_order_relaxed));
    count(count_captured);
    if (sample_list_.used() < sample_count_ / 2 || to.woken.exchange(1, std::memory_order_relaxed) != 0)
        return Pushed::stored;
    return Pushed::stored_and_half_full;
}

// Turns the chain of a taken queue round: the newest came first.
std::uint32_t Buffer::reversed(std::uint32_t newest, std::size_t& count) {
    std::uint32_t oldest = no_index;
    while (newest != no_index) {
        const std::uint32_t next = sample(newest).next.load(std::memory_order_relaxed);
        sample(newest).next.store(oldest, std::memory_order_relaxed);
        oldest = newest;
        newest = next;
        ++count;
    }
    return oldest;
}

// Two places for each key. A plan that is armed and never runs again is overwritten by later ones.
void Buffer::arm(std::uint32_t database, std::uint64_t query_id, std::uint64_t plan_id, unsigned what) {
    const std::uint64_t key = armed_key(database, query_id, plan_id);
    for (int attempt = 0; attempt < 4; ++attempt) {
        auto& slot = armed_[(key >> 8) % armed_slots ^ static_cast<unsigned>(attempt & 1)];
        std::uint64_t old = slot.load(std::memory_order_relaxed);
        const bool same = (old & ~std::uint64_t{3}) == key;
        if (old != 0 && !same && attempt < 3)
            continue;
        if (!slot.compare_exchange_strong(old, key | what | (same ? old & 3 : 0), std::memory_order_acq_rel))
            continue;
        if (old == 0)
            armed_count_.fetch_add(1, std::memory_order_relaxed);
        return;
    }
}

unsigned Buffer::claim_armed(std::uint32_t database, std::uint64_t query_id, std::uint64_t plan_id) {
    const std::uint64_t key = armed_key(database, query_id, plan_id);
    for (unsigned place = 0; place < 2; ++place) {
        auto& slot = armed_[(key >> 8) % armed_slots ^ place];
        std::uint64_t old = slot.load(std::memory_order_relaxed);
        if ((old & ~std::uint64_t{3}) != key || !slot.compare_exchange_strong(old, 0, std::memory_order_acq_rel))
            continue;
        armed_count_.fetch_sub(1, std::memory_order_relaxed);
        return static_cast<unsigned>(old & 3);
    }
    return armed_none;
}

} // namespace citadel::capture
