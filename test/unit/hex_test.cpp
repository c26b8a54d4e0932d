// Bytes as digits.
#include "text/hex.hpp"

#include <gtest/gtest.h>

TEST(Hex, Digits) {
    const unsigned char bytes[] = {0x00, 0x0f, 0xa5, 0xff};
    EXPECT_EQ(citadel::hexadecimal(bytes, 4), "000fa5ff");
    EXPECT_EQ(citadel::hexadecimal(bytes, 0), "");
}
