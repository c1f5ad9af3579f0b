#include "gateway/restart_timing.hpp"

#include <gtest/gtest.h>

namespace deepseek::gateway {
namespace {

using base::Milliseconds;

TEST(RestartTiming, TheFirstRestartIsAtOnceAndLaterOnesWaitLonger) {
  const auto pause = [](std::uint32_t deaths) {
    return restart_pause(deaths, Milliseconds(250), Milliseconds(10'000)).count();
  };
  EXPECT_EQ(pause(1), 0);
  EXPECT_EQ(pause(2), 250);
  EXPECT_EQ(pause(3), 500);
  EXPECT_EQ(pause(7), 8'000);
  EXPECT_EQ(pause(8), 10'000);
  EXPECT_EQ(pause(4'000'000'000), 10'000) << "it does not overflow";
}

TEST(RestartTiming, ClientsComeAgainAfterTheRestart) {
  const base::TimePoint now{std::chrono::hours(1)};
  EXPECT_EQ(retry_after_restart(now + Milliseconds(500), false, now).count(), 1'500);
  EXPECT_EQ(retry_after_restart(now - Milliseconds(1), false, now).count(), 1'000);
  EXPECT_EQ(retry_after_restart(std::nullopt, false, now).count(), 1'000);
  EXPECT_EQ(retry_after_restart(std::nullopt, true, now).count(), 30'000);
}

TEST(RestartTiming, SecondsHaveOneDecimal) {
  EXPECT_EQ(in_seconds(Milliseconds(500)), "0.5 s");
  EXPECT_EQ(in_seconds(Milliseconds(30'000)), "30.0 s");
  EXPECT_EQ(in_seconds(Milliseconds(1'250)), "1.3 s");
}

}  // namespace
}  // namespace deepseek::gateway
