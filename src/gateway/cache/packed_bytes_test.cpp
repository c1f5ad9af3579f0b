#include "gateway/cache/packed_bytes.hpp"

#include <gtest/gtest.h>
#include <random>
#include <vector>

namespace deepseek::gateway {
namespace {

std::string pack(const std::vector<std::string>& pieces) {
  PiecePacker packer;
  std::string packed;
  for (const std::string& piece : pieces) packer.add(piece, packed);
  return packed;
}

std::vector<std::string> unpack(std::string_view packed) {
  std::vector<std::string> pieces;
  PieceUnpacker unpacker;
  for (std::string piece; unpacker.next(packed, piece); piece.clear()) pieces.push_back(piece);
  EXPECT_TRUE(unpacker.at_end(packed));
  return pieces;
}

std::string chunk(std::string_view text) {
  std::string frame = R"(data: {"id":"chatcmpl-0123456789abcdef","object":"chat.completion.chunk",)"
                      R"("created":1760000000,"model":"deepseek-chat","choices":[{"index":0,)"
                      R"("delta":{"content":")";
  frame += text;
  frame += R"("},"logprobs":null,"finish_reason":null}]})";
  frame += "\n\n";
  return frame;
}

TEST(PackedBytes, WhatComesOutIsWhatWentIn) {
  const std::vector<std::vector<std::string>> cases{
      {},
      {"{\"id\":1}"},
      {"a", "a", "a"},
      {"abc", "abcabc", "abcabcabc", "abc", "c", "abc"},
      {"aaaa", "aa", "aaaaaaaa", "aaa"},
      {std::string(3, '\0'), std::string("\0x\0", 3)},
      {chunk("Hello"), chunk(" world"), chunk("!"), "data: [DONE]\n\n"},
  };
  for (const auto& pieces : cases) EXPECT_EQ(unpack(pack(pieces)), pieces);
}

TEST(PackedBytes, AnythingRandomSurvives) {
  std::mt19937 random(7);
  for (int round = 0; round < 200; ++round) {
    std::vector<std::string> pieces;
    for (int i = 0; i < 30; ++i) {
      std::string piece;
      const std::size_t size = random() % 300;
      for (std::size_t j = 0; j < size; ++j) piece.push_back(static_cast<char>(random() % 2));
      if (i % 3 == 0 && !pieces.empty()) piece = pieces.back() + piece;
      if (!piece.empty()) pieces.push_back(piece);
    }
    EXPECT_EQ(unpack(pack(pieces)), pieces);
  }
}

TEST(PackedBytes, AStreamBecomesSmall) {
  std::vector<std::string> frames;
  std::size_t raw = 0;
  for (int i = 0; i < 1000; ++i) {
    frames.push_back(chunk(" t" + std::to_string(i)));
    raw += frames.back().size();
  }
  const std::string packed = pack(frames);
  EXPECT_LT(packed.size(), 11'000u) << raw << " bytes on the wire";
  EXPECT_EQ(unpack(packed), frames);
}

TEST(PackedBytes, AReaderMayFollowTheWriter) {
  PiecePacker packer;
  PieceUnpacker unpacker;
  std::string packed;
  std::string out;
  EXPECT_FALSE(unpacker.next(packed, out));
  for (int i = 0; i < 5; ++i) {
    packer.add(chunk(std::to_string(i)), packed);
    out.clear();
    ASSERT_TRUE(unpacker.next(packed, out));
    EXPECT_EQ(out, chunk(std::to_string(i)));
    EXPECT_FALSE(unpacker.next(packed, out));
    EXPECT_EQ(out, chunk(std::to_string(i)));
  }
}

TEST(PackedBytes, DamagedBytesAreRefused) {
  const std::string good = pack({chunk("Hello"), chunk(" world")});
  for (std::size_t size = 0; size < good.size(); ++size) {
    PieceUnpacker unpacker;
    std::string out;
    const std::string_view cut = std::string_view(good).substr(0, size);
    while (unpacker.next(cut, out)) continue;
    EXPECT_LE(out.size(), 2 * chunk(" world").size());
  }
  using namespace std::string_literals;
  for (const std::string& bad :
       {"\x01\x00\x00"s, "\x00\x01\x00"s,
        "\x00\x00\x05"s
        "abc",
        std::string(20, '\xff'), "\x00\x00\xff\xff\xff\xff\xff\xff\xff\x7f"s}) {
    PieceUnpacker unpacker;
    std::string out;
    EXPECT_FALSE(unpacker.next(bad, out));
    EXPECT_EQ(out, "");
  }
}

}  // namespace
}  // namespace deepseek::gateway
