#include "gateway/resilience/latency_window.hpp"

#include <gtest/gtest.h>
#include <algorithm>
#include <random>
#include <vector>

namespace deepseek::gateway {
namespace {

using base::Milliseconds;
using std::chrono::microseconds;

const base::TimePoint start{Milliseconds(5'000'000)};

double error_of(microseconds found, microseconds truth) {
  return std::abs(static_cast<double>((found - truth).count())) /
         static_cast<double>(truth.count());
}

TEST(LatencyWindow, QuantilesAreWithinABucket) {
  for (unsigned seed = 0; seed < 20; ++seed) {
    std::mt19937_64 random(seed);
    std::lognormal_distribution<double> time(std::log(300'000.0), 0.2 + 0.1 * (seed % 10));
    LatencyWindow window;
    std::vector<microseconds> all;
    for (int i = 0; i < 4'000; ++i) {
      all.emplace_back(static_cast<std::int64_t>(time(random)));
      window.record(all.back(), start);
    }
    std::sort(all.begin(), all.end());
    const LatencyQuantiles& found = window.quantiles(start);
    EXPECT_EQ(found.count, 4'000u);
    EXPECT_LT(error_of(found.p50, all[2'000]), 0.07) << seed;
    EXPECT_LT(error_of(found.p95, all[3'800]), 0.07) << seed;
    EXPECT_LT(error_of(found.p99, all[3'960]), 0.12) << seed;
  }
}

TEST(LatencyWindow, EmptyAndExtreme) {
  LatencyWindow window;
  EXPECT_EQ(window.quantiles(start).count, 0u);
  EXPECT_EQ(window.quantile(0.95, start), microseconds(0));
  EXPECT_EQ(window.average(), microseconds(0));
  window.record(microseconds(-5), start);
  window.record(microseconds(0), start);
  EXPECT_LE(window.quantile(1, start), microseconds(2));
  window.record(std::chrono::hours(24'000), start);
  EXPECT_GT(window.quantile(1, start), std::chrono::hours(2));
  EXPECT_LT(window.quantile(1, start), std::chrono::hours(3));
  EXPECT_LE(window.quantile(0.1, start), microseconds(2));
}

TEST(LatencyWindow, ForgetsWithinAMinute) {
  LatencyWindow window;
  window.record(microseconds(1'000'000), start);
  window.record(microseconds(1'000), start + Milliseconds(31'000));
  EXPECT_EQ(window.quantiles(start + Milliseconds(31'000)).count, 2u) << "the half before";
  EXPECT_EQ(window.quantiles(start + Milliseconds(60'000)).count, 1u);
  EXPECT_LT(window.quantile(1, start + Milliseconds(60'000)), microseconds(1'200));
  EXPECT_EQ(window.quantiles(start + Milliseconds(3'600'000)).count, 0u);
  EXPECT_GT(window.average(), microseconds(0)) << "the average stays";
}

TEST(LatencyWindow, ManyQuestionsShareOneCount) {
  LatencyWindow window;
  for (int i = 0; i < 100; ++i) window.record(microseconds(1'000), start);
  EXPECT_EQ(window.quantiles(start).count, 100u);
  window.record(microseconds(1'000), start);
  EXPECT_EQ(window.quantiles(start + Milliseconds(249)).count, 100u);
  EXPECT_EQ(window.quantiles(start + Milliseconds(250)).count, 101u);
}

TEST(LatencyWindow, TheAverageFollows) {
  LatencyWindow window;
  window.record(microseconds(800'000), start);
  EXPECT_EQ(window.average(), microseconds(800'000));
  window.record(microseconds(0), start);
  EXPECT_NEAR(static_cast<double>(window.average().count()), 700'000, 2);
  for (int i = 0; i < 40; ++i) window.record(microseconds(10'000), start);
  EXPECT_LT(window.average(), microseconds(15'000));
}

}  // namespace
}  // namespace deepseek::gateway
