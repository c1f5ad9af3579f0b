#include "base/digest.hpp"

#include <gtest/gtest.h>
#include <algorithm>

namespace deepseek::base {
namespace {

// The examples of FIPS 180-2.
TEST(Digest, KnowsThePublishedExamples) {
  EXPECT_EQ(to_hex(sha256("")), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(to_hex(sha256("abc")),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(to_hex(sha256(std::string(1'000'000, 'a'))),
            "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST(Digest, PiecesAreTheSameAsTheWhole) {
  Sha256 hash;
  hash.add("a");
  hash.add("");
  hash.add("bc");
  EXPECT_EQ(hash.finish(), sha256("abc"));
  EXPECT_EQ(hash.finish(), sha256("")) << "after finish() it is as new";
  Sha256 moved(std::move(hash));
  moved.add("abc");
  EXPECT_EQ(moved.finish(), sha256("abc"));
}

TEST(Digest, FieldsCannotFlowIntoEachOther) {
  Sha256 hash;
  const auto pair = [&](std::string_view first, std::string_view second) {
    hash.add_field(first);
    hash.add_field(second);
    return hash.finish();
  };
  EXPECT_NE(pair("a", "bc"), pair("ab", "c"));
  EXPECT_NE(pair("", "a"), pair("a", ""));
  EXPECT_EQ(pair("a", "bc"), pair("a", "bc"));
}

TEST(Digest, RandomBytesDiffer) {
  std::array<std::uint8_t, 32> first{};
  std::array<std::uint8_t, 32> second{};
  random_bytes(first);
  random_bytes(second);
  EXPECT_NE(first, second);
  EXPECT_FALSE(std::ranges::all_of(first, [](std::uint8_t byte) { return byte == 0; }));
}

}  // namespace
}  // namespace deepseek::base
