#include "jobs/database_list.hpp"

#include <gtest/gtest.h>

using citadel::jobs::database_allowed;

TEST(DatabaseAllowed, EmptyAndStarAllowAll) {
    EXPECT_TRUE(database_allowed("", "app"));
    EXPECT_TRUE(database_allowed("  ", "app"));
    EXPECT_TRUE(database_allowed(" , ,", "app"));
    EXPECT_TRUE(database_allowed("*", "app"));
    EXPECT_TRUE(database_allowed("other, *", "app"));
}

TEST(DatabaseAllowed, NamesAreComparedWhole) {
    EXPECT_TRUE(database_allowed("app", "app"));
    EXPECT_TRUE(database_allowed("one,app , two", "app"));
    EXPECT_FALSE(database_allowed("application", "app"));
    EXPECT_FALSE(database_allowed("app", "application"));
    EXPECT_FALSE(database_allowed("App", "app"));
    EXPECT_FALSE(database_allowed("one,two", "app"));
}

TEST(DatabaseAllowed, BlanksInsideANameBelongToIt) {
    EXPECT_TRUE(database_allowed("my app", "my app"));
    EXPECT_FALSE(database_allowed("my app", "my"));
}

TEST(DatabaseAllowed, QuotedNames) {
    EXPECT_TRUE(database_allowed("\"a,b\"", "a,b"));
    EXPECT_TRUE(database_allowed("x, \" blank \" ,y", " blank "));
    EXPECT_TRUE(database_allowed("\"say \"\"hi\"\"\"", "say \"hi\""));
    EXPECT_TRUE(database_allowed("\"one\", two", "two"));
    EXPECT_FALSE(database_allowed("\"*\"", "app"));
    EXPECT_TRUE(database_allowed("\"*\"", "*"));
    EXPECT_FALSE(database_allowed("\"app", "ap"));
    EXPECT_TRUE(database_allowed("\"app", "app")); // unterminated: read to the end
    EXPECT_FALSE(database_allowed("\"\"", "app"));
}
