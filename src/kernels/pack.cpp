#include "kernels/pack.hpp"

#include "kernels/half.hpp"

#include <algorithm>
#include <cassert>
#include <cstring>
#include <string>

namespace deepseek::kernels {

namespace {

constexpr std::size_t column_step = 4;  // quants of one row that stand together
constexpr std::size_t half_bytes = sizeof(std::uint16_t);

// What a block of one row looks like in the file: scales first, then quants.
struct FileBlock {
  std::size_t scales;  // how many
  std::size_t quant_bytes;
  std::size_t bytes() const { return scales * half_bytes + quant_bytes; }
};

struct Facts {
  std::string_view name;
  FileBlock file;
  std::size_t quant_bytes;  // packed, of a group's block
  std::size_t scale_bytes;
  std::uint32_t flip;  // what turns four of the file's quants into unsigned ones
};

constexpr Facts q4_1{"Q4_1", {2, 16}, Q4_1Block::quant_bytes, Q4_1Block::scale_bytes, 0};
constexpr Facts q8_0{"Q8_0",
                     {1, 32},
                     Q8_0Block::quant_bytes,
                     Q8_0Block::scale_bytes,
                     Q8_0Block::zero_point * 0x01010101U};

const Facts& facts(Format format) {
  switch (format) {
    case Format::q4_1:
      return q4_1;
    case Format::q8_0:
      return q8_0;
  }
  return q4_1;
}

std::size_t blocks_of(std::int64_t columns) {
  return static_cast<std::size_t>(columns / block_columns);
}

std::size_t groups_of(Shape shape) {
  return static_cast<std::size_t>((shape.rows + group_rows - 1) / group_rows);
}

// Puts one row's block in its place among the sixteen. False if a scale is not finite.
bool place(const Facts& facts, const std::byte* block, std::size_t row, std::byte* quants,
           std::byte* scales) {
  for (std::size_t scale = 0; scale < facts.file.scales; ++scale) {
    std::uint16_t half = 0;
    std::memcpy(&half, block + scale * half_bytes, half_bytes);
    if (!is_finite_half(half)) return false;
    std::memcpy(scales + (scale * group_rows + row) * half_bytes, &half, half_bytes);
  }
  const std::byte* source = block + facts.file.scales * half_bytes;
  for (std::size_t step = 0; step * column_step < facts.file.quant_bytes; ++step) {
    std::uint32_t four = 0;
    std::memcpy(&four, source + step * column_step, column_step);
    four ^= facts.flip;
    std::memcpy(quants + (step * group_rows + row) * column_step, &four, column_step);
  }
  return true;
}

}  // namespace

std::string_view name(Format format) {
  return facts(format).name;
}

bool can_pack(Format, Shape shape) {
  return shape.rows > 0 && shape.columns > 0 && shape.columns % block_columns == 0;
}

std::size_t file_bytes(Format format, Shape shape) {
  return static_cast<std::size_t>(shape.rows) * blocks_of(shape.columns) *
         facts(format).file.bytes();
}

std::size_t group_bytes(Format format, std::int64_t columns) {
  const std::size_t bytes =
      blocks_of(columns) * (facts(format).quant_bytes + facts(format).scale_bytes);
  return (bytes + packed_alignment - 1) / packed_alignment * packed_alignment;
}

std::size_t packed_bytes(Format format, Shape shape) {
  return groups_of(shape) * group_bytes(format, shape.columns);
}

base::Result<void> pack(Format format, Shape shape, std::span<const std::byte> file,
                        std::span<std::byte> packed) {
  assert(can_pack(format, shape) && file.size() == file_bytes(format, shape) &&
         packed.size() == packed_bytes(format, shape));
  const Facts& of = facts(format);
  const std::size_t blocks = blocks_of(shape.columns);
  const std::size_t group_size = group_bytes(format, shape.columns);
  const auto rows = static_cast<std::size_t>(shape.rows);
  if (rows % group_rows != 0) {
    const auto last = packed.last(group_size);
    std::fill(last.begin(), last.end(), std::byte{});
  }
  for (std::size_t row = 0; row < rows; ++row) {
    std::byte* group = packed.data() + row / group_rows * group_size;
    std::byte* scales = group + blocks * of.quant_bytes;
    const std::byte* source = file.data() + row * blocks * of.file.bytes();
    for (std::size_t block = 0; block < blocks; ++block) {
      if (!place(of, source + block * of.file.bytes(), row % group_rows,
                 group + block * of.quant_bytes, scales + block * of.scale_bytes)) {
        return base::make_error(base::ErrorCode::invalid_request,
                                "row " + std::to_string(row) +
                                    " has a scale that is not finite in "
                                    "columns " +
                                    std::to_string(block * block_columns) + " to " +
                                    std::to_string((block + 1) * block_columns - 1));
      }
    }
  }
  return {};
}

}  // namespace deepseek::kernels
