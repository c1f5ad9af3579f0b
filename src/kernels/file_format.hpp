// A row's blocks as they stand in a model file, format by format.
//
// Pure. Only pack.cpp asks.
#pragma once

#include "kernels/format.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace deepseek::kernels {

// One row's quants and scales of 32 or 256 columns, unpacked: quants are not negative, scales are
// in the order of UnitScales.
struct RowUnit {
  std::array<std::uint8_t, super_blocks * block_columns> quants;
  std::array<std::uint16_t, 2> halves;
  std::array<std::uint8_t, 2 * super_blocks> bytes;
};

struct FileFormat {
  std::string_view name;
  std::int64_t blocks;     // of a unit
  std::size_t unit_bytes;  // of one row in the file
  int bits;                // of a quant
  UnitScales scales;
  void (*read)(const std::byte* unit, RowUnit& row);
};

const FileFormat& file_format(Format format);

}  // namespace deepseek::kernels
