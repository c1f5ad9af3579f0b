#include "gateway/resilience/health_check.hpp"

#include <gtest/gtest.h>

namespace deepseek::gateway {
namespace {

using base::Milliseconds;

constexpr std::uint64_t middle = 1ULL << 63;

struct HealthCheckTest : testing::Test {
  base::TimePoint now{Milliseconds(1'000'000)};
  HealthCheck check{HealthCheckOptions{}};

  bool probe(bool alive, std::uint64_t random = middle) {
    now = check.next_probe_at();
    check.started();
    return check.finished(alive, now, random);
  }
  Milliseconds pause() const {
    return std::chrono::duration_cast<Milliseconds>(check.next_probe_at() - now);
  }
};

TEST_F(HealthCheckTest, TheFirstProbeComesSoonAndSpread) {
  EXPECT_EQ(check.next_probe_at(), base::TimePoint::max());
  check.begin(now, 0);
  EXPECT_EQ(pause(), Milliseconds(0));
  check.begin(now, middle);
  EXPECT_EQ(pause(), Milliseconds(1'000));
  EXPECT_EQ(check.health(), ActiveHealth::unknown);
  EXPECT_TRUE(probe(true)) << "one success is enough at first";
  EXPECT_EQ(check.health(), ActiveHealth::healthy);
  EXPECT_EQ(pause(), Milliseconds(10'000));
}

TEST_F(HealthCheckTest, ThreeFailuresAndTwoSuccesses) {
  check.begin(now, 0);
  probe(true);
  EXPECT_FALSE(probe(false));
  EXPECT_EQ(pause(), Milliseconds(2'000)) << "a doubt is settled soon";
  EXPECT_FALSE(probe(false));
  EXPECT_FALSE(probe(true)) << "not in a row";
  EXPECT_FALSE(probe(false));
  EXPECT_FALSE(probe(false));
  EXPECT_TRUE(probe(false));
  EXPECT_EQ(check.health(), ActiveHealth::unhealthy);
  EXPECT_EQ(check.failures_in_a_row(), 3u);
  EXPECT_FALSE(probe(true));
  EXPECT_EQ(pause(), Milliseconds(2'000)) << "its return is noticed soon";
  EXPECT_FALSE(probe(false));
  EXPECT_FALSE(probe(true));
  EXPECT_TRUE(probe(true));
  EXPECT_EQ(check.health(), ActiveHealth::healthy);
}

TEST_F(HealthCheckTest, NeverAnsweredIsUnhealthyToo) {
  check.begin(now, 0);
  EXPECT_FALSE(probe(false));
  EXPECT_FALSE(probe(false));
  EXPECT_TRUE(probe(false));
  EXPECT_EQ(check.health(), ActiveHealth::unhealthy);
  EXPECT_FALSE(probe(true));
  EXPECT_TRUE(probe(true));
}

TEST_F(HealthCheckTest, JitterAndNoSecondProbe) {
  check.begin(now, 0);
  check.started();
  EXPECT_EQ(check.next_probe_at(), base::TimePoint::max()) << "one at a time";
  check.finished(true, now, 0);
  EXPECT_EQ(pause(), Milliseconds(8'000));
  probe(true, ~0ULL);
  EXPECT_NEAR(static_cast<double>(pause().count()), 12'000, 1);
}

}  // namespace
}  // namespace deepseek::gateway
