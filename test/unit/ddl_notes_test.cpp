#include "history/ddl_notes.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <set>
#include <thread>
#include <vector>

using namespace citadel::history;

namespace {

DdlNote note_of(std::uint32_t object, DdlAction action, std::uint32_t database = 1, std::int64_t at = 0) {
    DdlNote note;
    note.object_class = 1259;
    note.object = object;
    note.action = action;
    note.database = database;
    note.at = at;
    return note;
}

std::vector<std::uint32_t> objects_of(DdlNotes& notes) {
    std::vector<std::uint32_t> objects;
    objects.reserve(static_cast<std::size_t>(notes.size()));
    for (int i = 0; i < notes.size(); ++i)
        objects.push_back(notes[i].object);
    return objects;
}

} // namespace

TEST(DdlNotes, WhatIsRolledBackNeverWas) {
    DdlNotes notes;
    notes.add(note_of(1, DdlAction::created), 1);
    notes.add(note_of(2, DdlAction::created), 2); // savepoint a
    notes.add(note_of(3, DdlAction::created), 3); // savepoint b in it
    notes.subtransaction_ends(3, true);           // release b: now a's
    notes.add(note_of(4, DdlAction::created), 3);
    notes.subtransaction_ends(3, false);
    EXPECT_EQ(objects_of(notes), (std::vector<std::uint32_t>{1, 2, 3}));
    notes.subtransaction_ends(2, false);
    EXPECT_EQ(objects_of(notes), (std::vector<std::uint32_t>{1}));
    notes.add(note_of(5, DdlAction::created), 2);
    notes.subtransaction_ends(2, true);
    notes.subtransaction_ends(2, false); // another one
    EXPECT_EQ(objects_of(notes), (std::vector<std::uint32_t>{1, 5}));
    notes.clear();
    EXPECT_EQ(notes.size(), 0);
}

TEST(DdlNotes, TheSameIsNotedOnce) {
    DdlNotes notes;
    for (int i = 0; i < 100; ++i)
        EXPECT_TRUE(notes.add(note_of(1, DdlAction::altered), 1));
    EXPECT_EQ(notes.size(), 1);
    notes.add(note_of(1, DdlAction::dropped), 1);
    EXPECT_EQ(notes.size(), 2);
    notes.add(note_of(2, DdlAction::created), 1);
    notes.add(note_of(2, DdlAction::altered), 1); // part of making it
    EXPECT_EQ(notes.size(), 3);
}

TEST(DdlNotes, WhatWasCreatedAndDroppedNeverWas) {
    DdlNotes notes;
    notes.add(note_of(1, DdlAction::created), 1);
    notes.add(note_of(2, DdlAction::created), 1);
    notes.add(note_of(1, DdlAction::dropped), 1);
    EXPECT_EQ(objects_of(notes), (std::vector<std::uint32_t>{2}));
    // The drop may be rolled back alone.
    notes.add(note_of(2, DdlAction::dropped), 2);
    EXPECT_EQ(notes.size(), 2);
    notes.subtransaction_ends(2, false);
    ASSERT_EQ(notes.size(), 1);
    EXPECT_EQ(notes[0].action, DdlAction::created);
}

TEST(DdlNotes, IsBounded) {
    DdlNotes notes;
    for (std::uint32_t i = 0; i < DdlNotes::capacity; ++i)
        EXPECT_TRUE(notes.add(note_of(i + 1, DdlAction::created), 1));
    EXPECT_FALSE(notes.room());
    EXPECT_FALSE(notes.add(note_of(1000, DdlAction::created), 1));
    EXPECT_TRUE(notes.add(note_of(7, DdlAction::created), 1)); // known already
    EXPECT_EQ(notes.size(), DdlNotes::capacity);
}

TEST(DdlRing, EachDatabaseTakesItsOwn) {
    auto ring = std::make_unique<DdlRing>();
    ring->push(note_of(1, DdlAction::created, 10));
    ring->push(note_of(2, DdlAction::created, 20));
    ring->push(note_of(3, DdlAction::dropped, 10));
    std::vector<DdlNote> taken;
    const auto take = [&taken](const DdlNote& note) { taken.push_back(note); };
    ring->drain(10, take);
    ASSERT_EQ(taken.size(), 2U);
    EXPECT_EQ(taken[0].object, 1U);
    EXPECT_EQ(taken[1].object, 3U);
    EXPECT_LT(taken[0].number, taken[1].number);
    ring->drain(10, take);
    EXPECT_EQ(taken.size(), 2U);
    ring->drain(20, take);
    EXPECT_EQ(taken.size(), 3U);
}

TEST(DdlRing, WhatDoesNotFitIsCounted) {
    auto ring = std::make_unique<DdlRing>();
    for (std::uint32_t i = 0; i < DdlRing::slots; ++i)
        EXPECT_TRUE(ring->push(note_of(i, DdlAction::created, 10, 0)));
    EXPECT_FALSE(ring->push(note_of(1, DdlAction::created, 20, 1)));
    EXPECT_EQ(ring->missed(), 1U);
    // What nobody has read for ten minutes makes room.
    EXPECT_TRUE(ring->push(note_of(1, DdlAction::created, 20, DdlRing::forgotten_after + 1)));
    EXPECT_EQ(ring->missed(), 2U);
    std::size_t taken = 0;
    ring->drain(10, [&taken](const DdlNote&) { ++taken; });
    EXPECT_EQ(taken, DdlRing::slots - 1);
    EXPECT_TRUE(ring->push(note_of(2, DdlAction::created, 20, 2)));
}

TEST(DdlRing, ManyWritersAndReadersLoseNothing) {
    auto ring = std::make_unique<DdlRing>();
    constexpr std::uint32_t writers = 4, each = 20000;
    std::atomic<std::uint32_t> running{writers};
    std::vector<std::thread> threads;
    std::atomic<std::uint64_t> pushed{0};
    for (std::uint32_t w = 0; w < writers; ++w)
        threads.emplace_back([&, w] {
            for (std::uint32_t i = 0; i < each; ++i) {
                DdlNote note = note_of(w * each + i, DdlAction::created, 1 + w % 2);
                note.relation = ~note.object;
                if (ring->push(note))
                    ++pushed;
            }
            --running;
        });
    std::array<std::set<std::uint32_t>, 2> seen;
    std::atomic<int> torn{0};
    for (std::uint32_t database : {1U, 2U})
        threads.emplace_back([&, database] {
            for (bool last = false; !last;) {
                last = running == 0;
                ring->drain(database, [&](const DdlNote& note) {
                    if (note.relation != ~note.object || !seen[database - 1].insert(note.object).second)
                        ++torn;
                });
            }
        });
    for (auto& thread : threads)
        thread.join();
    EXPECT_EQ(torn, 0);
    EXPECT_EQ(seen[0].size() + seen[1].size(), pushed.load());
    EXPECT_EQ(pushed + ring->missed(), std::uint64_t{writers} * each);
}
