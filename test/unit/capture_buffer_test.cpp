#include "capture/buffer.hpp"
#include "capture/parameters.hpp"
#include "capture/store.hpp"

#include <cstdlib>
#include <gtest/gtest.h>
#include <set>
#include <string>
#include <thread>
#include <vector>

using namespace citadel::capture;

namespace {

class BufferTest : public ::testing::Test {
  protected:
    void make(std::size_t bytes) {
        free(memory_);
        const std::size_t size = Buffer::size_for(bytes, 10);
        memory_ = aligned_alloc(cache_line, size);
        buffer_ = Buffer::create(memory_, bytes, 10);
    }
    void SetUp() override { make(1024 * 1024); }
    void TearDown() override { free(memory_); }
    int register_database(std::uint32_t oid, int process = 1) {
        bool changed = false;
        return buffer_->become_consumer(oid, process, false, changed);
    }
    std::vector<Sample> drain(int database) {
        std::vector<Sample> out;
        buffer_->drain(
            database, [&](std::size_t n) { out.reserve(n); }, [&](const Sample& s) { out.push_back(s); });
        return out;
    }
    static Sample sample(std::uint64_t id) {
        Sample s{};
        s.query_id = id;
        return s;
    }

    void* memory_ = nullptr;
    Buffer* buffer_ = nullptr;
};

constexpr StatementKey key{5, 10, 77};

} // namespace

TEST_F(BufferTest, DefaultSizeHoldsTheBurst) {
    const std::size_t wanted = 16 * 1024 * 1024;
    EXPECT_LT(Buffer::size_for(wanted, 200), wanted + wanted / 16);
    make(wanted);
    EXPECT_GE(buffer_->sample_capacity(), 20000u);
    EXPECT_GE(buffer_->block_capacity() * block_bytes, 6u * 1024 * 1024);
}

TEST_F(BufferTest, SamplesComeOutOldestFirstEachDatabaseItsOwn) {
    const int a = register_database(1), b = register_database(2);
    ASSERT_NE(a, b);
    for (std::uint64_t i = 0; i < 10; ++i)
        buffer_->push(i % 2 == 0 ? a : b, sample(i));
    const auto first = drain(a);
    ASSERT_EQ(first.size(), 5u);
    for (std::size_t i = 0; i < 5; ++i)
        EXPECT_EQ(first[i].query_id, i * 2);
    EXPECT_EQ(drain(a).size(), 0u);
    EXPECT_EQ(drain(b).size(), 5u);
    EXPECT_EQ(buffer_->samples_used(), 0u);
}

TEST_F(BufferTest, FullMeansDroppedAndCountedAndTheReaderIsWokenOnce) {
    const int a = register_database(1);
    int woken = 0;
    for (std::uint32_t i = 0; i < buffer_->sample_capacity() + 7; ++i)
        woken += buffer_->push(a, sample(i)) == Buffer::Pushed::stored_and_half_full ? 1 : 0;
    EXPECT_EQ(woken, 1);
    EXPECT_EQ(buffer_->counted(count_dropped_full), 7u);
    EXPECT_EQ(drain(a).size(), buffer_->sample_capacity());
    EXPECT_EQ(buffer_->push(a, sample(1)), Buffer::Pushed::stored);
}

TEST_F(BufferTest, WritersBesideADrainDoNotSpoilTheNextWakeUp) {
    const int a = register_database(1);
    const int half = static_cast<int>(buffer_->sample_capacity() / 2);
    auto fill = [&] {
        int woken = 0;
        for (int i = 0; i <= half; ++i)
            woken += buffer_->push(a, sample(i)) == Buffer::Pushed::stored_and_half_full ? 1 : 0;
        return woken;
    };
    EXPECT_EQ(fill(), 1);
    // More than half is in use until the reader has freed its entries.
    buffer_->drain(
        a, [&](std::size_t) { EXPECT_NE(buffer_->push(a, sample(1)), Buffer::Pushed::full); }, [](const Sample&) {});
    EXPECT_EQ(fill(), 1);
}

