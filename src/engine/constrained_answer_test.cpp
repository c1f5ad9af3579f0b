#include "engine/constrained_answer.hpp"

#include "engine/fake_constraint.hpp"
#include "engine/mask_maker.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <cmath>

namespace deepseek::engine {
namespace {

constexpr std::int32_t kVocabulary = 300;  // the last word of a mask is not full
constexpr Token kEnd = 299;

std::vector<Token> allowed(ConstrainedAnswer& answer) {
  const std::vector<float> logits(kVocabulary, 1.5F);
  std::vector<Token> tokens;
  const std::span<const float> held = answer.allowed(logits);
  EXPECT_EQ(held.size(), logits.size());
  for (std::size_t token = 0; token < held.size(); ++token) {
    if (held[token] == 1.5F) tokens.push_back(static_cast<Token>(token));
    const bool held_back = held[token] != 1.5F;
    EXPECT_TRUE(!held_back || held[token] == -INFINITY);
  }
  return tokens;
}

TEST(ConstrainedAnswer, WhatMayNotComeIsInfinitelyUnlikely) {
  const auto answer = only("ab", kVocabulary, kEnd);
  answer->prepare();
  EXPECT_THAT(allowed(*answer), testing::ElementsAre('a'));
  EXPECT_FALSE(answer->accept('b'));
  EXPECT_TRUE(answer->accept('a'));
  answer->prepare();
  EXPECT_THAT(allowed(*answer), testing::ElementsAre('b'));
  EXPECT_FALSE(answer->over());
}

TEST(ConstrainedAnswer, ItIsOverWhereNothingButTheEndMayCome) {
  const auto answer = only("ab", kVocabulary, kEnd);
  EXPECT_TRUE(answer->accept_text(""));
  EXPECT_FALSE(answer->accept_text("b"));
  EXPECT_TRUE(answer->accept_text("ab"));
  answer->prepare();
  EXPECT_TRUE(answer->over());
}

class Anything final : public TokenConstraint {
  bool fill(std::span<std::int32_t>) override { return false; }
  bool accept(Token) override { return true; }
  bool accept_text(const std::string&) override { return true; }
};

TEST(ConstrainedAnswer, WithoutAMaskTheLogitsAreThoseOfTheModel) {
  ConstrainedAnswer answer(std::make_unique<Anything>(), kVocabulary, {kEnd});
  answer.prepare();
  const std::vector<float> logits(kVocabulary, 2);
  EXPECT_EQ(answer.allowed(logits).data(), logits.data());
  EXPECT_FALSE(answer.over());
}

TEST(MaskMaker, MasksAreReadyWhenTheyAreAwaited) {
  MaskMaker masks;
  std::vector<std::shared_ptr<ConstrainedAnswer>> answers;
  const std::string text = "the same text for each of them";
  for (int index = 0; index < 20; ++index) answers.push_back(only(text, kVocabulary, kEnd));
  for (const char next : text) {
    for (const auto& answer : answers) masks.begin(answer);
    for (const auto& answer : answers) {
      masks.await(*answer);
      ASSERT_THAT(allowed(*answer), testing::ElementsAre(next));
      ASSERT_TRUE(answer->accept(next));
    }
  }
}

TEST(MaskMaker, EndsWithMasksThatNobodyAwaits) {
  MaskMaker masks;
  for (int index = 0; index < 100; ++index) masks.begin(only("a", kVocabulary, kEnd));
}

}  // namespace
}  // namespace deepseek::engine
