#include "gateway/resilience/hedge_policy.hpp"

#include <gtest/gtest.h>

namespace deepseek::gateway {
namespace {

using base::Milliseconds;

struct HedgePolicyTest : ::testing::Test {
  void note(bool whole, int count, Milliseconds time) {
    for (int i = 0; i < count; ++i) policy.note(whole, time, now);
  }
  HedgePolicy policy;
  base::TimePoint now{std::chrono::hours(1)};
};

TEST_F(HedgePolicyTest, KnowsNothingFromTooFewAnswers) {
  note(false, 19, Milliseconds(100));
  EXPECT_FALSE(policy.delay(false, now));
  note(false, 1, Milliseconds(100));
  ASSERT_TRUE(policy.delay(false, now));
  EXPECT_NEAR(static_cast<double>(policy.delay(false, now)->count()), 100, 10);
}

TEST_F(HedgePolicyTest, WaitsAsLongAsNearlyAllTake) {
  note(false, 94, Milliseconds(100));
  note(false, 6, Milliseconds(3000));
  EXPECT_GE(policy.delay(false, now)->count(), 2500);
  note(false, 100, Milliseconds(100));
  now += LatencyWindow::refresh;
  EXPECT_LE(policy.delay(false, now)->count(), 115) << "3 % are slow now";
}

TEST_F(HedgePolicyTest, WholeAnswersAreAnotherMatter) {
  note(false, 20, Milliseconds(50));
  note(true, 20, Milliseconds(4000));
  EXPECT_LE(policy.delay(false, now)->count(), 60);
  EXPECT_GE(policy.delay(true, now)->count(), 3500);
}

TEST_F(HedgePolicyTest, ForgetsWhatIsOld) {
  note(false, 50, Milliseconds(50));
  now += std::chrono::minutes(2);
  EXPECT_FALSE(policy.delay(false, now));
}

TEST_F(HedgePolicyTest, IsNeverHastierThanItsClock) {
  note(false, 50, Milliseconds(1));
  EXPECT_EQ(policy.delay(false, now), Milliseconds(10));
}

}  // namespace
}  // namespace deepseek::gateway
