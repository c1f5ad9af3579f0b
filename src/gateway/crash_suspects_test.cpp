#include "gateway/crash_suspects.hpp"

#include <gtest/gtest.h>
#include <array>

namespace deepseek::gateway {
namespace {

using Running = std::array<std::uint64_t, 2>;

TEST(CrashSuspects, RefusesAfterTwoDeaths) {
  CrashSuspects suspects(8, 2);
  suspects.engine_died(Running{1, 2}, {});
  EXPECT_FALSE(suspects.refused(1));
  suspects.engine_died(Running{1, 3}, {});
  EXPECT_TRUE(suspects.refused(1));
  EXPECT_FALSE(suspects.refused(2));
  EXPECT_FALSE(suspects.refused(3));
}

TEST(CrashSuspects, TheSameRequestTwiceInOneDeathCountsOnce) {
  CrashSuspects suspects(8, 2);
  suspects.engine_died(Running{1, 1}, {});
  EXPECT_FALSE(suspects.refused(1));
}

TEST(CrashSuspects, WhoFinishesIsCleared) {
  CrashSuspects suspects(8, 2);
  suspects.engine_died(Running{1, 2}, {});
  suspects.finished(1);
  suspects.engine_died(Running{1, 2}, {});
  EXPECT_FALSE(suspects.refused(1));
  EXPECT_TRUE(suspects.refused(2));
}

TEST(CrashSuspects, IsBounded) {
  CrashSuspects suspects(2, 2);
  for (std::uint64_t i = 0; i < 100; ++i) suspects.engine_died(Running{1000, i}, {});
  EXPECT_EQ(suspects.size(), 2u);
  EXPECT_TRUE(suspects.refused(1000)) << "the oldest is forgotten, not the one that returns";
}

}  // namespace
}  // namespace deepseek::gateway
