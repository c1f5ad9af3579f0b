#include "gateway/resilience/cooldown.hpp"

#include <gtest/gtest.h>

namespace deepseek::gateway {
namespace {

using base::Milliseconds;

struct CooldownTest : testing::Test {
  base::TimePoint now{Milliseconds(1'000'000)};
  Cooldown cooldown{CooldownOptions{}};

  Milliseconds left() const {
    return std::chrono::duration_cast<Milliseconds>(cooldown.until() - now);
  }
};

TEST_F(CooldownTest, WaitsAsLongAsItWasAsked) {
  EXPECT_FALSE(cooldown.active(now));
  cooldown.limited(now, Milliseconds(7'000));
  EXPECT_TRUE(cooldown.active(now + Milliseconds(6'999)));
  EXPECT_FALSE(cooldown.active(now + Milliseconds(7'000)));
}

TEST_F(CooldownTest, IsBoundedAndNeverShortened) {
  cooldown.limited(now, Milliseconds(86'400'000));
  EXPECT_EQ(left(), Milliseconds(3'600'000));
  cooldown.limited(now, Milliseconds(1));
  cooldown.limited(now, Milliseconds(-1));
  cooldown.limited(now, std::nullopt);
  EXPECT_EQ(left(), Milliseconds(3'600'000));
}

TEST_F(CooldownTest, WithoutATimeThePauseDoublesUntilAnAnswer) {
  for (const int pause : {500, 1'000, 2'000, 4'000, 8'000, 16'000, 30'000, 30'000}) {
    cooldown.limited(now, std::nullopt);
    EXPECT_EQ(left(), Milliseconds(pause));
    now = cooldown.until();
  }
  for (int i = 0; i < 100; ++i) {
    cooldown.limited(now, std::nullopt);
    now = cooldown.until();
  }
  cooldown.succeeded(now);
  cooldown.limited(now, std::nullopt);
  EXPECT_EQ(left(), Milliseconds(500));
}

TEST_F(CooldownTest, ABurstOfLimitsIsOne) {
  for (int i = 0; i < 50; ++i) cooldown.limited(now, std::nullopt);
  EXPECT_EQ(left(), Milliseconds(500));
  cooldown.succeeded(now);  // one that ran already ends well: says nothing of the limit
  now = cooldown.until();
  cooldown.limited(now, std::nullopt);
  EXPECT_EQ(left(), Milliseconds(1'000));
}

}  // namespace
}  // namespace deepseek::gateway
