#include "kernels/pack.hpp"

#include "kernels/file_format.hpp"
#include "kernels/half.hpp"

#include <algorithm>
#include <cassert>
#include <cstring>
#include <string>

namespace deepseek::kernels {

namespace {

constexpr std::size_t step_columns = 4;
constexpr std::size_t steps = block_columns / step_columns;
constexpr std::size_t half_bytes = sizeof(std::uint16_t);

std::size_t quant_bytes(int bits) {
  switch (bits) {
    case 4:
      return quants4_bytes;
    case 5:
      return quants5_bytes;
    case 6:
      return quants6_bytes;
    default:
      return quants8_bytes;
  }
}

std::size_t units_of(Format format, std::int64_t columns) {
  return static_cast<std::size_t>(columns / unit_columns(format));
}

std::size_t groups_of(Shape shape) {
  return static_cast<std::size_t>((shape.rows + group_rows - 1) / group_rows);
}

using Steps = std::array<std::uint32_t, steps>;  // four quants each

// Puts four bytes where the row has its place in a register of the block.
void put(std::byte* block, std::size_t place, std::size_t row, std::uint32_t four) {
  std::memcpy(block + (place * group_rows + row) * step_columns, &four, sizeof four);
}

// Steps k and k + 4 share bytes; then one register has the fifth bits of all steps, or two have the
// fifth and sixth ones of four steps each, step by step from the low bits on.
void place_quants(int bits, const Steps& four, std::size_t row, std::byte* block) {
  if (bits == 8) {
    for (std::size_t step = 0; step < steps; ++step) put(block, step, row, four[step]);
    return;
  }
  constexpr std::uint32_t low = 0x0F0F0F0F;
  for (std::size_t step = 0; step < steps / 2; ++step) {
    put(block, step, row, (four[step] & low) | (four[step + steps / 2] & low) << 4);
  }
  if (bits == 4) return;
  const std::size_t wide = static_cast<std::size_t>(bits) - 4;
  const std::size_t steps_of_register = bits == 5 ? steps : steps / 2;
  for (std::size_t first = 0; first < steps; first += steps_of_register) {
    std::uint32_t above = 0;
    for (std::size_t step = 0; step < steps_of_register; ++step) {
      above |= (four[first + step] & ~low) >> 4 << (step * wide);
    }
    put(block, steps / 2 + first / steps_of_register, row, above);
  }
}

// Puts one row's unit in its place among the sixteen. False if a scale is not finite.
bool place(const FileFormat& of, const RowUnit& unit, std::size_t row, std::byte* quants,
           std::byte* scales) {
  for (std::size_t half = 0; half < of.scales.halves; ++half) {
    if (!is_finite_half(unit.halves[half])) return false;
    std::memcpy(scales + (half * group_rows + row) * half_bytes, &unit.halves[half], half_bytes);
  }
  for (std::size_t byte = 0; byte < of.scales.bytes; ++byte) {
    scales[of.scales.halves_bytes + byte * group_rows + row] = std::byte{unit.bytes[byte]};
  }
  for (std::size_t block = 0; block < static_cast<std::size_t>(of.blocks); ++block) {
    Steps four{};
    std::memcpy(four.data(), unit.quants.data() + block * block_columns, sizeof four);
    place_quants(of.bits, four, row, quants + block * quant_bytes(of.bits));
  }
  return true;
}

}  // namespace

std::string_view name(Format format) {
  return file_format(format).name;
}

std::int64_t unit_columns(Format format) {
  return file_format(format).blocks * block_columns;
}

bool can_pack(Format format, Shape shape) {
  return shape.rows > 0 && shape.columns > 0 && shape.columns % unit_columns(format) == 0;
}

std::size_t file_bytes(Format format, Shape shape) {
  return static_cast<std::size_t>(shape.rows) * units_of(format, shape.columns) *
         file_format(format).unit_bytes;
}

std::size_t group_bytes(Format format, std::int64_t columns) {
  const FileFormat& of = file_format(format);
  const std::size_t unit = static_cast<std::size_t>(of.blocks) * quant_bytes(of.bits);
  const std::size_t bytes = units_of(format, columns) * (unit + of.scales.size);
  return (bytes + packed_alignment - 1) / packed_alignment * packed_alignment;
}

std::size_t packed_bytes(Format format, Shape shape) {
  return groups_of(shape) * group_bytes(format, shape.columns);
}

base::Result<void> pack(Format format, Shape shape, std::span<const std::byte> file,
                        std::span<std::byte> packed) {
  assert(can_pack(format, shape) && file.size() == file_bytes(format, shape) &&
         packed.size() == packed_bytes(format, shape));
  const FileFormat& of = file_format(format);
  const std::size_t units = units_of(format, shape.columns);
  const std::size_t unit_quants = static_cast<std::size_t>(of.blocks) * quant_bytes(of.bits);
  const std::size_t group_size = group_bytes(format, shape.columns);
  const auto rows = static_cast<std::size_t>(shape.rows);
  if (rows % group_rows != 0) {
    const auto last = packed.last(group_size);
    std::fill(last.begin(), last.end(), std::byte{});
  }
  RowUnit unit{};
  const std::byte* source = file.data();
  for (std::size_t row = 0; row < rows; ++row) {
    std::byte* quants = packed.data() + row / group_rows * group_size;
    std::byte* scales = quants + units * unit_quants;
    for (std::size_t number = 0; number < units; ++number) {
      of.read(source, unit);
      if (!place(of, unit, row % group_rows, quants, scales)) {
        const auto first = static_cast<std::int64_t>(number) * unit_columns(format);
        return base::make_error(
            base::ErrorCode::invalid_request,
            "row " + std::to_string(row) + " has a scale that is not finite in columns " +
                std::to_string(first) + " to " + std::to_string(first + unit_columns(format) - 1));
      }
      source += of.unit_bytes;
      quants += unit_quants;
      scales += of.scales.size;
    }
  }
  return {};
}

}  // namespace deepseek::kernels
