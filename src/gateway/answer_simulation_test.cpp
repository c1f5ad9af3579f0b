#include "answer_simulation.hpp"

#include <gtest/gtest.h>

namespace deepseek::gateway {
namespace {

TEST(AnswerSimulation, HoldsItsPromises) {
  for (std::uint64_t seed = 1; seed <= 1'500; ++seed) {
    ASSERT_EQ(simulate_answers(seed), "") << "see it with: ./dev sim " << seed;
  }
}

TEST(AnswerSimulation, TheSameSeedTakesTheSameCourse) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    std::string first;
    std::string second;
    simulate_answers(seed, &first);
    simulate_answers(seed, &second);
    EXPECT_EQ(first, second);
    EXPECT_FALSE(first.empty());
  }
}

}  // namespace
}  // namespace deepseek::gateway
