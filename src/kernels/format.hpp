// The formats of a model file's weights for which there are kernels.
//
// Constants alone: the kernels' files are compiled for other instruction sets than the rest, so no
// function of which there is code may come to them from here.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace deepseek::kernels {

enum class Format { q4_0, q4_1, q5_0, q5_1, q8_0, q4_k, q5_k, q6_k };
inline constexpr std::array formats = {Format::q4_0, Format::q4_1, Format::q5_0, Format::q5_1,
                                       Format::q8_0, Format::q4_k, Format::q5_k, Format::q6_k};

inline constexpr std::int64_t group_rows = 16;
inline constexpr std::int64_t block_columns = 32;
inline constexpr std::int64_t super_blocks = 8;  // blocks whose scales have a scale of their own

// Bytes of a packed block's quants by their bits: sixteen rows, thirty-two columns. See pack.hpp.
inline constexpr std::size_t quants4_bytes = 256;
inline constexpr std::size_t quants5_bytes = quants4_bytes + 64;
inline constexpr std::size_t quants6_bytes = quants4_bytes + 128;
inline constexpr std::size_t quants8_bytes = 512;

// What stands beside the quants of a unit: of one block, or of `super_blocks`. Packed: first the
// halves of all rows, then the bytes.
struct UnitScales {
  std::size_t halves;        // of each row
  std::size_t bytes;         // of each row
  std::size_t halves_bytes;  // of sixteen rows
  std::size_t size;          // of sixteen rows, in bytes
};
consteval UnitScales unit_scales(std::size_t halves, std::size_t bytes) {
  return {halves, bytes, halves * 2 * group_rows, (halves * 2 + bytes) * group_rows};
}
inline constexpr UnitScales scale_only = unit_scales(1, 0);
inline constexpr UnitScales scale_and_minimum = unit_scales(2, 0);
// d and dmin, then a scale of each block, then a minimum of each.
inline constexpr UnitScales super_minimums = unit_scales(2, 2 * super_blocks);
// d, then a signed scale of each half block.
inline constexpr UnitScales super_halves = unit_scales(1, 2 * super_blocks);

}  // namespace deepseek::kernels
