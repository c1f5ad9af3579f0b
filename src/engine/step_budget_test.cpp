#include "engine/step_budget.hpp"

#include <gtest/gtest.h>

namespace deepseek::engine {
namespace {

using std::chrono::microseconds;

// A machine that needs so long for a step.
std::int32_t settle(StepBudget& budget, microseconds base, microseconds per_token) {
  for (int step = 0; step < 50; ++step) {
    budget.measured(budget.tokens(), base + per_token * budget.tokens());
  }
  return budget.tokens();
}

TEST(StepBudget, HoldsTheGapOnFastAndSlowMachines) {
  for (const auto per_token : {microseconds(150), microseconds(600), microseconds(2000)}) {
    StepBudget budget({});
    const std::int32_t tokens = settle(budget, microseconds(10'000), per_token);
    const auto took = microseconds(10'000) + per_token * tokens;
    EXPECT_LE(took, base::Milliseconds(100));
    EXPECT_TRUE(tokens == 512 || took >= base::Milliseconds(80)) << took.count();
  }
}

TEST(StepBudget, StaysAtTheKneeWhenDecodingAloneTakesLonger) {
  StepBudget budget({});
  EXPECT_EQ(settle(budget, microseconds(300'000), microseconds(1000)), 32);
}

TEST(StepBudget, ASmallStepSaysNothingAboutALargeOne) {
  StepBudget budget({});
  const std::int32_t before = budget.tokens();
  budget.measured(1, microseconds(100));
  EXPECT_EQ(budget.tokens(), before);
  budget.measured(1, microseconds(1'000'000));
  EXPECT_LT(budget.tokens(), before);
}

}  // namespace
}  // namespace deepseek::engine
