// Plain C++ for machines without a faster instruction set, and what the others are tested against.
#include "kernels/half.hpp"
#include "kernels/instruction_kernels.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace deepseek::kernels {

namespace {

constexpr float quant_max = 127.0F;
constexpr int steps = block_columns / 4;  // of four columns

std::int8_t* quant(const Panel& panel, std::int64_t block, int column, int at) {
  return panel.quants + ((block * steps + at / 4) * panel.width + column) * 4 + at % 4;
}

// One block of one column; returns the sum of its quants.
std::int32_t quantize_block(const float* values, const Panel& panel, std::int64_t block, int column,
                            float& scale) {
  float largest = 0;
  for (int at = 0; at < block_columns; ++at) largest = std::max(largest, std::fabs(values[at]));
  scale = largest / quant_max;
  const float inverse = largest != 0 ? quant_max / largest : 0;
  std::int32_t sum = 0;
  for (int at = 0; at < block_columns; ++at) {
    const float steps_of_scale = std::nearbyint(values[at] * inverse);
    // What is no number has no place among the quants.
    const auto rounded =
        static_cast<std::int8_t>(std::fabs(steps_of_scale) <= quant_max ? steps_of_scale : 0.0F);
    *quant(panel, block, column, at) = rounded;
    sum += rounded;
  }
  return sum;
}

float rounded_to_half(float value) {
  return half_to_float(float_to_half(value));
}

void keep_sum(Format format, const Panel& panel, std::int64_t cell, float scale, std::int32_t sum) {
  switch (format) {
    case Format::q4_1:
      panel.sums[cell] = rounded_to_half(scale * static_cast<float>(sum));
      return;
    case Format::q8_0:
      panel.offsets[cell] = -Q8_0Block::zero_point * sum;
      return;
  }
}

template <Format format>
void quantize(const float* const* columns, const Panel& panel) {
  for (std::int64_t block = 0; block < panel.blocks; ++block) {
    for (int column = 0; column < panel.width; ++column) {
      float scale = 0;
      const std::int32_t sum =
          quantize_block(columns[column] + block * block_columns, panel, block, column, scale);
      const std::int64_t cell = block * panel.width + column;
      panel.scales[cell] = rounded_to_half(scale);
      keep_sum(format, panel, cell, scale, sum);
    }
  }
}

float half_at(const std::byte* halves, std::int64_t index) {
  std::uint16_t half = 0;
  std::memcpy(&half, halves + static_cast<std::size_t>(index) * sizeof half, sizeof half);
  return half_to_float(half);
}

int low_or_high(const std::byte* quants, std::int64_t row, int at) {
  const int step = at / 4;
  const auto pair = quants[(step % (steps / 2) * group_rows + row) * 4 + at % 4];
  return std::to_integer<int>(step < steps / 2 ? pair & std::byte{0x0F} : pair >> 4);
}

void multiply_q4_1(const std::byte* groups, std::size_t group_bytes, std::int64_t rows,
                   const Panel& panel, float* const* out) {
  for (std::int64_t row = 0; row < rows; ++row) {
    const std::byte* group = groups + static_cast<std::size_t>(row / group_rows) * group_bytes;
    const std::byte* scales =
        group + static_cast<std::size_t>(panel.blocks) * Q4_1Block::quant_bytes;
    for (int column = 0; column < panel.width; ++column) {
      float total = 0;
      for (std::int64_t block = 0; block < panel.blocks; ++block) {
        const auto skip = static_cast<std::size_t>(block);
        std::int32_t sum = 0;
        for (int at = 0; at < block_columns; ++at) {
          sum += low_or_high(group + skip * Q4_1Block::quant_bytes, row % group_rows, at) *
                 *quant(panel, block, column, at);
        }
        const std::byte* pair = scales + skip * Q4_1Block::scale_bytes;
        const std::int64_t cell = block * panel.width + column;
        total += half_at(pair, row % group_rows) * panel.scales[cell] * static_cast<float>(sum) +
                 half_at(pair, group_rows + row % group_rows) * panel.sums[cell];
      }
      out[column][row] = total;
    }
  }
}

void multiply_q8_0(const std::byte* groups, std::size_t group_bytes, std::int64_t rows,
                   const Panel& panel, float* const* out) {
  for (std::int64_t row = 0; row < rows; ++row) {
    const std::byte* group = groups + static_cast<std::size_t>(row / group_rows) * group_bytes;
    const std::byte* scales =
        group + static_cast<std::size_t>(panel.blocks) * Q8_0Block::quant_bytes;
    for (int column = 0; column < panel.width; ++column) {
      float total = 0;
      for (std::int64_t block = 0; block < panel.blocks; ++block) {
        const auto skip = static_cast<std::size_t>(block);
        const std::byte* quants = group + skip * Q8_0Block::quant_bytes;
        std::int32_t sum = panel.offsets[block * panel.width + column];
        for (int at = 0; at < block_columns; ++at) {
          sum +=
              std::to_integer<int>(quants[(at / 4 * group_rows + row % group_rows) * 4 + at % 4]) *
              *quant(panel, block, column, at);
        }
        total += half_at(scales + skip * Q8_0Block::scale_bytes, row % group_rows) *
                 panel.scales[block * panel.width + column] * static_cast<float>(sum);
      }
      out[column][row] = total;
    }
  }
}

}  // namespace

Kernels reference_kernels(Format format) {
  switch (format) {
    case Format::q4_1:
      return {quantize<Format::q4_1>, multiply_q4_1};
    case Format::q8_0:
      return {quantize<Format::q8_0>, multiply_q8_0};
  }
  return {};
}

}  // namespace deepseek::kernels