TEST_F(BufferTest, AReaderThatThrowsLeaksNothing) {
    const int a = register_database(1);
    for (std::uint64_t i = 0; i < 10; ++i)
        buffer_->push(a, sample(i));
    EXPECT_THROW(buffer_->drain(
                     a, [](std::size_t) {}, [](const Sample& s) { s.query_id == 3 ? throw std::bad_alloc() : void(); }),
                 std::bad_alloc);
    EXPECT_EQ(buffer_->samples_used(), 0u);
    EXPECT_EQ(buffer_->counted(count_discarded), 7u);
}

TEST_F(BufferTest, ManyWritersAndOneReaderLoseNothing) {
    const int a = register_database(1);
    constexpr std::uint64_t writers = 4, each = 30000;
    std::atomic<bool> done{false};
    std::atomic<std::uint64_t> stored{0};
    std::set<std::uint64_t> seen;
    std::uint64_t received = 0;
    std::thread reader([&] {
        while (!done || buffer_->samples_used() > 0)
            for (const Sample& s : drain(a)) {
                ++received;
                seen.insert(s.query_id);
            }
    });
    std::vector<std::thread> threads;
    threads.reserve(writers);
    for (std::uint64_t w = 0; w < writers; ++w)
        threads.emplace_back([&, w] {
            for (std::uint64_t i = 0; i < each; ++i)
                stored += buffer_->push(a, sample(w * each + i)) != Buffer::Pushed::full ? 1 : 0;
        });
    for (auto& t : threads)
        t.join();
    done = true;
    reader.join();
    EXPECT_EQ(received, stored.load());
    EXPECT_EQ(seen.size(), received);
    EXPECT_EQ(stored.load() + buffer_->counted(count_dropped_full), writers * each);
    EXPECT_EQ(buffer_->samples_used(), 0u);
}

TEST_F(BufferTest, ReadersComeAndGo) {
    const auto generation = buffer_->generation();
    const int a = register_database(1, 11);
    EXPECT_NE(buffer_->generation(), generation);
    EXPECT_TRUE(buffer_->is_consumer(a, 1, 11));
    buffer_->push(a, sample(1));
    buffer_->leave(a, 11, 1000);
    EXPECT_FALSE(buffer_->is_consumer(a, 1, 11));
    buffer_->forget_abandoned(1500, 1000);
    EXPECT_EQ(buffer_->find_database(1), a); // still captured: another reader may come
    buffer_->forget_abandoned(2500, 1000);
    EXPECT_EQ(buffer_->find_database(1), -1);
    EXPECT_EQ(buffer_->samples_used(), 0u);
    EXPECT_EQ(register_database(9, 3), a); // the slot is used again
}

TEST_F(BufferTest, ADebuggingSessionIsNotDisplaced) {
    bool changed = false;
    const int a = register_database(1, 11);
    EXPECT_EQ(buffer_->become_consumer(1, 12, true, changed), a);
    EXPECT_TRUE(changed);
    EXPECT_EQ(buffer_->become_consumer(1, 11, false, changed), -1);
    buffer_->leave(a, 12, 0);
    EXPECT_EQ(buffer_->become_consumer(1, 11, false, changed), a);
}

TEST_F(BufferTest, MoreDatabasesThanSlots) {
    for (std::uint32_t oid = 1; oid <= max_databases; ++oid)
        EXPECT_GE(register_database(oid), 0);
    EXPECT_EQ(register_database(max_databases + 1), -1);
}

TEST_F(BufferTest, ArmedPlansAreClaimedOnce) {
    EXPECT_FALSE(buffer_->any_armed());
    buffer_->arm(1, 7, 70, armed_row_counts);
    buffer_->arm(1, 7, 70, armed_plan_at_start);
    EXPECT_TRUE(buffer_->any_armed());
    EXPECT_EQ(buffer_->claim_armed(2, 7, 70), armed_none);
    EXPECT_EQ(buffer_->claim_armed(1, 7, 71), armed_none); // the same statement with another plan
    EXPECT_EQ(buffer_->claim_armed(1, 7, 70), armed_row_counts | armed_plan_at_start);
    EXPECT_EQ(buffer_->claim_armed(1, 7, 70), armed_none);
    EXPECT_FALSE(buffer_->any_armed());
    for (std::uint64_t q = 0; q < 10000; ++q) // never claimed: later ones take their places
        buffer_->arm(1, q, q, armed_row_counts);
    buffer_->arm(1, 424242, 1, armed_row_counts);
    EXPECT_EQ(buffer_->claim_armed(1, 424242, 1), armed_row_counts);
    for (std::uint64_t q = 0; q < 10000; ++q)
        buffer_->claim_armed(1, q, q);
    EXPECT_FALSE(buffer_->any_armed());
}

