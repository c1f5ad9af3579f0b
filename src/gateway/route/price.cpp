#include "gateway/route/price.hpp"

#include <algorithm>

namespace deepseek::gateway {

double price_of(const TokenPrices& prices, const TokenAmounts& amounts, std::int64_t unix_seconds) {
  const std::uint64_t cached = std::min(amounts.input_cached, amounts.input);
  const double millionths =
      static_cast<double>(amounts.input - cached) * prices.input +
      static_cast<double>(cached) * prices.input_cached.value_or(prices.input) +
      static_cast<double>(amounts.output) * prices.output;
  const bool off_peak = prices.off_peak && prices.off_peak->contain(unix_seconds);
  return millionths * (off_peak ? prices.off_peak_factor : 1) / 1e6;
}

}  // namespace deepseek::gateway
