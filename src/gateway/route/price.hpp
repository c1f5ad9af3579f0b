// What a request costs on a backend: prices per token, and hours in which they are lower.
//
// Pure values. Amounts are in the backend's own currency: prices can be compared only among
// backends that share one. For choosing by an estimate, and for the ledger by the real usage.
#pragma once

#include "gateway/route/hours.hpp"

#include <cstdint>
#include <optional>

namespace deepseek::gateway {

struct TokenPrices {
  double input = 0;                      // per million tokens
  std::optional<double> input_cached{};  // of tokens that the provider had cached; none: as input
  double output = 0;
  std::optional<Hours> off_peak{};
  double off_peak_factor = 1;  // of all three, within these hours
};

struct TokenAmounts {
  std::uint64_t input = 0;  // all of the prompt, with the cached ones
  std::uint64_t input_cached = 0;
  std::uint64_t output = 0;
};

// What an answer without a limit is taken to have.
inline constexpr std::uint64_t output_tokens_guess = 512;

double price_of(const TokenPrices& prices, const TokenAmounts& amounts, std::int64_t unix_seconds);

}  // namespace deepseek::gateway
