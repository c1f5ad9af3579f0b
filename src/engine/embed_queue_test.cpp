#include "engine/embed_queue.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace deepseek::engine {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

using Inputs = std::vector<std::vector<Token>>;

EmbedQueue::Options small() {
  EmbedQueue::Options options;
  options.calls_max = 3;
  options.inputs_max = 4;
  options.tokens_max = 10;
  return options;
}

// The first token stands for the input.
std::vector<std::vector<float>> vectors_of(const Inputs& inputs) {
  std::vector<std::vector<float>> vectors;
  for (const auto& input : inputs) vectors.push_back({static_cast<float>(input.front())});
  return vectors;
}

TEST(EmbedQueue, CallsTakeTurnsAndRepliesKeepTheirOrder) {
  EmbedQueue queue(small());
  queue.push(1, {{10}, {11}, {12}, {13}, {14}});
  queue.push(2, {{20, 21}});
  const Inputs first = queue.next();
  EXPECT_EQ(first, (Inputs{{10}, {20, 21}, {11}, {12}}));
  EXPECT_TRUE(queue.computing());
  const auto replies = queue.computed(vectors_of(first));
  ASSERT_THAT(replies, SizeIs(1));
  EXPECT_EQ(replies[0].call(), 2U);
  EXPECT_EQ(replies[0].prompt_tokens(), 2);
  const Inputs second = queue.next();
  EXPECT_EQ(second, (Inputs{{13}, {14}}));
  const auto last = queue.computed(vectors_of(second));
  ASSERT_THAT(last, SizeIs(1));
  ASSERT_EQ(last[0].vectors_size(), 5);
  for (int index = 0; index < 5; ++index) {
    EXPECT_THAT(last[0].vectors(index).values(), ElementsAre(10.0F + static_cast<float>(index)));
  }
  EXPECT_TRUE(queue.empty());
  EXPECT_THAT(queue.next(), IsEmpty());
}

TEST(EmbedQueue, ABatchIsBoundedButALongInputComesAlone) {
  EmbedQueue queue(small());
  const std::vector<Token> six(6, 1);
  const std::vector<Token> twenty(20, 2);
  queue.push(1, {twenty, six, six});
  EXPECT_EQ(queue.next(), (Inputs{twenty}));
  EXPECT_THAT(queue.computed({{1}}), IsEmpty());
  EXPECT_EQ(queue.next(), (Inputs{six}));
  EXPECT_THAT(queue.computed({{1}}), IsEmpty());
  EXPECT_EQ(queue.next(), (Inputs{six}));
  EXPECT_THAT(queue.computed({{1}}), SizeIs(1));
}

TEST(EmbedQueue, ACancelledCallDisturbsNobody) {
  EmbedQueue queue(small());
  queue.push(1, {{10}, {11}});
  queue.push(2, {{20}});
  const Inputs batch = queue.next();
  EXPECT_TRUE(queue.remove(1));
  EXPECT_FALSE(queue.remove(1));
  const auto replies = queue.computed(vectors_of(batch));
  ASSERT_THAT(replies, SizeIs(1));
  EXPECT_THAT(replies[0].vectors(0).values(), ElementsAre(20.0F));
  EXPECT_TRUE(queue.empty());
}

TEST(EmbedQueue, ABatchForNobodyIsGivenUp) {
  EmbedQueue queue(small());
  queue.push(1, {{10}, {11}});
  EXPECT_THAT(queue.next(), SizeIs(2));
  EXPECT_TRUE(queue.remove(1));
  EXPECT_FALSE(queue.computing());
  queue.push(2, {{20}});
  EXPECT_EQ(queue.next(), (Inputs{{20}}));
}

TEST(EmbedQueue, AFailedBatchEndsTheCallsThatHadAPartInIt) {
  EmbedQueue queue(small());
  queue.push(1, {{10}, {11}, {12}, {13}});
  queue.push(2, {std::vector<Token>(9, 5)});
  EXPECT_EQ(queue.next(), (Inputs{{10}, std::vector<Token>(9, 5)}));
  queue.push(3, {{30}});
  EXPECT_TRUE(queue.full());
  EXPECT_THAT(queue.failed(), ElementsAre(1U, 2U));
  EXPECT_FALSE(queue.computing());
  EXPECT_EQ(queue.next(), (Inputs{{30}}));
}

}  // namespace
}  // namespace deepseek::engine
