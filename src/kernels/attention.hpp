// Attention of a few rows over a list of cells of the KV pool: softmax(scale · q · kᵀ) · v.
//
// A row is one token's query of one head. All rows of a block belong to heads that share their keys
// and values, so that each cell is read once for all of them; which cells those are, and which
// token looks at which, attention_plan.hpp finds out. Sums are kept in single precision, whatever
// the cells' type. Cells that a row does not look at take no part in its sums, but in a block of
// several tokens they are multiplied with zero: where one of them is infinite, what comes out of
// the others is no number. Whoever mixes sequences must look for that (see finish()) and compute
// them apart.
//
// Pure; any thread, each with its own scratch.
#pragma once

#include "kernels/instruction_set.hpp"

#include <cstddef>
#include <cstdint>

namespace deepseek::kernels {

enum class CellType { half, single, q8_0 };

inline constexpr int attention_rows_max = 64;  // of a block
// Widths of keys and values are multiples of it.
inline constexpr int attention_width_step = 32;

// One head's keys or values: those of cell i begin at data + i · stride.
struct CellRows {
  const std::byte* data = nullptr;
  std::size_t stride = 0;  // bytes
  CellType type{};
  int width = 0;  // numbers of a cell
};

struct AttentionBlock {
  CellRows keys;
  CellRows values;
  float scale = 1;
  float softcap = 0;  // scores are bent below it; 0: as they are
  const std::int32_t* cells = nullptr;
  std::int64_t cell_count = 0;
  // Of each cell: bit t is set if token t looks at it. Null: every token looks at all of them.
  const std::uint64_t* lookers = nullptr;
  int tokens = 1;
  int heads = 1;
  // Whether the order of additions may depend on how many tokens there are, which is faster. Else
  // each token's results are the same bit by bit, however many there are beside it.
  bool together = false;
  // [heads][tokens], at most attention_rows_max; of each row `keys.width` numbers.
  const float* const* queries = nullptr;
};

// What is known of rows when some of their cells have been seen.
struct AttentionSums {
  float* largest = nullptr;  // [rows]: the largest score
  float* sums = nullptr;     // [rows]: Σ exp(score - largest)
  float* values = nullptr;   // [rows][values.width]: Σ exp(score - largest) · v
};

// Bytes of scratch that a block needs at most, and floats of a row's sums.
std::size_t attention_scratch_bytes(int key_width, int value_width);

struct AttentionKernels {
  // One bit for each cell of a token's mask of `cells` half-precision numbers, a multiple of 64:
  // whether it is looked at. False if any is neither 0 nor minus infinity.
  bool (*open_cells)(const std::uint16_t* mask, std::int64_t cells, std::uint64_t* open) = nullptr;
  void (*attend)(const AttentionBlock& block, std::byte* scratch,
                 const AttentionSums& out) = nullptr;
  // Adds up `parts` sums of one row that have seen different cells, each `stride` floats behind the
  // one before, and a `sink`, a score without a value (null: none). `out`: `width` numbers, zeros
  // if no cell was seen. False if one of them is not finite.
  bool (*finish)(const AttentionSums& first, int parts, std::size_t stride, const float* sink,
                 int width, float* out) = nullptr;
};

// The set must be one of this machine's.
AttentionKernels attention_kernels(InstructionSet set);

}  // namespace deepseek::kernels
