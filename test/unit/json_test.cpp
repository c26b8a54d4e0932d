// Texts and numbers of JSON documents.
#include "text/json.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

using namespace citadel::text;

namespace {

TEST(Json, TextsAreEscaped) {
    EXPECT_EQ(json_text("a\"b\\c\n\x01\x1f"), "\"a\\\"b\\\\c\\u000a\\u0001\\u001f\"");
    EXPECT_EQ(json_text("\x7f\xc3\xa4"), "\"\x7f\xc3\xa4\"") << "nothing else needs to be";
    EXPECT_EQ(json_text(""), "\"\"");
}

TEST(Json, NumbersReadBackAsTheSame) {
    EXPECT_EQ(json_number(12.5), "12.5");
    EXPECT_EQ(json_number(0.1), "0.1");
    EXPECT_EQ(json_number(1e9), "1e+09");
    EXPECT_EQ(json_number(1234567), "1234567");
    EXPECT_EQ(json_number(0.1 + 0.2), "0.30000000000000004");
    EXPECT_EQ(json_rounded(0.1 + 0.2), "0.3");
    for (const double none : {std::numeric_limits<double>::infinity(), std::nan("")}) {
        EXPECT_EQ(json_number(none), "null");
        EXPECT_EQ(json_rounded(none), "null");
    }
}

TEST(Json, ObjectsAndArrays) {
    EXPECT_EQ(JsonObject().add("a", "b").add("n", 2.0).raw("x", "").text(), R"({"a": "b", "n": 2, "x": null})");
    EXPECT_EQ(json_array({"1", "{}"}), "[1, {}]");
}

} // namespace
