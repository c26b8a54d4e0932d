// The canonical form of audit entries and the form in which a head is published.
#include "audit/canonical.hpp"

#include <gtest/gtest.h>

using namespace citadel::audit;

using Fields = std::vector<std::optional<std::string>>;

TEST(AuditCanonical, BytesCannotMoveBetweenFields) {
    EXPECT_NE(canonical_form(Fields{"ab", "c"}), canonical_form(Fields{"a", "bc"}));
    EXPECT_NE(canonical_form(Fields{"a", ""}), canonical_form(Fields{"", "a"}));
    EXPECT_NE(canonical_form(Fields{"a"}), canonical_form(Fields{"a", ""}));
}

TEST(AuditCanonical, NullIsNotEmpty) {
    EXPECT_NE(canonical_form(Fields{std::nullopt}), canonical_form(Fields{""}));
    EXPECT_NE(canonical_form(Fields{std::nullopt}), canonical_form(Fields{"\xFF\xFF\xFF\xFF"}));
    EXPECT_NE(canonical_form(Fields{std::nullopt, "a"}), canonical_form(Fields{"a", std::nullopt}));
}

TEST(AuditCanonical, FormatIsFixed) {
    // Chains that were written are verified by later versions: these bytes must not change.
    EXPECT_EQ(canonical_form(Fields{"ab", std::nullopt}),
              std::string("citadel_opt audit 1\0\0\0\0\2ab\xFF\xFF\xFF\xFF", 20 + 4 + 2 + 4));
}

TEST(AuditCanonical, LengthsAreFourBytes) {
    const std::string bytes = canonical_form(Fields{std::string(0x010203, 'x')});
    EXPECT_EQ(bytes.substr(20, 4), std::string("\0\1\2\3", 4));
}

TEST(AuditHead, RoundTrip) {
    const std::string hash(64, 'a');
    const auto head = parse_head(format_head(42, hash));
    ASSERT_TRUE(head.has_value());
    EXPECT_EQ(head->seq, 42);
    EXPECT_EQ(head->hash, hash);
}

TEST(AuditHead, HashAloneAndUpperCase) {
    const auto head = parse_head(std::string(64, 'A'));
    ASSERT_TRUE(head.has_value());
    EXPECT_FALSE(head->seq.has_value());
    EXPECT_EQ(head->hash, std::string(64, 'a'));
}

TEST(AuditHead, WhatIsNoHead) {
    const std::string hash(64, 'a');
    for (const std::string& text :
         {std::string(), std::string("7"), ":" + hash, "x:" + hash, "-1:" + hash, "1:" + hash.substr(1),
          "1:" + hash + "a", "1:" + hash.substr(1) + "g", "99999999999999999999:" + hash, "1:2:" + hash})
        EXPECT_FALSE(parse_head(text).has_value()) << text;
}
