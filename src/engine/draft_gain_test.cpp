#include "engine/draft_gain.hpp"

#include <gtest/gtest.h>

namespace deepseek::engine {
namespace {

using std::chrono::microseconds;

void guess(DraftGain& gain, std::int32_t match, int right, int wrong) {
  for (int index = 0; index < right; ++index) gain.guessed({match, true});
  for (int index = 0; index < wrong; ++index) gain.guessed({match, false});
}

// Steps of different sizes on a machine that needs so long for each and for each token.
void run(DraftGain& gain, microseconds base, microseconds per_token) {
  for (int step = 0; step < 200; ++step) {
    const std::int32_t tokens = 1 + step % 4;
    gain.stepped(tokens, base + per_token * tokens);
  }
}

TEST(DraftGain, WhereMoreTokensCostLittleUnsureGuessesPay) {
  DraftGain gain;
  run(gain, microseconds(50'000), microseconds(500));
  EXPECT_LT(gain.cost(), 0.1);
  guess(gain, 3, 30, 70);
  EXPECT_NEAR(gain.chance(3), 0.3, 0.02);
  EXPECT_GE(gain.worth(3, 8), 1);
}

TEST(DraftGain, WhereEveryTokenCostsOnlySureGuessesPay) {
  DraftGain gain;
  run(gain, microseconds(500), microseconds(10'000));
  EXPECT_GT(gain.cost(), 0.9);
  guess(gain, 3, 60, 40);
  EXPECT_EQ(gain.worth(3, 8), 0);
  guess(gain, 40, 250, 0);
  EXPECT_EQ(gain.worth(40, 8), 8);
}

TEST(DraftGain, ALongGuessPaysOnlyToWhereItIsLikely) {
  DraftGain gain;
  run(gain, microseconds(3'000), microseconds(1'000));
  guess(gain, 3, 90, 10);
  guess(gain, 5, 80, 20);
  const std::int32_t worth = gain.worth(3, 100);
  EXPECT_GE(worth, 1);
  EXPECT_LE(worth, 10);
}

TEST(DraftGain, FindsOutByItselfThatGuessingPaysAgain) {
  DraftGain gain;
  run(gain, microseconds(5'000), microseconds(5'000));
  guess(gain, 3, 0, 500);
  EXPECT_EQ(gain.worth(3, 8), 0);
  guess(gain, 3, 500, 0);
  EXPECT_GE(gain.worth(3, 8), 1);
}

TEST(DraftGain, KnowsNothingAtFirstAndTriesWhatIsLikely) {
  const DraftGain gain;
  EXPECT_EQ(gain.cost(), 0.5);
  EXPECT_EQ(gain.worth(3, 8), 1) << "half are right, which is what they cost";
}

TEST(DraftGain, StepsOfOneSizeFadeToNotKnowing) {
  DraftGain gain;
  run(gain, microseconds(100), microseconds(10'000));
  EXPECT_GT(gain.cost(), 0.9);
  for (int step = 0; step < 400; ++step) gain.stepped(1, microseconds(10'000));
  EXPECT_NEAR(gain.cost(), 0.5, 0.05);
}

}  // namespace
}  // namespace deepseek::engine