TEST_F(BufferTest, TextsAreTakenOnceAndAgainByANewReader) {
    Store store(*buffer_);
    const std::string text(3000, 'x');
    EXPECT_EQ(store.statement_known(key, 1), Store::Known::no);
    EXPECT_EQ(store.store_statement(key, text, "app, public", false, 0, 1), Store::Stored::yes);
    EXPECT_EQ(store.statement_known(key, 2), Store::Known::yes);
    std::vector<char> room(Store::longest_text * 2);
    auto take = [&](std::int64_t now) {
        int taken = 0;
        store.take_new(Entry::Kind::statement, 5, room.data(), room.size(), now, 1000,
                       [&](const Entry& entry, std::string_view t, std::string_view path) {
                           ++taken;
                           EXPECT_EQ(entry.query_id, 77u);
                           EXPECT_EQ(t, text);
                           EXPECT_EQ(path, "app, public");
                       });
        return taken;
    };
    EXPECT_EQ(take(3), 1);
    EXPECT_EQ(take(4), 0);
    store.forget_taken(5);
    EXPECT_EQ(take(5), 1);
    store.statement_known(key, 2000); // used again long after
    EXPECT_EQ(take(2001), 1);
    EXPECT_EQ(take(2002), 0);
}

TEST_F(BufferTest, PlansGainRowCountsAndAreArmedNowAndThen) {
    Store store(*buffer_);
    EXPECT_EQ(store.plan_state(key, 3, 1, 100).known, Store::Known::no);
    store.store_plan(key, 3, "{}", false, 1);
    EXPECT_FALSE(store.plan_state(key, 3, 50, 100).should_arm);
    EXPECT_TRUE(store.plan_state(key, 3, 101, 100).should_arm);
    EXPECT_FALSE(store.plan_state(key, 3, 102, 100).should_arm);
    store.store_plan(key, 3, "{1}", true, 103);
    store.store_plan(key, 3, "{2}", false, 104); // the one without counts does not displace it
    const auto state = store.plan_state(key, 3, 1000, 100);
    EXPECT_TRUE(state.has_row_counts);
    EXPECT_FALSE(state.should_arm);
    std::vector<char> room(1000);
    std::string json;
    store.take_new(Entry::Kind::plan, 5, room.data(), room.size(), 1, 1000,
                   [&](const Entry&, std::string_view t, std::string_view) { json = t; });
    EXPECT_EQ(json, "{1}");
    EXPECT_EQ(store.count(Entry::Kind::plan), 1u);
}

TEST_F(BufferTest, ParameterSetsRoundTrip) {
    Store store(*buffer_);
    EXPECT_EQ(store.count_parameter_set(key).seen, 0u);
    store.store_statement(key, "SELECT $1", "", false, 1, 1);
    EXPECT_EQ(store.count_parameter_set(key).seen, 1u);
    char packed[1000];
    ParameterWriter writer(packed, sizeof packed);
    writer.literal("'a'");
    writer.bind(23, "42");
    writer.null_bind(25);
    ASSERT_TRUE(writer.complete());
    store.store_parameters(key, 0, writer.packed());
    const auto used = buffer_->blocks_used();
    store.store_parameters(key, 0, writer.packed()); // replaces
    EXPECT_EQ(buffer_->blocks_used(), used);
    std::vector<char> room(10000);
    int sets = 0;
    EXPECT_TRUE(store.read_parameters(key, room.data(), room.size(), [&](std::string_view bytes) {
        ++sets;
        ParameterReader reader(bytes);
        ParameterReader::Item item{};
        ASSERT_TRUE(reader.next(item));
        EXPECT_EQ(item.kind, 'l');
        EXPECT_EQ(item.value, "'a'");
        ASSERT_TRUE(reader.next(item));
        EXPECT_EQ(item.type, 23u);
        EXPECT_EQ(item.value, "42");
        ASSERT_TRUE(reader.next(item));
        EXPECT_TRUE(item.null);
        EXPECT_FALSE(reader.next(item));
    }));
    EXPECT_EQ(sets, 1);
    store.clear_parameters(5);
    sets = 0;
    store.read_parameters(key, room.data(), room.size(), [&](std::string_view) { ++sets; });
    EXPECT_EQ(sets, 0);
}

