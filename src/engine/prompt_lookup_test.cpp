#include "engine/prompt_lookup.hpp"

#include <gtest/gtest.h>
#include <random>

namespace deepseek::engine {
namespace {

using Tokens = std::vector<Token>;

Tokens guess_of(PromptLookup& lookup, const Tokens& tokens, std::int32_t count) {
  const auto guess = lookup.guess(tokens, count);
  return {guess.tokens.begin(), guess.tokens.end()};
}

TEST(PromptLookup, GuessesWhatFollowedTheSameWords) {
  PromptLookup lookup;
  Tokens tokens{1, 2, 3, 4, 5, 6, 7, 9, 2, 3, 4};
  EXPECT_EQ(lookup.follow(tokens), std::nullopt);
  EXPECT_EQ(guess_of(lookup, tokens, 3), (Tokens{5, 6, 7}));
  EXPECT_EQ(lookup.guess(tokens, 3).match, 3);
  EXPECT_EQ(guess_of(lookup, tokens, 100), (Tokens{5, 6, 7, 9, 2, 3, 4})) << "to the end";
}

TEST(PromptLookup, FollowsAPlaceWhileItProvesRight) {
  PromptLookup lookup;
  Tokens tokens{1, 2, 3, 4, 5, 6, 7, 9, 2, 3, 4};
  lookup.follow(tokens);
  tokens.push_back(5);
  auto outcome = lookup.follow(tokens);
  ASSERT_TRUE(outcome);
  EXPECT_TRUE(outcome->right);
  EXPECT_EQ(outcome->match, 3);
  EXPECT_EQ(lookup.guess(tokens, 2).match, 4);
  EXPECT_EQ(guess_of(lookup, tokens, 2), (Tokens{6, 7}));
  tokens.push_back(8);
  outcome = lookup.follow(tokens);
  ASSERT_TRUE(outcome);
  EXPECT_FALSE(outcome->right);
  EXPECT_EQ(lookup.guess(tokens, 2).match, 0) << "these words are new";
  tokens.push_back(1);
  EXPECT_EQ(lookup.follow(tokens), std::nullopt) << "there was no guess";
}

TEST(PromptLookup, TakesTheLastPlaceOfSeveral) {
  PromptLookup lookup;
  const Tokens tokens{1, 2, 3, 4, 1, 2, 3, 5, 1, 2, 3};
  lookup.follow(tokens);
  EXPECT_EQ(guess_of(lookup, tokens, 1), (Tokens{5}));
}

TEST(PromptLookup, FindsAllThatARowOfWordsRepeats) {
  std::mt19937 random(7);
  Tokens tokens(5000);
  for (Token& token : tokens) token = static_cast<Token>(random() % 50'000);
  PromptLookup lookup;
  std::size_t right = 0;
  // Token by token, with the table growing, and behind 5,000 new ones their first 1,000 again.
  for (std::size_t count = 1; count <= tokens.size(); ++count) {
    lookup.follow(std::span(tokens).first(count));
  }
  for (std::size_t index = 0; index < 1000; ++index) {
    tokens.push_back(tokens[index]);
    const auto outcome = lookup.follow(tokens);
    right += outcome && outcome->right ? 1U : 0U;
  }
  EXPECT_GE(right, 990U);
}

TEST(PromptLookup, ShortAndEmptyOnesHaveNoGuess) {
  PromptLookup lookup;
  EXPECT_EQ(lookup.follow({}), std::nullopt);
  const Tokens two{1, 1};
  lookup.follow(two);
  EXPECT_EQ(lookup.guess(two, 4).match, 0);
}

}  // namespace
}  // namespace deepseek::engine
