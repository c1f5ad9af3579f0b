#include "gateway/resilience/outlier_detector.hpp"

#include <gtest/gtest.h>
#include <array>
#include <random>

namespace deepseek::gateway {
namespace {

using base::Milliseconds;

OutlierSample results(std::uint64_t successes, std::uint64_t failures, int first_token_ms = 300) {
  return {successes, failures, successes,
          std::chrono::milliseconds(first_token_ms) * static_cast<std::int64_t>(successes)};
}

const base::TimePoint start{Milliseconds(1'000'000)};

TEST(OutlierDetector, EjectsWhoFailsMoreThanTheOthers) {
  OutlierDetector detector(3, {});
  const std::array samples{results(100, 1), results(50, 50), results(100, 0)};
  const auto ejections = detector.evaluate(samples, start);
  ASSERT_EQ(ejections.size(), 1u);
  EXPECT_EQ(ejections[0].index, 1u);
  EXPECT_EQ(ejections[0].until, start + Milliseconds(30'000));
  EXPECT_EQ(ejections[0].reason, "fails far more often than the other backends");
  EXPECT_EQ(detector.ejected(start), 1u);
  EXPECT_EQ(detector.ejected(start + Milliseconds(30'000)), 0u);
}

TEST(OutlierDetector, WhenAllFailNobodyIsToBlame) {
  OutlierDetector detector(3, {});
  const std::array samples{results(40, 60), results(50, 50), results(45, 55)};
  EXPECT_TRUE(detector.evaluate(samples, start).empty());
}

TEST(OutlierDetector, EjectsWhoIsFarSlower) {
  OutlierDetector detector(3, {});
  const std::array samples{results(100, 0, 300), results(100, 0, 5'000), results(100, 0, 400)};
  const auto ejections = detector.evaluate(samples, start);
  ASSERT_EQ(ejections.size(), 1u);
  EXPECT_EQ(ejections[0].index, 1u);
  EXPECT_EQ(ejections[0].reason, "is far slower than the other backends");
  OutlierDetector quick(2, {});
  const std::array fine{results(100, 0, 20), results(100, 0, 200)};
  EXPECT_TRUE(quick.evaluate(fine, start).empty()) << "ten times slower, but nobody notices";
}

TEST(OutlierDetector, AtMostAShareIsEjected) {
  OutlierDetector four(4, {});
  const std::array samples{results(100, 0), results(0, 50), results(0, 100), results(0, 20)};
  // Each is measured against all peers, of which most fail too: only a clean majority convicts.
  EXPECT_LE(four.evaluate(samples, start).size(), 2u);
  OutlierDetector one(1, {});
  EXPECT_TRUE(one.evaluate(std::array{results(0, 100)}, start).empty());
  OutlierDetector half(8, {});
  std::array<OutlierSample, 8> eight;
  eight.fill(results(1'000, 0));
  for (std::size_t i = 0; i < 6; ++i) eight[i] = results(60, 40 + i);
  const auto ejections = half.evaluate(eight, start);
  ASSERT_EQ(ejections.size(), 4u);
  EXPECT_EQ(ejections[0].index, 5u) << "the worst first";
  EXPECT_TRUE(half.evaluate(eight, start + Milliseconds(10'000)).empty()) << "four are out already";
}

TEST(OutlierDetector, TwoBackendsCanJudgeEachOther) {
  OutlierDetector detector(2, {});
  const auto ejections = detector.evaluate(std::array{results(30, 30), results(60, 0)}, start);
  ASSERT_EQ(ejections.size(), 1u);
  EXPECT_EQ(ejections[0].index, 0u);
}

TEST(OutlierDetector, TooFewRequestsAreNoProofUntilTheyAddUp) {
  OutlierDetector detector(2, {});
  const std::array samples{results(4, 4), results(8, 0)};
  EXPECT_TRUE(detector.evaluate(samples, start).empty());
  EXPECT_TRUE(detector.evaluate(samples, start + Milliseconds(10'000)).empty());
  EXPECT_TRUE(detector.evaluate(samples, start + Milliseconds(20'000)).empty());
  EXPECT_EQ(detector.evaluate(samples, start + Milliseconds(30'000)).size(), 1u);
}

TEST(OutlierDetector, TheTimeGrowsAndIsForgiven) {
  OutlierDetector detector(2, {});
  base::TimePoint now = start;
  for (const int seconds : {30, 60, 90, 120, 150, 180, 210, 240, 270, 300, 300}) {
    const auto ejections = detector.evaluate(std::array{results(0, 60), results(60, 0)}, now);
    ASSERT_EQ(ejections.size(), 1u) << seconds;
    EXPECT_EQ(ejections[0].until - now, std::chrono::seconds(seconds));
    now = ejections[0].until;
  }
  for (int i = 0; i < 200; ++i) {
    now += Milliseconds(10'000);
    ASSERT_TRUE(detector.evaluate(std::array{results(60, 0), results(60, 0)}, now).empty());
  }
  now += Milliseconds(10'000);
  const auto ejections = detector.evaluate(std::array{results(0, 600), results(60, 0)}, now);
  ASSERT_EQ(ejections.size(), 1u);
  EXPECT_EQ(ejections[0].until - now, std::chrono::seconds(30));
}

TEST(OutlierDetector, EqualBackendsAreSeldomEjectedByChance) {
  std::size_t ejections = 0;
  for (unsigned seed = 0; seed < 50; ++seed) {
    std::mt19937 random(seed);
    std::binomial_distribution<unsigned> failing(40, 0.05);
    OutlierDetector detector(3, {});
    for (int i = 0; i < 100; ++i) {
      std::array<OutlierSample, 3> samples;
      for (OutlierSample& sample : samples) {
        const unsigned failures = failing(random);
        sample = results(40 - failures, failures);
      }
      ejections += detector.evaluate(samples, start + Milliseconds(10'000) * i).size();
    }
  }
  EXPECT_LE(ejections, 5u) << "of 15,000 judgements";
}

}  // namespace
}  // namespace deepseek::gateway
