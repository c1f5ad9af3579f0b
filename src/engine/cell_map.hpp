// Which cells of the model's KV pool are in use, where every new position takes the lowest free
// one.
//
// Pure bookkeeping beside llama.cpp's own, which cannot be asked; llama/context.cpp keeps the two
// alike. Attention looks at all cells up to the highest in use, so free ones below it are what
// fragmentation costs.
#pragma once

#include <cstdint>
#include <vector>

namespace deepseek::engine {

class CellMap {
 public:
  CellMap(std::int32_t cells, std::int32_t slots);

  // The slot gets `count` positions behind those that it has. There must be room for them.
  void take(std::int32_t slot, std::int32_t count);
  // The first `length` positions of `source` are in `slot`, which is empty, too: in the same cells.
  void share(std::int32_t slot, std::int32_t source, std::int32_t length);
  // Only the first `length` positions stay.
  void keep(std::int32_t slot, std::int32_t length);

  // `count` positions from `first` on go; those behind move up, in their cells.
  void slide(std::int32_t slot, std::int32_t first, std::int32_t count);

  std::int32_t length(std::int32_t slot) const;
  bool shares(std::int32_t slot) const;  // any of its cells
  std::int32_t used() const { return used_; }
  // Cells up to the highest in use.
  std::int32_t span() const { return span_; }
  bool has_holes() const { return used_ < span_; }

 private:
  std::vector<std::uint16_t> users_;              // of each cell: how many slots have it
  std::vector<std::vector<std::int32_t>> slots_;  // of each slot: the cell of each position
  std::int32_t used_ = 0;
  std::int32_t span_ = 0;
  std::int32_t lowest_free_ = 0;
};

}  // namespace deepseek::engine
