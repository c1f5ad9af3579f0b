// The weights of a model file, and how they are laid out for the kernels.
//
// Sixteen rows make a group, thirty-two columns a block. A group holds first the quants of all its
// blocks, then all their scales, and starts at a multiple of 64 bytes. Four columns are a step: the
// quants of row r and columns 4k to 4k+3 stand together, and the rows side by side, so that one
// register holds a step of sixteen rows. The last group is filled up with rows of zeros.
//
// The file's formats are ggml's, in which a row's weight is
//   d · (q - z)        in Q4_0, Q5_0, Q8_0 (z is 8, 16, 0), d for each 32 columns;
//   d · q + m          in Q4_1, Q5_1, likewise;
//   d · s · q - e · m  in Q4_K, Q5_K: d and e for 256 columns, six bits of s and m for each 32;
//   d · s · (q - 32)   in Q6_K: d for 256 columns, eight bits of s for each 16.
// d, e and the m of Q4_1 and Q5_1 are half precision. Nothing is lost in packing.
#pragma once

#include "base/result.hpp"
#include "kernels/format.hpp"

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace deepseek::kernels {

inline constexpr std::size_t packed_alignment = 64;

struct Shape {
  std::int64_t rows = 0;
  std::int64_t columns = 0;
  bool operator==(const Shape&) const = default;
};

std::string_view name(Format format);

// Columns that the file's format keeps together: 32 or 256.
std::int64_t unit_columns(Format format);

// Whether weights of this shape can be packed: whole units, at least one row.
bool can_pack(Format format, Shape shape);

// Bytes in the file, and packed; of a group, and of all.
std::size_t file_bytes(Format format, Shape shape);
std::size_t group_bytes(Format format, std::int64_t columns);
std::size_t packed_bytes(Format format, Shape shape);

// Packs whole rows. `packed` is aligned to `packed_alignment`; both spans have the bytes above.
// Fails with `invalid_request` where a scale is infinite or no number: the file is damaged.
base::Result<void> pack(Format format, Shape shape, std::span<const std::byte> file,
                        std::span<std::byte> packed);

}  // namespace deepseek::kernels
