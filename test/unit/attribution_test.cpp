#include "history/attribution.hpp"

#include <gtest/gtest.h>

#include <algorithm>

using namespace citadel::history;

namespace {

TableFacts table_of(double rows) {
    TableFacts table;
    table.name = "public.orders";
    table.rows = table.rows_before = table.rows_a_day_before = table.analyzed_rows = rows;
    return table;
}

// A statement that got another plan which reads the table whole; nothing else is known to have changed.
Facts flip() {
    Facts facts;
    facts.usual_ms = 1;
    facts.ms = 40;
    facts.other_plan = facts.plan_known = facts.old_plan_known = true;
    facts.before = {60, 5, 0, 0, 1};
    facts.since = {60, 4000, 100, 0, 1};
    facts.tables = {table_of(100000)};
    IndexFacts index;
    index.name = "orders_customer";
    index.pages = index.pages_before = 300;
    facts.indexes = {index};
    return facts;
}

// The same plan takes longer, with as many blocks.
Facts slower() {
    Facts facts = flip();
    facts.other_plan = false;
    facts.since = facts.before;
    return facts;
}

Cause main_cause(const Facts& facts) {
    return attribute(facts).front().cause;
}

bool names(const Facts& facts, Cause cause) {
    const auto found = attribute(facts);
    return std::any_of(found.begin(), found.end(), [cause](const Finding& one) { return one.cause == cause; });
}

DdlFacts ddl_of(const char* command, const char* action, const char* object, bool index) {
    DdlFacts ddl;
    ddl.at = "2026-11-21 14:03:12";
    ddl.command = command;
    ddl.action = action;
    ddl.object = object;
    ddl.table = "public.orders";
    ddl.index = index;
    return ddl;
}

SettingFacts setting_of(const char* name, SettingEffect effect) {
    return {"2026-11-21 14:03:12", name, "4", "100", "", effect};
}

} // namespace

TEST(Attribution, ADroppedIndex) {
    Facts facts = flip();
    facts.indexes[0].exists = false;
    facts.ddl = {ddl_of("DROP INDEX", "dropped", "orders_customer", true)};
    facts.tables[0].modified = 90000; // also true, but not why
    const auto found = attribute(facts);
    EXPECT_EQ(found[0].cause, Cause::index);
    EXPECT_NE(found[0].why.find("orders_customer"), std::string::npos);
    EXPECT_NE(found[0].why.find("DROP INDEX at 2026-11-21 14:03:12"), std::string::npos);
    EXPECT_TRUE(names(facts, Cause::statistics));
    EXPECT_TRUE(names(facts, Cause::plan));
    // Nobody knows by which command.
    facts.ddl.clear();
    EXPECT_EQ(main_cause(facts), Cause::index);
    // Nor which indexes the plan before had.
    facts = flip();
    facts.old_plan_known = false;
    facts.indexes.clear();
    facts.ddl = {ddl_of("DROP INDEX", "dropped", "orders_customer", true)};
    EXPECT_EQ(main_cause(facts), Cause::index);
}

TEST(Attribution, AnIndexThatThePlanBeforeDidNotUse) {
    Facts facts = flip();
    facts.ddl = {ddl_of("DROP INDEX", "dropped", "orders_note", true)};
    EXPECT_EQ(main_cause(facts), Cause::parameters);
    EXPECT_TRUE(names(facts, Cause::ddl)); // at the same time
}

TEST(Attribution, AnInvalidIndex) {
    Facts facts = flip();
    facts.indexes[0].valid = false;
    EXPECT_EQ(main_cause(facts), Cause::index);
}

TEST(Attribution, ANewIndexThatIsWorse) {
    Facts facts = flip();
    DdlFacts ddl = ddl_of("CREATE INDEX", "created", "orders_state", true);
    ddl.used_by_new_plan = true;
    facts.ddl = {ddl};
    EXPECT_EQ(main_cause(facts), Cause::ddl);
    facts.ddl[0].used_by_new_plan = false;
    EXPECT_EQ(main_cause(facts), Cause::parameters);
}

TEST(Attribution, Statistics) {
    Facts facts = flip();
    facts.tables[0].analyzed_at = "2026-11-21 14:03:12";
    EXPECT_EQ(main_cause(facts), Cause::statistics);
    // It found what had grown: the data is the cause.
    facts.tables[0].rows = 1000000;
    EXPECT_EQ(main_cause(facts), Cause::data);
    EXPECT_TRUE(names(facts, Cause::statistics));
    facts = flip();
    facts.tables[0].modified = 30000;
    EXPECT_EQ(main_cause(facts), Cause::statistics);
    facts.tables[0].modified = 10000; // autovacuum would not act yet
    EXPECT_EQ(main_cause(facts), Cause::parameters);
    facts.tables[0].has_statistics = false;
    EXPECT_EQ(main_cause(facts), Cause::statistics);
}

