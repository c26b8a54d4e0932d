#include "advisor/confidence.hpp"

#include <gtest/gtest.h>

using namespace citadel::advisor;

namespace {

TEST(ConfidenceTest, EverythingKnown) {
    const Confidence confidence = confidence_of({1.0, 1.0, false, ConfidenceFacts::Estimates::confirmed});
    EXPECT_DOUBLE_EQ(confidence.value, 1.0);
    EXPECT_TRUE(confidence.reasons.empty());
}

TEST(ConfidenceTest, EachDoubtLowersItAndIsNamed) {
    const ConfidenceFacts sure{1.0, 1.0, false, ConfidenceFacts::Estimates::confirmed};
    ConfidenceFacts facts = sure;
    facts.known_values = 0.5;
    EXPECT_DOUBLE_EQ(confidence_of(facts).value, 0.85);
    EXPECT_EQ(confidence_of(facts).reasons.at(0), "50 % of the gain was planned without known values");
    facts = sure;
    facts.measured = 0.0;
    EXPECT_DOUBLE_EQ(confidence_of(facts).value, 0.8);
    facts = sure;
    facts.doubtful_statistics = true;
    EXPECT_DOUBLE_EQ(confidence_of(facts).value, 0.6);
    facts = sure;
    facts.estimates = ConfidenceFacts::Estimates::unseen;
    EXPECT_DOUBLE_EQ(confidence_of(facts).value, 0.9);
    facts.estimates = ConfidenceFacts::Estimates::wrong;
    EXPECT_DOUBLE_EQ(confidence_of(facts).value, 0.6);
    EXPECT_EQ(confidence_of(facts).reasons.size(), 1U);
}

TEST(ConfidenceTest, NothingKnown) {
    const Confidence confidence = confidence_of({0.0, 0.0, true, ConfidenceFacts::Estimates::wrong});
    EXPECT_NEAR(confidence.value, 0.7 * 0.8 * 0.6 * 0.6, 1e-9);
    EXPECT_EQ(confidence.reasons.size(), 4U);
}

} // namespace
