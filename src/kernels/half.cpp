#include "kernels/half.hpp"

#include <bit>
#include <cmath>

namespace deepseek::kernels {

namespace {
constexpr int mantissa_bits = 10;
constexpr int exponent_bias = 15;
constexpr std::uint32_t exponent_mask = 0x1F;
constexpr std::uint32_t mantissa_mask = 0x3FF;
constexpr std::uint16_t infinite = 0x7C00;
constexpr std::uint16_t no_number = 0x7E00;
}  // namespace

float half_to_float(std::uint16_t half) {
  const std::uint32_t exponent = (half >> mantissa_bits) & exponent_mask;
  const std::uint32_t mantissa = half & mantissa_mask;
  const float sign = (half & 0x8000U) != 0 ? -1.0F : 1.0F;
  if (exponent == 0) return sign * std::ldexp(static_cast<float>(mantissa), -24);
  if (exponent == exponent_mask) {
    return mantissa == 0 ? sign * HUGE_VALF : std::nanf("");
  }
  return sign * std::ldexp(static_cast<float>(mantissa + 1024U),
                           static_cast<int>(exponent) - exponent_bias - mantissa_bits);
}

std::uint16_t float_to_half(float value) {
  const auto sign = static_cast<std::uint16_t>(std::bit_cast<std::uint32_t>(value) >> 16 & 0x8000U);
  if (std::isnan(value)) return sign | no_number;
  if (value == 0) return sign;
  int exponent = 0;
  const float fraction = std::frexp(std::fabs(value), &exponent);  // in [0.5, 1)
  if (exponent > exponent_bias + 1 || std::isinf(value)) return sign | infinite;
  // Steps of the last place: 2^(exponent - 11) for normal values, 2^-24 for those below them.
  const int last_place = exponent - 1 < 1 - exponent_bias ? -24 : exponent - mantissa_bits - 1;
  const auto steps =
      static_cast<std::uint32_t>(std::nearbyint(std::ldexp(fraction, exponent - last_place)));
  if (last_place == -24) return static_cast<std::uint16_t>(sign | steps);
  const auto biased = static_cast<std::uint32_t>(exponent - 1 + exponent_bias);
  // A mantissa that is rounded up to the next power of two carries into the exponent.
  return static_cast<std::uint16_t>(sign + (biased << mantissa_bits) + (steps - 1024U));
}

}  // namespace deepseek::kernels