TEST(Attribution, Settings) {
    Facts facts = flip();
    facts.settings = {setting_of("random_page_cost", SettingEffect::planning)};
    EXPECT_EQ(main_cause(facts), Cause::setting);
    facts = slower();
    facts.settings = {setting_of("random_page_cost", SettingEffect::planning)};
    EXPECT_EQ(main_cause(facts), Cause::unknown); // the same plan: it only happened at the same time
    EXPECT_TRUE(names(facts, Cause::setting));
    facts.settings = {setting_of("jit_above_cost", SettingEffect::planning)};
    EXPECT_EQ(main_cause(facts), Cause::setting);
    facts.settings = {setting_of("work_mem", SettingEffect::memory)};
    EXPECT_EQ(main_cause(facts), Cause::unknown);
    facts.since.temp_blocks = 500;
    EXPECT_EQ(main_cause(facts), Cause::setting);
    facts.settings = {setting_of("synchronous_commit", SettingEffect::io)};
    EXPECT_EQ(main_cause(facts), Cause::setting);
}

TEST(Attribution, MoreOfTheSame) {
    Facts facts = slower();
    facts.since.blocks = 50;
    facts.tables[0].rows = 500000;
    EXPECT_EQ(main_cause(facts), Cause::data);
    facts.tables[0] = table_of(100000);
    EXPECT_EQ(main_cause(facts), Cause::parameters);
    facts.tables[0].rows_a_day_before = 20000; // it grew all day, and now the plan is wrong
    EXPECT_EQ(main_cause(facts), Cause::data);
    facts.tables[0].rows_a_day_before = 100000;
    facts.tables[0].dead = 200000;
    EXPECT_EQ(main_cause(facts), Cause::bloat);
    facts.tables[0].dead = 0;
    facts.indexes[0].pages = 900;
    EXPECT_EQ(main_cause(facts), Cause::bloat);
    facts.indexes[0].pages = 300;
    facts.plan_known = facts.old_plan_known = false;
    facts.tables.clear();
    EXPECT_EQ(main_cause(facts), Cause::blocks);
}

TEST(Attribution, WaitingAndCache) {
    Facts facts = slower();
    facts.waits = {10, 20, 0.1, 0.9, "Lock"};
    EXPECT_EQ(main_cause(facts), Cause::waiting);
    facts.waits.share_before = 0.8; // it always did
    EXPECT_EQ(main_cause(facts), Cause::unknown);
    facts.waits = {0, 20, 0, 0.9, "Lock"};
    EXPECT_EQ(main_cause(facts), Cause::waiting);
    facts.waits = {};
    facts.since.reads = 4;
    EXPECT_EQ(main_cause(facts), Cause::cache);
    facts.restarted_at = "2026-11-21 14:00:00";
    EXPECT_NE(attribute(facts)[0].why.find("started at"), std::string::npos);
    Facts other = flip(); // waiting beside another plan is not the main cause
    other.indexes[0].exists = false;
    other.waits = {10, 20, 0.1, 0.9, "Lock"};
    EXPECT_EQ(main_cause(other), Cause::index);
    EXPECT_TRUE(names(other, Cause::waiting));
}

TEST(Attribution, DdlThatNoPlanShows) {
    Facts facts = slower();
    DdlFacts trigger = ddl_of("CREATE TRIGGER", "created", "audit on public.orders", false);
    trigger.trigger = true;
    facts.ddl = {trigger};
    EXPECT_EQ(main_cause(facts), Cause::ddl);
    facts.ddl = {ddl_of("ALTER TABLE", "altered", "public.orders", false)};
    EXPECT_EQ(main_cause(facts), Cause::unknown);
    facts = flip();
    facts.ddl = {ddl_of("ALTER TABLE", "altered", "public.orders", false)};
    EXPECT_EQ(main_cause(facts), Cause::ddl);
}

TEST(Attribution, WhatIsNotKnownIsNotSaid) {
    Facts facts = flip();
    facts.plan_known = facts.old_plan_known = false;
    facts.tables.clear();
    facts.indexes.clear();
    EXPECT_EQ(main_cause(facts), Cause::plan);
    EXPECT_EQ(main_cause(slower()), Cause::unknown);
    for (const Cause cause : {Cause::index, Cause::unknown, Cause::parameters})
        EXPECT_STRNE(name_of(cause), "");
}

TEST(WatchedSettings, Effects) {
    EXPECT_EQ(effect_of("enable_seqscan"), SettingEffect::planning);
    EXPECT_EQ(effect_of("random_page_cost"), SettingEffect::planning);
    EXPECT_EQ(effect_of("jit_above_cost"), SettingEffect::planning);
    EXPECT_EQ(effect_of("work_mem"), SettingEffect::memory);
    EXPECT_EQ(effect_of("shared_buffers"), SettingEffect::io);
    EXPECT_EQ(effect_of("search_path"), SettingEffect::none);
    EXPECT_EQ(effect_of("primary_conninfo"), SettingEffect::none);
    EXPECT_EQ(effect_of(""), SettingEffect::none);
}
