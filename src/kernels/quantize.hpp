// How activations are quantized for each family of formats; the arithmetic is an instruction set's.
//
// Templates alone, over a type that is local to the file which includes this: each such file is
// compiled for another instruction set, and none may be linked to another's copy.
//
// `Set` has:
//   float largest(const float* values)           the largest size among a block's values
//   HalfSums quantize(const float* values, float inverse, std::int32_t* quants, int stride)
//       values · inverse, rounded, none below -127; four to each of quants[0], quants[stride], …
//   float rounded_to_half(float)
#pragma once

#include "kernels/product.hpp"

namespace deepseek::kernels {

inline constexpr float quant_max = 127.0F;
inline constexpr int steps = block_columns / 4;  // of four columns

// Of a block's quants.
struct HalfSums {
  std::int32_t first;
  std::int32_t second;
};

// What is kept of the sums beside the quants. A format names one of these.
struct KeepSums {  // Q4_1, Q5_1: for minimums of each block
  static constexpr int unit_blocks = 1;
  template <class Set>
  static void keep(const Panel& panel, std::int64_t cell, float scale, HalfSums sums) {
    panel.sums[cell] = Set::rounded_to_half(scale * static_cast<float>(sums.first + sums.second));
  }
};
template <int zero_point>
struct KeepOffsets {  // Q4_0, Q5_0, Q8_0
  static constexpr int unit_blocks = 1;
  template <class Set>
  static void keep(const Panel& panel, std::int64_t cell, float, HalfSums sums) {
    panel.offsets[cell] = -zero_point * (sums.first + sums.second);
  }
};
struct KeepSuperSums {  // Q4_K, Q5_K
  static constexpr int unit_blocks = super_blocks;
  template <class Set>
  static void keep(const Panel& panel, std::int64_t cell, float scale, HalfSums sums) {
    panel.sums[cell] = scale * static_cast<float>(sums.first + sums.second);
  }
};
template <int zero_point>
struct KeepHalfOffsets {  // Q6_K
  static constexpr int unit_blocks = super_blocks;
  template <class Set>
  static void keep(const Panel& panel, std::int64_t cell, float, HalfSums sums) {
    const std::int64_t column = cell % panel.width;
    std::int32_t* offsets = panel.offsets + 2 * (cell - column) + column;
    offsets[0] = -zero_point * sums.first;
    offsets[panel.width] = -zero_point * sums.second;
  }
};

// The scale of `unit_blocks` blocks, and the quants of all.
template <class Set, class Keep>
void quantize_unit(const float* values, const Panel& panel, std::int64_t unit, int column) {
  float largest = 0;
  for (int block = 0; block < Keep::unit_blocks; ++block) {
    const float here = Set::largest(values + block * block_columns);
    largest = here > largest ? here : largest;
  }
  const float inverse = largest != 0 ? quant_max / largest : 0.0F;
  // ggml keeps the scale of one block in half precision, and of eight in full.
  const bool one = Keep::unit_blocks == 1;
  const float scale = one ? largest / quant_max : (largest != 0 ? 1.0F / inverse : 0.0F);
  panel.scales[unit * panel.width + column] = one ? Set::rounded_to_half(scale) : scale;
  auto* quants = reinterpret_cast<std::int32_t*>(panel.quants);
  for (int at = 0; at < Keep::unit_blocks; ++at) {
    const std::int64_t block = unit * Keep::unit_blocks + at;
    const HalfSums sums = Set::quantize(values + at * block_columns, inverse,
                                        quants + block * steps * panel.width + column, panel.width);
    Keep::template keep<Set>(panel, block * panel.width + column, scale, sums);
  }
}

template <class Set, class Keep>
void quantize(const float* const* columns, const Panel& panel) {
  for (int column = 0; column < panel.width; ++column) {
    for (std::int64_t unit = 0; unit * Keep::unit_blocks < panel.blocks; ++unit) {
      quantize_unit<Set, Keep>(columns[column] + unit * Keep::unit_blocks * block_columns, panel,
                               unit, column);
    }
  }
}

}  // namespace deepseek::kernels
