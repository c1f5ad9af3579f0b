// Guessed tokens with the real model: what is said must not depend on them.
#include "engine/llama/test_support.hpp"

#include <gtest/gtest.h>

namespace deepseek::engine::llama {
namespace {

// Several tokens computed in one step round differently than one by one: where two tokens are so
// close, either may come.
constexpr double kNearTie = 0.1;  // of their logarithms

// Answers that repeat themselves and their prompts, as lists, quotes and code do.
const std::vector<std::string>& questions() {
  static const std::vector<std::string> all{
      "Repeat these words ten times: red green blue yellow black white.",
      "Count: one two three four five one two three four five one two three four five one two",
      "Write this line again and again: for index in range(10): print(index)",
  };
  return all;
}

wire::Submit ask(SequenceId id, std::int32_t tokens) {
  wire::Submit submit = greedy(id, questions()[id - 1], tokens);
  submit.mutable_sampling()->set_ignore_eos(true);
  submit.set_logprobs(2);
  return submit;
}

std::vector<Engine::Answer> answers(Engine& engine, std::int32_t tokens) {
  std::vector<Engine::Answer> all;
  for (SequenceId id = 1; id <= questions().size(); ++id) {
    EXPECT_TRUE(engine.submit(ask(id, tokens)).has_value());
  }
  for (SequenceId id = 1; id <= questions().size(); ++id) all.push_back(engine.wait(id));
  return all;
}

// The same tokens, up to a place where two were nearly as likely.
void expect_the_same(const Engine::Answer& plain, const Engine::Answer& guessed) {
  ASSERT_EQ(plain.tokens.size(), guessed.tokens.size());
  const auto [left, right] =
      std::mismatch(plain.tokens.begin(), plain.tokens.end(), guessed.tokens.begin());
  if (left == plain.tokens.end()) return;
  const auto place = static_cast<std::size_t>(left - plain.tokens.begin());
  EXPECT_GE(place, 4U) << "the beginning is the same";
  const wire::TokenLogprob& told = plain.logprobs.at(place);
  ASSERT_EQ(told.alternatives_size(), 2);
  EXPECT_LT(told.alternatives(0).logprob() - told.alternatives(1).logprob(), kNearTie) << place;
}

TEST(SpeculationLlama, GuessesChangeNothingButTheSpeed) {
  constexpr std::int32_t tokens = 64;
  Engine plain(4096);
  Engine guessing(4096, 1024, nullptr, 8);
  const auto expected = answers(plain, tokens);
  const auto told = answers(guessing, tokens);
  for (std::size_t index = 0; index < expected.size(); ++index) {
    SCOPED_TRACE(questions()[index]);
    expect_the_same(expected[index], told[index]);
    EXPECT_EQ(told[index].finished->completion_tokens(), tokens);
  }
  EXPECT_EQ(plain.load().drafted_tokens(), 0U);
  EXPECT_GT(guessing.load().drafted_tokens(), 0U);
  EXPECT_GT(guessing.load().accepted_tokens(), 0U);
  EXPECT_EQ(guessing.load().decode_tokens(), plain.load().decode_tokens());
}

TEST(SpeculationLlama, AFixedSeedIsNotGuessedFor) {
  Engine engine(2048, 1024, nullptr, 8);
  wire::Submit submit = ask(1, 32);
  submit.mutable_sampling()->set_seed(7);
  ASSERT_TRUE(engine.submit(submit).has_value());
  EXPECT_TRUE(engine.wait(1).finished);
  EXPECT_EQ(engine.load().drafted_tokens(), 0U);
}

}  // namespace
}  // namespace deepseek::engine::llama
