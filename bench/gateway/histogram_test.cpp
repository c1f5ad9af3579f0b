#include "histogram.hpp"

#include <gtest/gtest.h>

#include <random>
#include <vector>

namespace bench {
namespace {

TEST(Histogram, NothingIsZero) {
  const Histogram histogram;
  EXPECT_EQ(histogram.percentile(0.5), 0u);
  EXPECT_EQ(histogram.max(), 0u);
  EXPECT_EQ(histogram.deviation(), 0);
}

TEST(Histogram, SmallValuesAreExact) {
  Histogram histogram;
  for (std::uint64_t value = 1; value <= 100; ++value) histogram.add(value);
  EXPECT_EQ(histogram.percentile(0.01), 1u);
  EXPECT_EQ(histogram.percentile(0.5), 50u);
  EXPECT_EQ(histogram.percentile(0.99), 99u);
  EXPECT_EQ(histogram.percentile(1), 100u);
  EXPECT_EQ(histogram.max(), 100u);
  EXPECT_DOUBLE_EQ(histogram.mean(), 50.5);
  EXPECT_NEAR(histogram.deviation(), 29.0115, 0.0001);
}

TEST(Histogram, EveryMagnitudeIsWithinOnePercent) {
  for (std::uint64_t value = 1; value < (std::uint64_t{1} << 62); value = value * 5 / 3 + 1) {
    Histogram histogram;
    histogram.add(value);
    histogram.add(std::numeric_limits<std::uint64_t>::max());
    histogram.add(0);
    const double found = static_cast<double>(histogram.percentile(0.5));
    EXPECT_NEAR(found / static_cast<double>(value), 1, 0.01) << value;
  }
}

TEST(Histogram, PercentilesAgreeWithSorting) {
  std::mt19937_64 random(7);
  std::lognormal_distribution<double> times(12, 1.5);
  std::vector<std::uint64_t> values;
  Histogram histogram;
  for (int number = 0; number < 50000; ++number) {
    values.push_back(static_cast<std::uint64_t>(times(random)));
    histogram.add(values.back());
  }
  std::sort(values.begin(), values.end());
  for (const double share : {0.01, 0.5, 0.9, 0.99, 0.999}) {
    const auto exact = static_cast<double>(
        values[static_cast<std::size_t>(std::ceil(share * static_cast<double>(values.size()))) -
               1]);
    EXPECT_NEAR(static_cast<double>(histogram.percentile(share)) / exact, 1, 0.01) << share;
  }
}

TEST(Histogram, ClearForgets) {
  Histogram histogram;
  histogram.add(5);
  histogram.clear();
  EXPECT_EQ(histogram.count(), 0u);
  EXPECT_EQ(histogram.percentile(0.5), 0u);
}

}  // namespace
}  // namespace bench
