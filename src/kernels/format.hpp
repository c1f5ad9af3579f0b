// The formats of a model file's weights for which there are kernels.
//
// Constants alone: the kernels' files are compiled for other instruction sets than the rest, so no
// function may come to them from here.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace deepseek::kernels {

enum class Format { q4_1, q8_0 };
inline constexpr std::array formats = {Format::q4_1, Format::q8_0};

inline constexpr std::int64_t group_rows = 16;
inline constexpr std::int64_t block_columns = 32;

// Sizes of a packed block: sixteen rows, thirty-two columns. See pack.hpp.
struct Q4_1Block {
  static constexpr std::size_t quant_bytes = 256;  // low halves: columns 0 to 15; high: 16 to 31
  static constexpr std::size_t scale_bytes = 64;   // 16 × d, 16 × m
};
struct Q8_0Block {
  static constexpr std::size_t quant_bytes = 512;  // q + 128
  static constexpr std::size_t scale_bytes = 32;   // 16 × d
  static constexpr int zero_point = 128;
};

}  // namespace deepseek::kernels
