// IEEE 754 half precision, as scales in model files are kept.
//
// Pure; plain C++ for packing and for the reference. The fast kernels convert with instructions.
#pragma once

#include <cstdint>

namespace deepseek::kernels {

float half_to_float(std::uint16_t half);

// Rounds to the nearest, ties to even; too large a value becomes infinite.
std::uint16_t float_to_half(float value);

// False for infinities and for what is no number.
constexpr bool is_finite_half(std::uint16_t half) {
  return (half & 0x7C00U) != 0x7C00U;
}

}  // namespace deepseek::kernels
