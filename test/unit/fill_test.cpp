#include "text/fill.hpp"

#include <gtest/gtest.h>

#include <stdexcept>

using citadel::fill;

TEST(Fill, PutsTextsInTheirPlaces) {
    EXPECT_EQ(fill("SELECT {columns} FROM {table}", {{"columns", "a, b"}, {"table", "t"}}), "SELECT a, b FROM t");
    EXPECT_EQ(fill("{x}{x}", {{"x", "y"}}), "yy");
    EXPECT_EQ(fill("", {}), "");
}

TEST(Fill, LeavesOtherBraces) {
    EXPECT_EQ(fill("'{}' '{1,2}' { {a b} {", {}), "'{}' '{1,2}' { {a b} {");
    EXPECT_EQ(fill("{{x}}", {{"x", "y"}}), "{y}");
    EXPECT_EQ(fill("end {x", {{"x", "y"}}), "end {x");
}

TEST(Fill, DoesNotLookIntoTexts) {
    EXPECT_EQ(fill("{a}{b}", {{"a", "{b}"}, {"b", "{a}"}}), "{b}{a}");
}

TEST(Fill, WantsEveryName) {
    EXPECT_THROW(fill("{a} {b}", {{"a", ""}}), std::logic_error);
}