TEST(Parameters, DoNotOverflow) {
    char packed[40];
    ParameterWriter writer(packed, sizeof packed);
    writer.literal(std::string(20, 'x'));
    EXPECT_TRUE(writer.complete());
    writer.literal("y");
    EXPECT_FALSE(writer.complete());
}

TEST_F(BufferTest, FullStoreKeepsWhatTheReaderHasNotTaken) {
    make(256 * 1024);
    Store store(*buffer_);
    const std::string text(2000, 'x');
    std::uint64_t stored = 0;
    for (std::uint64_t q = 0; q < 1000; ++q)
        stored +=
            store.store_statement({5, 10, q}, text, "", false, 0, static_cast<std::int64_t>(q)) == Store::Stored::yes;
    EXPECT_LT(stored, 1000u);
    EXPECT_EQ(store.count(Entry::Kind::statement), stored);
    EXPECT_EQ(buffer_->counted(count_evicted), 0u);
    std::vector<char> room(10000);
    std::size_t taken = 0;
    store.take_new(Entry::Kind::statement, 5, room.data(), room.size(), 2000, 1000000,
                   [&](const Entry&, std::string_view, std::string_view) { ++taken; });
    EXPECT_EQ(taken, stored);
    std::uint64_t again = 0;
    for (std::uint64_t q = 2000; q < 2050; ++q)
        again +=
            store.store_statement({5, 10, q}, text, "", false, 0, static_cast<std::int64_t>(q)) == Store::Stored::yes;
    EXPECT_GE(again, 45u); // taken ones made room
    EXPECT_GT(buffer_->counted(count_evicted), 0u);
}

TEST_F(BufferTest, StoreUnderConcurrencyLeaksNoBlocks) {
    make(256 * 1024);
    Store store(*buffer_);
    std::atomic<bool> done{false};
    std::thread reader([&] {
        std::vector<char> room(Store::longest_text * 2);
        while (!done)
            store.take_new(Entry::Kind::statement, 5, room.data(), room.size(), 1, 1000,
                           [&](const Entry& entry, std::string_view text, std::string_view) {
                               EXPECT_EQ(text, std::string(100 + entry.query_id * 7,
                                                           static_cast<char>('a' + entry.query_id % 26)));
                           });
    });
    std::vector<std::thread> writers;
    writers.reserve(3);
    for (int w = 0; w < 3; ++w)
        writers.emplace_back([&, w] {
            for (std::uint64_t i = 0; i < 20000; ++i) {
                const std::uint64_t q = (i * 31 + static_cast<std::uint64_t>(w)) % 400;
                const StatementKey k{5, 10, q};
                if (store.statement_known(k, static_cast<std::int64_t>(i)) == Store::Known::no)
                    store.store_statement(k, std::string(100 + q * 7, static_cast<char>('a' + q % 26)), "p", false, 0,
                                          static_cast<std::int64_t>(i));
                store.store_parameters(k, static_cast<int>(i % parameter_slots), "0123456789");
            }
        });
    for (auto& t : writers)
        t.join();
    done = true;
    reader.join();
    std::uint64_t expected = 0;
    auto blocks = [](const Chain& chain) { return (chain.length + block_bytes - 1) / block_bytes; };
    for (std::uint32_t b = 0; b < buffer_->bucket_count(); ++b)
        for (const Entry& entry : buffer_->bucket(b).ways)
            if (entry.kind != Entry::Kind::free) {
                expected += blocks(entry.text) + blocks(entry.search_path);
                for (const Chain& chain : entry.parameters)
                    expected += blocks(chain);
            }
    EXPECT_EQ(buffer_->blocks_used(), expected);
}
