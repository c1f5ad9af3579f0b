#include "kernels/file_format.hpp"

#include <cstring>

namespace deepseek::kernels {

namespace {

constexpr std::size_t half_bytes = sizeof(std::uint16_t);
constexpr int low_mask = 0x0F;

int byte(const std::byte* source, std::size_t at) {
  return std::to_integer<int>(source[at]);
}

std::uint8_t low(const std::byte* source, std::size_t at) {
  return static_cast<std::uint8_t>(byte(source, at) & low_mask);
}

std::uint8_t high(const std::byte* source, std::size_t at) {
  return static_cast<std::uint8_t>(byte(source, at) >> 4);
}

// The low nibbles of `count` bytes, then the high ones.
void read_nibbles(const std::byte* source, std::size_t count, std::uint8_t* quants) {
  for (std::size_t at = 0; at < count; ++at) {
    quants[at] = low(source, at);
    quants[at + count] = high(source, at);
  }
}

// [halves] [fifth bits: one of each column] [nibbles]
template <std::size_t halves, bool fifth_bits>
void read_block(const std::byte* block, RowUnit& row) {
  std::memcpy(row.halves.data(), block, halves * half_bytes);
  block += halves * half_bytes;
  std::uint32_t bits = 0;
  if (fifth_bits) {
    std::memcpy(&bits, block, sizeof bits);
    block += sizeof bits;
  }
  read_nibbles(block, block_columns / 2, row.quants.data());
  for (std::size_t at = 0; bits != 0; ++at, bits >>= 1) {
    row.quants[at] = static_cast<std::uint8_t>(row.quants[at] | (bits & 1U) << 4);
  }
}

void read_q8_0(const std::byte* block, RowUnit& row) {
  std::memcpy(row.halves.data(), block, half_bytes);
  for (std::size_t at = 0; at < block_columns; ++at) {
    row.quants[at] = static_cast<std::uint8_t>(byte(block, half_bytes + at) ^ 0x80);
  }
}

// Six bits of eight scales and eight minimums in twelve bytes: of the first four each in a byte; of
// the rest the low four bits side by side in a byte, and the high two above the first ones.
void read_sixes(const std::byte* twelve, RowUnit& row) {
  constexpr std::size_t half = super_blocks / 2;
  for (std::size_t block = 0; block < half; ++block) {
    const int scale = byte(twelve, block);
    const int minimum = byte(twelve, block + half);
    const int both = byte(twelve, block + 2 * half);
    row.bytes[block] = static_cast<std::uint8_t>(scale & 63);
    row.bytes[super_blocks + block] = static_cast<std::uint8_t>(minimum & 63);
    row.bytes[block + half] = static_cast<std::uint8_t>((both & low_mask) | scale >> 6 << 4);
    row.bytes[super_blocks + block + half] =
        static_cast<std::uint8_t>(both >> 4 | minimum >> 6 << 4);
  }
}

// [d, dmin] [scales and minimums] [fifth bits: a byte has those of one column in each block]
// [nibbles: two blocks in 32 bytes]
template <bool fifth_bits>
void read_super_minimums(const std::byte* unit, RowUnit& row) {
  constexpr std::size_t sixes_bytes = 12;
  std::memcpy(row.halves.data(), unit, 2 * half_bytes);
  read_sixes(unit + 2 * half_bytes, row);
  const std::byte* fifths = unit + 2 * half_bytes + sixes_bytes;
  const std::byte* nibbles = fifths + (fifth_bits ? block_columns : 0);
  for (std::size_t block = 0; block < super_blocks; block += 2) {
    read_nibbles(nibbles + block / 2 * block_columns, block_columns,
                 row.quants.data() + block * block_columns);
  }
  if (!fifth_bits) return;
  for (std::size_t at = 0; at < row.quants.size(); ++at) {
    const int bit = byte(fifths, at % block_columns) >> (at / block_columns) & 1;
    row.quants[at] = static_cast<std::uint8_t>(row.quants[at] | bit << 4);
  }
}

// [128 low nibbles twice] [four times two bits in a byte] [scales] [d]; each half of the unit has
// its own part of nibbles and bits: a byte of nibbles has columns that are 64 apart, a byte of bits
// those that are 32 apart.
void read_q6_k(const std::byte* unit, RowUnit& row) {
  constexpr std::size_t half = 128;
  const std::byte* pairs = unit + half;
  const std::byte* scales = pairs + half / 2;
  for (std::size_t part = 0; part < 2; ++part) {
    std::uint8_t* quants = row.quants.data() + part * half;
    read_nibbles(unit + part * half / 2, half / 2, quants);
    for (std::size_t at = 0; at < half; ++at) {
      const int pair = byte(pairs, part * half / 4 + at % 32) >> (at / 32 * 2) & 3;
      quants[at] = static_cast<std::uint8_t>(quants[at] | pair << 4);
    }
  }
  std::memcpy(row.bytes.data(), scales, row.bytes.size());
  std::memcpy(row.halves.data(), scales + row.bytes.size(), half_bytes);
}

constexpr FileFormat q4_0{"Q4_0", 1, 18, 4, scale_only, read_block<1, false>};
constexpr FileFormat q4_1{"Q4_1", 1, 20, 4, scale_and_minimum, read_block<2, false>};
constexpr FileFormat q5_0{"Q5_0", 1, 22, 5, scale_only, read_block<1, true>};
constexpr FileFormat q5_1{"Q5_1", 1, 24, 5, scale_and_minimum, read_block<2, true>};
constexpr FileFormat q8_0{"Q8_0", 1, 34, 8, scale_only, read_q8_0};
constexpr FileFormat q4_k{"Q4_K", super_blocks, 144, 4, super_minimums, read_super_minimums<false>};
constexpr FileFormat q5_k{"Q5_K", super_blocks, 176, 5, super_minimums, read_super_minimums<true>};
constexpr FileFormat q6_k{"Q6_K", super_blocks, 210, 6, super_halves, read_q6_k};

}  // namespace

const FileFormat& file_format(Format format) {
  switch (format) {
    case Format::q4_0:
      return q4_0;
    case Format::q4_1:
      return q4_1;
    case Format::q5_0:
      return q5_0;
    case Format::q5_1:
      return q5_1;
    case Format::q8_0:
      return q8_0;
    case Format::q4_k:
      return q4_k;
    case Format::q5_k:
      return q5_k;
    case Format::q6_k:
      return q6_k;
  }
  return q4_0;
}

}  // namespace deepseek::kernels
