// Guessed tokens with the real model: what is said must not depend on them.
#include "engine/llama/model_drafter.hpp"
#include "engine/llama/test_support.hpp"

#include <gtest/gtest.h>

namespace deepseek::engine::llama {
namespace {

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

// Of all questions at once, or of one after the other.
std::vector<Engine::Answer> answers(Engine& engine, std::int32_t tokens, bool at_once) {
  std::vector<Engine::Answer> all;
  for (SequenceId id = 1; at_once && id <= questions().size(); ++id) {
    EXPECT_TRUE(engine.submit(ask(id, tokens)).has_value());
  }
  for (SequenceId id = 1; id <= questions().size(); ++id) {
    if (!at_once) {
      EXPECT_TRUE(engine.submit(ask(id, tokens)).has_value());
    }
    all.push_back(engine.wait(id));
  }
  return all;
}

// The same tokens, up to a place where two were nearly as likely; `exact` if our layouts and
// attention compute both: then all of them, and the same numbers.
void expect_the_same(const Engine::Answer& plain, const Engine::Answer& guessed, bool exact) {
  ASSERT_EQ(plain.tokens.size(), guessed.tokens.size());
  bool differs = false;
  EXPECT_EQ(differs_at(plain, guessed.tokens, differs), std::nullopt);
  EXPECT_TRUE(std::equal(plain.tokens.begin(), plain.tokens.begin() + 4, guessed.tokens.begin()))
      << "the beginning is the same";
  if (!exact || loaded().layouts == nullptr) return;
  EXPECT_FALSE(differs);
  for (std::size_t at = 0; at < plain.logprobs.size(); ++at) {
    ASSERT_EQ(plain.logprobs[at].logprob(), guessed.logprobs[at].logprob()) << "token " << at;
  }
}

void compare_guessed_with_plain(bool at_once) {
  constexpr std::int32_t tokens = 64;
  Engine plain(4096);
  Engine guessing(4096, 1024, nullptr, 8);
  const auto expected = answers(plain, tokens, at_once);
  const auto told = answers(guessing, tokens, at_once);
  for (std::size_t index = 0; index < expected.size(); ++index) {
    SCOPED_TRACE(questions()[index]);
    expect_the_same(expected[index], told[index], !at_once);
    EXPECT_EQ(told[index].finished->completion_tokens(), tokens);
  }
  EXPECT_EQ(plain.load().drafted_tokens(), 0U);
  EXPECT_GT(guessing.load().drafted_tokens(), 0U);
  EXPECT_GT(guessing.load().accepted_tokens(), 0U);
  EXPECT_EQ(guessing.load().decode_tokens(), plain.load().decode_tokens());
}

TEST(SpeculationLlama, GuessesChangeNothingButTheSpeed) {
  compare_guessed_with_plain(false);
}

// Cells of guesses that were wrong are taken by other sequences, whose cells then stand in another
// order, in which attention adds them up.
TEST(SpeculationLlama, GuessesInCompanyChangeNothingButNearTies) {
  compare_guessed_with_plain(true);
}

std::unique_ptr<ModelDrafter> make_drafter(std::int32_t cells) {
  ContextOptions like;
  like.cells = cells;
  like.threads = like.threads_prefill = 1;
  return std::move(ModelDrafter::make({model_path(), 0}, *loaded().model, like).value());
}

// The same model as its own draft: nearly all of its guesses are right.
TEST(SpeculationLlama, ADraftModelChangesNothingButNearTies) {
  constexpr std::int32_t tokens = 48;
  const auto ask_plainly = [](SequenceId id) {
    wire::Submit submit = greedy(id, "Tell me a story about the number " + std::to_string(id), 48);
    submit.mutable_sampling()->set_ignore_eos(true);
    submit.set_logprobs(2);
    return submit;
  };
  Engine plain(4096);
  const auto drafter = make_drafter(4096);
  Engine guessing(4096, 1024, nullptr, 4, drafter.get());
  for (Engine* engine : {&plain, &guessing}) {
    for (SequenceId id = 1; id <= 3; ++id) ASSERT_TRUE(engine->submit(ask_plainly(id)).has_value());
  }
  for (SequenceId id = 1; id <= 3; ++id) {
    const Engine::Answer told = guessing.wait(id);
    expect_the_same(plain.wait(id), told, false);
    EXPECT_EQ(told.finished->completion_tokens(), tokens);
  }
  const wire::EngineLoad load = guessing.load();
  EXPECT_GT(load.drafted_tokens(), 3U);
  EXPECT_GE(4 * load.accepted_tokens(), 3 * load.drafted_tokens());
}

TEST(SpeculationLlama, ADrafterReadsOnlyWhatIsNew) {
  const auto drafter = make_drafter(512);
  std::vector<Token> tokens = loaded().text->tokenize("One, two, three, four,", true).value();
  Drafter::Guesses first = drafter->guess(std::vector<Drafter::Wish>{{0, tokens, 4}});
  ASSERT_EQ(first.tokens.at(0).size(), 4U);
  EXPECT_EQ(first.rounds, 4);
  // A wrong guess is taken back, and so is another sequence in the same slot.
  tokens.push_back(first.tokens[0][0]);
  const Drafter::Guesses second = drafter->guess(std::vector<Drafter::Wish>{{0, tokens, 2}});
  EXPECT_EQ(second.tokens.at(0), (std::vector<Token>{first.tokens[0][1], first.tokens[0][2]}));
  const auto other = loaded().text->tokenize("The capital of France is", true).value();
  const Drafter::Guesses third =
      drafter->guess(std::vector<Drafter::Wish>{{0, other, 1}, {1, tokens, 2}});
  EXPECT_EQ(third.tokens.at(1), second.tokens[0]);
  EXPECT_EQ(loaded().text->piece(third.tokens.at(0).at(0), false), " Paris");
  // More than it has room for: the sequences are read anew in turn, and nothing fails.
  std::vector<Token> long_one(400, tokens.back());
  for (int round = 0; round < 4; ++round) {
    const Drafter::Guesses guesses =
        drafter->guess(std::vector<Drafter::Wish>{{2, long_one, 1}, {3, long_one, 1}});
    ASSERT_EQ(guesses.tokens.size(), 2U);
  }
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
