#include "text/version.hpp"

#include <gtest/gtest.h>

using citadel::compare_versions;

TEST(Version, OlderSameNewer) {
    EXPECT_LT(compare_versions("0.0.9", "0.1.0"), 0);
    EXPECT_EQ(compare_versions("0.1.0", "0.1.0"), 0);
    EXPECT_GT(compare_versions("1.0.0", "0.9.9"), 0);
}

TEST(Version, PartsAreNumbers) {
    EXPECT_LT(compare_versions("0.9.0", "0.10.0"), 0);
    EXPECT_GT(compare_versions("0.1.100", "0.1.20"), 0);
    EXPECT_EQ(compare_versions("0.01", "0.1"), 0);
    EXPECT_EQ(compare_versions("00.0", "0.00"), 0);
    EXPECT_LT(compare_versions("1.99999999999999999999998", "1.99999999999999999999999"), 0);
}

TEST(Version, MorePartsAreNewer) {
    EXPECT_LT(compare_versions("1.0", "1.0.1"), 0);
    EXPECT_GT(compare_versions("1.0.0", "1.0"), 0);
    EXPECT_LT(compare_versions("", "0"), 0);
    EXPECT_EQ(compare_versions("", ""), 0);
}

TEST(Version, WordsAreText) {
    EXPECT_LT(compare_versions("1.0.beta1", "1.0.beta2"), 0);
    EXPECT_NE(compare_versions("1.0.dev", "1.0.1"), 0);
    EXPECT_GT(compare_versions("2.dev", "1.9"), 0);
}
