#include "engine/state_memory.hpp"

#include <gtest/gtest.h>
#include <numeric>

namespace deepseek::engine {
namespace {

std::vector<Token> row(Token first, std::int32_t count) {
  std::vector<Token> tokens(static_cast<std::size_t>(count));
  std::iota(tokens.begin(), tokens.end(), first);
  return tokens;
}

State state(std::size_t bytes) {
  return std::make_shared<const std::string>(bytes, 's');
}

TEST(StateMemory, FindsTheLongestBeginningOfItsKey) {
  StateMemory memory(1000, 10);
  memory.put("k", row(0, 40), state(40));
  memory.put("k", row(0, 100), state(100));
  const auto found = memory.find("k", row(0, 60));
  ASSERT_TRUE(found.state);
  EXPECT_EQ(found.length, 59) << "the last token must be computed";
  EXPECT_EQ(found.tokens, 100);
  EXPECT_FALSE(memory.find("other", row(0, 60)).state);
  EXPECT_FALSE(memory.find("k", row(7, 60)).state);
  EXPECT_FALSE(memory.find("k", row(0, 9)).state) << "shorter than what is worth it";
}

TEST(StateMemory, TheLongestUnusedGoesFirst) {
  StateMemory memory(300, 10);
  memory.put("k", row(0, 20), state(100));
  memory.put("k", row(100, 20), state(100));
  memory.put("k", row(200, 20), state(100));
  EXPECT_TRUE(memory.find("k", row(0, 21)).state);
  memory.put("k", row(300, 20), state(100));
  EXPECT_TRUE(memory.find("k", row(0, 21)).state);
  EXPECT_FALSE(memory.find("k", row(100, 21)).state);
  EXPECT_EQ(memory.figures().bytes, 300U);
  EXPECT_EQ(memory.figures().states, 3U);
}

TEST(StateMemory, AStateTakesThePlaceOfItsOwnBeginning) {
  StateMemory memory(1000, 10);
  memory.put("k", row(0, 60), state(60));
  memory.put("k", row(0, 100), state(100));
  EXPECT_EQ(memory.figures().states, 1U);
  memory.put("k", row(0, 500), state(500));
  EXPECT_EQ(memory.figures().states, 2U) << "a short beginning is put back faster than all";
}

TEST(StateMemory, WantsWhatIsNewAndFits) {
  StateMemory memory(100, 10);
  EXPECT_FALSE(memory.wants("k", row(0, 9)));
  EXPECT_TRUE(memory.wants("k", row(0, 50)));
  memory.put("k", row(0, 50), state(50));
  EXPECT_FALSE(memory.wants("k", row(0, 52))) << "nearly all of it is there";
  EXPECT_TRUE(memory.wants("k", row(0, 60)));
  memory.put("k", row(100, 200), state(200));
  EXPECT_EQ(memory.figures().states, 1U) << "larger than all the room";
  EXPECT_FALSE(memory.wants("k", row(100, 200))) << "and is not asked for again";
  EXPECT_FALSE(StateMemory(0).wants("k", row(0, 200)));
  memory.clear();
  EXPECT_EQ(memory.figures().bytes, 0U);
}

TEST(StateMemory, AFoundStateOutlivesItsEviction) {
  StateMemory memory(100, 10);
  memory.put("k", row(0, 50), state(100));
  const auto found = memory.find("k", row(0, 51));
  memory.put("k", row(100, 50), state(100));
  EXPECT_EQ(found.state->size(), 100U);
}

}  // namespace
}  // namespace deepseek::engine
