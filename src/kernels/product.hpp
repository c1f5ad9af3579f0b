// Products of packed weights with activations: out[column][row] = Σ weight[row][i] · x[column][i].
//
// Activations are quantized as llama.cpp does for the same format, so results differ from its own
// only by the order of additions. Up to `panel_width` columns share one pass over the weights: they
// make a panel, in which the quants of the same four rows of all columns stand together.
//
// Pure; any thread. A panel is written by one thread and then read by any number of them.
#pragma once

#include "kernels/format.hpp"
#include "kernels/instruction_set.hpp"

#include <cstddef>
#include <cstdint>

namespace deepseek::kernels {

inline constexpr int panel_width = 8;

struct Panel {
  int width = 0;                  // columns, 1 to panel_width
  std::int64_t blocks = 0;        // of 32 rows
  std::int8_t* quants = nullptr;  // [blocks][8][width][4]
  float* scales = nullptr;        // [units][width]; a unit is one block, or super_blocks of them
  // Of what each format needs one, in the same place:
  float* sums = nullptr;            // [blocks][width]: scale · Σ quants, for minimums
  std::int32_t* offsets = nullptr;  // [blocks][width], of Q6_K [blocks][2][width] for each half of
                                    // a block: -zero point · Σ quants
};

// Bytes of a panel, and the panel in them; `memory` is aligned to 4 bytes.
std::size_t panel_bytes(int width, std::int64_t columns);
Panel panel_at(std::byte* memory, int width, std::int64_t columns);

struct Kernels {
  // columns[0 … width): `blocks` · 32 floats each. Where one is no number, that column's products
  // mean nothing, and nothing worse happens.
  void (*quantize)(const float* const* columns, const Panel& panel) = nullptr;
  // `rows` rows from the first of `groups` on, into out[0 … width)[0 … rows).
  void (*multiply)(const std::byte* groups, std::size_t group_bytes, std::int64_t rows,
                   const Panel& panel, float* const* out) = nullptr;
};

// The set must be one of this machine's.
Kernels kernels(InstructionSet set, Format format);

}  // namespace deepseek::kernels
