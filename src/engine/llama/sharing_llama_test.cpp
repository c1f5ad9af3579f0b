// Shared, kept and stored prefixes with the real model: what is said must not depend on them.
#include "engine/llama/test_support.hpp"

#include <gtest/gtest.h>
#include <stdlib.h>

namespace deepseek::engine::llama {
namespace {

namespace fs = std::filesystem;

// About 250 tokens, and a question behind them.
std::string long_question(int number) {
  std::string text;
  for (int index = 0; index < 25; ++index) text += "The sea is deep and the ship is old. ";
  return text + "Question " + std::to_string(number) + ": what is the ship?";
}

// Near-ties between tokens may fall the other way in another batch; the beginning may not.
void expect_alike(const Engine::Answer& answer, const Engine::Answer& alone) {
  ASSERT_TRUE(answer.finished && alone.finished);
  EXPECT_EQ(answer.text.substr(0, 16), alone.text.substr(0, 16));
}

std::vector<Engine::Answer> alone(int count) {
  std::vector<Engine::Answer> answers;
  for (int number = 0; number < count; ++number) {
    Engine engine;
    EXPECT_TRUE(engine.submit(greedy(1, long_question(number), 12)).has_value());
    answers.push_back(engine.wait(1));
  }
  return answers;
}

TEST(SharingLlama, ASecondPromptReadsOnlyWhatIsNew) {
  const auto expected = alone(2);
  Engine engine;
  for (SequenceId id = 1; id <= 2; ++id) {
    ASSERT_TRUE(engine.submit(greedy(id, long_question(static_cast<int>(id) - 1), 12)).has_value());
    expect_alike(engine.wait(id), expected[id - 1]);
  }
  EXPECT_EQ(engine.wait(1).finished->cached_tokens(), 0);
  EXPECT_GT(engine.wait(2).finished->cached_tokens(), 200);
}

TEST(SharingLlama, PromptsThatArriveTogetherShareToo) {
  const auto expected = alone(4);
  Engine engine(4096);
  for (SequenceId id = 1; id <= 4; ++id) {
    ASSERT_TRUE(engine.submit(greedy(id, long_question(static_cast<int>(id) - 1), 12)).has_value());
  }
  std::int64_t cached = 0;
  for (SequenceId id = 1; id <= 4; ++id) {
    expect_alike(engine.wait(id), expected[id - 1]);
    cached += engine.wait(id).finished->cached_tokens();
  }
  EXPECT_GT(cached, 3 * 200);
}

TEST(SharingLlama, TheSamePromptAgainGivesTheSameText) {
  Engine engine;
  for (SequenceId id = 1; id <= 2; ++id) {
    ASSERT_TRUE(engine.submit(greedy(id, long_question(0), 12)).has_value());
    expect_alike(engine.wait(id), engine.wait(1));
  }
}

TEST(SharingLlama, WhatFoundNoRoomAtRestComesBackFromMemory) {
  const auto expected = alone(2);
  Engine engine(512, 400);  // of which a quarter may rest: half of the prompt
  for (SequenceId id = 1; id <= 2; ++id) {
    ASSERT_TRUE(engine.submit(greedy(id, long_question(static_cast<int>(id) - 1), 12)).has_value());
    expect_alike(engine.wait(id), expected[id - 1]);
  }
  EXPECT_GT(engine.wait(2).finished->cached_tokens(), 200);
  EXPECT_EQ(engine.load().states_put_back(), 1U);
  EXPECT_GT(engine.load().state_bytes(), 200U * 1000);
}

TEST(SharingLlama, AStoredPrefixSurvivesTheEngine) {
  const auto expected = alone(2);
  std::string name = (fs::temp_directory_path() / "sharing_XXXXXX").string();
  PrefixStoreOptions options;
  options.folder = ::mkdtemp(name.data());
  options.bytes_max = 1 << 30;
  for (int run = 0; run < 2; ++run) {
    Engine engine(2048, 1024, &options);
    ASSERT_TRUE(engine.submit(greedy(1, long_question(run), 12)).has_value());
    expect_alike(engine.wait(1), expected[static_cast<std::size_t>(run)]);
    const std::int64_t cached = engine.wait(1).finished->cached_tokens();
    EXPECT_EQ(cached > 200, run == 1) << cached;
  }
  fs::remove_all(options.folder);
}

}  // namespace
}  // namespace deepseek::engine::llama
