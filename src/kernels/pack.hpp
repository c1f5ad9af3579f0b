// The weights of a model file, and how they are laid out for the kernels.
//
// Sixteen rows make a group, thirty-two columns a block. A group holds first the quants of all its
// blocks, then all their scales, and starts at a multiple of 64 bytes. In a block the four quants
// of row r and columns 4k to 4k+3 stand together, and the rows side by side: one register holds
// four columns of sixteen rows. The last group is filled up with rows of zeros.
//
// The file's formats are ggml's: Q8_0 is d · q with q in [-128, 127]; Q4_1 is d · q + m with q in
// [0, 15]; d and m are half precision, each for 32 columns of one row. Nothing is lost in packing.
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

// Whether weights of this shape can be packed: whole blocks, at least one row.
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
