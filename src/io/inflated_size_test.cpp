#include "io/inflated_size.hpp"

#include <gtest/gtest.h>
#include <random>
#include <string>

namespace deepseek::io {
namespace {

using namespace std::string_literals;

// "hello hello hello hello" and a million zeros, as zlib makes them.
const std::string hello = "\x78\x9c\xcb\x48\xcd\xc9\xc9\x57\xc8\x40\x27\x01\x68\x03\x08\xb1"s;

// 258 zeros in each code of one bit for length and one for distance, after a first zero.
std::string bomb(std::size_t bytes) {
  return "\x78\xda\xed\xc1\x01\x01\x00\x00\x00\x82\x20\xff\xaf\x6e\x48\x40\x01"s +
         std::string(bytes, '\0');
}

TEST(InflatedSize, CountsWhatAStreamHolds) {
  EXPECT_EQ(inflated_size(hello, 1'000), 23U);
  EXPECT_EQ(inflated_size(hello + "what follows", 1'000), 23U);
  EXPECT_EQ(inflated_size("\x78\x01\x01\x03\x00\xfc\xff"
                          "abc"
                          "sum!"s,
                          1'000),
            3U);
}

TEST(InflatedSize, StopsSoonBehindTheMost) {
  const auto size = inflated_size(bomb(1 << 20), 100'000);
  ASSERT_TRUE(size);
  EXPECT_GT(*size, 100'000U);
  EXPECT_LE(*size, 100'000U + (64U << 10));
}

TEST(InflatedSize, WhatIsBrokenOrCutOffIsNothing) {
  EXPECT_EQ(inflated_size("", 1'000), std::nullopt);
  EXPECT_EQ(inflated_size("x", 1'000), std::nullopt);
  EXPECT_EQ(inflated_size("\x78\x9d" + hello.substr(2), 1'000), std::nullopt) << "no such head";
  EXPECT_EQ(inflated_size("\x78\xbb" + hello.substr(2), 1'000), std::nullopt) << "a dictionary";
  for (std::size_t size = 0; size + 4 < hello.size(); ++size) {
    EXPECT_EQ(inflated_size(std::string_view(hello).substr(0, size), 1'000), std::nullopt) << size;
  }
  EXPECT_EQ(inflated_size("\x78\x9c\x07"s, 1'000), std::nullopt) << "a block of no kind";
}

TEST(InflatedSize, NoiseEnds) {
  std::mt19937 random(1);
  for (int round = 0; round < 2'000; ++round) {
    std::string noise = "\x78\x9c";
    for (int byte = 0; byte < 200; ++byte) noise += static_cast<char>(random());
    const auto size = inflated_size(noise, 1 << 20);
    EXPECT_LE(size.value_or(0), (1U << 20) + (64U << 10));
  }
}

}  // namespace
}  // namespace deepseek::io
