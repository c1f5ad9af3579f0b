#include "gateway/route/price.hpp"

#include <gtest/gtest.h>

namespace deepseek::gateway {
namespace {

constexpr std::int64_t thursday_noon = 12 * 3600;  // 1970-01-01

TEST(Price, PerMillionTokens) {
  const TokenPrices prices{.input = 2, .input_cached = 0.04, .output = 8};
  EXPECT_DOUBLE_EQ(price_of(prices, {1'000'000, 0, 0}, 0), 2);
  EXPECT_DOUBLE_EQ(price_of(prices, {1'000'000, 750'000, 0}, 0), 0.5 + 0.03);
  EXPECT_DOUBLE_EQ(price_of(prices, {1'000, 0, 500}, 0), 0.002 + 0.004);
  EXPECT_DOUBLE_EQ(price_of(prices, {}, 0), 0);
  EXPECT_DOUBLE_EQ(price_of({}, {1'000, 0, 1'000}, 0), 0) << "free";
}

TEST(Price, CachedTokensCostAsOthersUnlessSaid) {
  EXPECT_DOUBLE_EQ(price_of({.input = 2}, {1'000'000, 400'000, 0}, 0), 2);
  EXPECT_DOUBLE_EQ(price_of({.input = 2, .input_cached = 0}, {1'000'000, 9'000'000, 0}, 0), 0)
      << "an upstream that claims more cached than there are earns nothing by it";
}

TEST(Price, HalfPriceOffPeak) {
  TokenPrices prices{.input = 2, .output = 8};
  prices.off_peak_factor = 0.5;
  EXPECT_DOUBLE_EQ(price_of(prices, {0, 0, 1'000'000}, thursday_noon), 8) << "no hours, no factor";
  prices.off_peak =

      parse_hours("Mon-Fri 18:00-09:00 12:00-14:00; Sat-Sun 00:00-24:00; UTC").value();
  EXPECT_DOUBLE_EQ(price_of(prices, {0, 0, 1'000'000}, thursday_noon), 4);
  EXPECT_DOUBLE_EQ(price_of(prices, {0, 0, 1'000'000}, thursday_noon - 60), 8);
}

}  // namespace
}  // namespace deepseek::gateway
