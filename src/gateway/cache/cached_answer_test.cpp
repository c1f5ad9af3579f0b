#include "gateway/cache/cached_answer.hpp"

#include "gateway/cache/packed_bytes.hpp"

#include <gtest/gtest.h>

namespace deepseek::gateway {
namespace {

CachedAnswer answer_of(std::initializer_list<std::string_view> pieces) {
  CachedAnswer answer;
  PiecePacker packer;
  for (const std::string_view piece : pieces) {
    if (const auto mark = find_usage_mark(piece)) answer.usage_mark = answer.raw_bytes + *mark;
    packer.add(piece, answer.packed);
    answer.raw_bytes += piece.size();
  }
  return answer;
}

TEST(CachedAnswer, AHitSaysSoInItsUsage) {
  EXPECT_EQ(replay(answer_of({R"({"id":"x","usage":{"prompt_tokens":1},"z":0})"})),
            R"({"id":"x","usage":{"cached_answer":true,"prompt_tokens":1},"z":0})");
  EXPECT_EQ(replay(answer_of({R"({"usage": {"a":1}})"})),
            R"({"usage": {"cached_answer":true,"a":1}})");
  EXPECT_EQ(replay(answer_of({R"({"usage":{ }})"})), R"({"usage":{"cached_answer":true }})");
}

TEST(CachedAnswer, OnlyTheLastUsageOfAStreamIsMarked) {
  EXPECT_EQ(replay(answer_of({"data: {\"usage\":null}\n\n", "data: {\"usage\":{\"a\":1}}\n\n",
                              "data: {\"usage\":{\"a\":2}}\n\n", "data: [DONE]\n\n"})),
            "data: {\"usage\":null}\n\ndata: {\"usage\":{\"a\":1}}\n\n"
            "data: {\"usage\":{\"cached_answer\":true,\"a\":2}}\n\ndata: [DONE]\n\n");
}

TEST(CachedAnswer, TextAboutUsageIsNoUsage) {
  EXPECT_EQ(find_usage_mark(R"({"content":"{\"usage\":{\"a\":1}}"})"), std::nullopt);
  EXPECT_EQ(find_usage_mark(R"({"usage":null})"), std::nullopt);
  EXPECT_EQ(find_usage_mark(R"({"usage":)"), std::nullopt);
  const std::string_view body = R"("a text")";
  EXPECT_EQ(replay(answer_of({body})), body);
}

TEST(CachedAnswer, DamagedBytesGiveNothing) {
  CachedAnswer answer = answer_of({R"({"id":"x","usage":{"a":1}})"});
  ASSERT_TRUE(replay(answer));
  CachedAnswer cut = answer;
  cut.packed.pop_back();
  EXPECT_FALSE(replay(cut));
  CachedAnswer longer = answer;
  ++longer.raw_bytes;
  EXPECT_FALSE(replay(longer));
  CachedAnswer shorter = answer;
  --shorter.raw_bytes;
  EXPECT_FALSE(replay(shorter));
}

TEST(CachedAnswer, ItsSizeCountsWhatTheHeapHolds) {
  CachedAnswer answer;
  const std::size_t empty = memory_bytes(answer);
  EXPECT_GE(empty, sizeof(CachedAnswer) + sizeof(CacheKey));
  answer.packed.assign(1000, 'x');
  EXPECT_GE(memory_bytes(answer), empty + 1000);
  answer.tenant = "short";
  EXPECT_LT(memory_bytes(answer), empty + 1100);
}

}  // namespace
}  // namespace deepseek::gateway
