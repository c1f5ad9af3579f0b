// Plain C++ for machines without a faster instruction set, and what the others are tested against:
// one row and one column at a time.
#include "kernels/attend.hpp"
#include "kernels/half.hpp"
#include "kernels/instruction_kernels.hpp"
#include "kernels/multiply.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace deepseek::kernels {

namespace {

int four_bits(const std::byte* block, int step, int at) {
  const auto pair = block[step % (steps / 2) * group_rows * 4 + at];
  return std::to_integer<int>(step < steps / 2 ? pair & std::byte{0x0F} : pair >> 4);
}

// Quants of a block by their bits: the one at place `at` of a step. See pack.cpp.
struct Bits4 {
  static constexpr std::size_t bytes = quants4_bytes;
  static constexpr bool zero_point_in_quants = true;
  static int quant(const std::byte* block, int step, int at) { return four_bits(block, step, at); }
};
struct Bits5 {
  static constexpr std::size_t bytes = quants5_bytes;
  static constexpr bool zero_point_in_quants = true;
  static int quant(const std::byte* block, int step, int at) {
    const int fifths = std::to_integer<int>(block[Bits4::bytes + static_cast<std::size_t>(at)]);
    return four_bits(block, step, at) | (fifths >> step & 1) << 4;
  }
};
struct Bits6 {
  static constexpr std::size_t bytes = quants6_bytes;
  [[maybe_unused]] static constexpr bool zero_point_in_quants = true;
  static int quant(const std::byte* block, int step, int at) {
    const std::byte* pairs = block + Bits4::bytes + step / (steps / 2) * group_rows * 4;
    const int shift = step % (steps / 2) * 2;
    return four_bits(block, step, at) | (std::to_integer<int>(pairs[at]) >> shift & 3) << 4;
  }
};
struct Bits8 {
  static constexpr std::size_t bytes = quants8_bytes;
  static constexpr bool zero_point_in_quants = true;
  static int quant(const std::byte* block, int step, int at) {
    return std::to_integer<int>(block[step * group_rows * 4 + at]);
  }
};

float half_at(const std::byte* place) {
  std::uint16_t half = 0;
  std::memcpy(&half, place, sizeof half);
  return half_to_float(half);
}

struct Reference {
  using Floats = float;
  using Integers = std::int32_t;
  using Bits4 = kernels::Bits4;
  using Bits5 = kernels::Bits5;
  using Bits6 = kernels::Bits6;
  using Bits8 = kernels::Bits8;
  static constexpr int lanes = 1;
  static constexpr int width_max = 1;

  static Floats zeros() { return 0; }
  static Floats floats(float one) { return one; }
  static Integers integers(std::int32_t one) { return one; }
  static Floats to_floats(Integers value) { return static_cast<float>(value); }
  static Floats multiply(Floats a, Floats b) { return a * b; }
  static Floats multiply_add(Floats a, Floats b, Floats c) { return a * b + c; }
  static Floats subtract_product(Floats a, Floats b, Floats c) { return c - a * b; }
  static Floats halves(const std::byte* place, std::size_t lane) {
    return half_at(place + lane * sizeof(std::uint16_t));
  }
  static Floats unsigned_bytes(const std::byte* place, std::size_t lane) {
    return std::to_integer<std::uint8_t>(place[lane]);
  }
  static Floats signed_bytes(const std::byte* place, std::size_t lane) {
    return std::to_integer<std::int8_t>(place[lane]);
  }
  static void store(float* out, Floats value, std::int64_t) { *out = value; }

  template <class Bits, int begin, int end>
  static void add(Integers (&sums)[1], const std::byte* block, const std::int32_t* activations,
                  int stride) {
    for (int step = begin; step < end; ++step) {
      std::int8_t four[4];
      std::memcpy(four, activations + step * stride, sizeof four);
      for (int at = 0; at < 4; ++at) sums[0] += Bits::quant(block, step, at) * four[at];
    }
  }

  static float rounded_to_half(float value) { return half_to_float(float_to_half(value)); }
  static float largest(const float* values) {
    float most = 0;
    for (int at = 0; at < block_columns; ++at) most = std::max(most, std::fabs(values[at]));
    return most;
  }
  static HalfSums quantize(const float* values, float inverse, std::int32_t* quants, int stride) {
    std::int32_t sums[2] = {};
    for (int step = 0; step < steps; ++step) {
      std::int8_t four[4];
      for (int at = 0; at < 4; ++at) {
        const float value = std::nearbyint(values[step * 4 + at] * inverse);
        // What is no number has no place among the quants.
        four[at] = static_cast<std::int8_t>(std::fabs(value) <= quant_max ? value : 0.0F);
        sums[step / (steps / 2)] += four[at];
      }
      std::memcpy(quants + step * stride, four, sizeof four);
    }
    return {sums[0], sums[1]};
  }

  static constexpr int tile_vectors = 1;
  static constexpr int tile_sums = 4;
  static constexpr int value_vectors = 1;
  static constexpr int few_rows = 6;
  static Floats load(const float* place) { return *place; }
  static void keep(float* place, Floats value) { *place = value; }
  static float half(const std::byte* place) { return half_at(place); }
  static Floats plus(Floats a, Floats b) { return a + b; }
  static Floats minus(Floats a, Floats b) { return a - b; }
  static Floats divide(Floats a, Floats b) { return a / b; }
  static Floats larger(Floats a, Floats b) { return a > b ? a : b; }
  static Floats rounded_floats(Floats x) { return std::nearbyint(x); }
  static Floats times_power_of_two(Floats x, Floats whole) {
    return std::isfinite(whole) ? std::ldexp(x, static_cast<int>(whole)) : whole;
  }
  static Floats zero_below(Floats x, Floats limit, Floats value) { return x < limit ? 0 : value; }
  static Floats closed_unless(std::uint64_t bits, Floats value) {
    return (bits & 1) != 0 ? value : minus_infinity;
  }
  static float sum_of(Floats value) { return value; }
  static float largest_of(Floats value) { return value; }
  static void sums_of_four(Floats a, Floats b, Floats c, Floats d, float* place) {
    place[0] = a;
    place[1] = b;
    place[2] = c;
    place[3] = d;
  }
  static std::uint64_t open_bits(const std::uint16_t* mask, bool& known) {
    std::uint64_t open = 0;
    for (int cell = 0; cell < 64; ++cell) {
      if (mask[cell] == static_cast<std::uint16_t>(closed_cell)) continue;
      known &= (mask[cell] & 0x7FFF) == 0;
      open |= std::uint64_t{1} << cell;
    }
    return open;
  }
};

}  // namespace

Kernels reference_kernels(Format format) {
  return kernels_of<Reference>(format);
}

AttentionKernels reference_attention() {
  return attention_kernels_of<Reference>();
}

}  // namespace deepseek::kernels
