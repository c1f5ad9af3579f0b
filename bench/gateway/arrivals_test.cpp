#include "arrivals.hpp"

#include <gtest/gtest.h>

#include <set>

namespace bench {
namespace {

TEST(Arrivals, EvenSpacing) {
  Arrivals arrivals(1000, 0);
  for (std::int64_t number = 0; number < 100; ++number) {
    EXPECT_EQ(arrivals.next(), number * 1'000'000);
  }
}

TEST(Arrivals, PoissonHasItsRateAndIsRepeatable) {
  Arrivals one(1000, 5), same(1000, 5), other(1000, 6);
  std::int64_t last = 0;
  bool differs = false;
  for (int number = 0; number < 20000; ++number) {
    const std::int64_t due = one.next();
    EXPECT_GE(due, last);
    EXPECT_EQ(due, same.next());
    differs = differs || due != other.next();
    last = due;
  }
  EXPECT_TRUE(differs);
  EXPECT_NEAR(static_cast<double>(last) / 20e9, 1, 0.03);
}

TEST(Zipf, FirstKeysLead) {
  Zipf zipf(1000, 1.0, 3);
  std::vector<int> counts(1000);
  std::set<std::size_t> seen;
  for (int number = 0; number < 50000; ++number) {
    const std::size_t key = zipf.next();
    ASSERT_LT(key, counts.size());
    ++counts[key];
    seen.insert(key);
  }
  EXPECT_EQ(zipf.distinct(), seen.size());
  // The sum of 1/k up to 1,000 is 7.4855, so the first key has 13.4 % of all.
  EXPECT_NEAR(counts[0] / 50000.0, 0.1336, 0.01);
  EXPECT_NEAR(counts[1] / 50000.0, 0.0668, 0.01);
}

}  // namespace
}  // namespace bench
