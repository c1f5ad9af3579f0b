#include "engine/cell_map.hpp"

#include <algorithm>
#include <cassert>

namespace deepseek::engine {

CellMap::CellMap(std::int32_t cells, std::int32_t slots)
    : users_(static_cast<std::size_t>(cells)), slots_(static_cast<std::size_t>(slots)) {}

void CellMap::take(std::int32_t slot, std::int32_t count) {
  std::vector<std::int32_t>& mine = slots_[static_cast<std::size_t>(slot)];
  for (; count > 0; --count) {
    while (users_[static_cast<std::size_t>(lowest_free_)] > 0) ++lowest_free_;
    users_[static_cast<std::size_t>(lowest_free_)] = 1;
    mine.push_back(lowest_free_++);
    ++used_;
    span_ = std::max(span_, lowest_free_);
  }
}

void CellMap::share(std::int32_t slot, std::int32_t source, std::int32_t length) {
  const std::vector<std::int32_t>& theirs = slots_[static_cast<std::size_t>(source)];
  std::vector<std::int32_t>& mine = slots_[static_cast<std::size_t>(slot)];
  assert(mine.empty() && length <= static_cast<std::int32_t>(theirs.size()));
  mine.assign(theirs.begin(), theirs.begin() + length);
  for (const std::int32_t cell : mine) ++users_[static_cast<std::size_t>(cell)];
}

void CellMap::keep(std::int32_t slot, std::int32_t length) {
  std::vector<std::int32_t>& mine = slots_[static_cast<std::size_t>(slot)];
  while (static_cast<std::int32_t>(mine.size()) > length) {
    const std::int32_t cell = mine.back();
    mine.pop_back();
    if (--users_[static_cast<std::size_t>(cell)] > 0) continue;
    --used_;
    lowest_free_ = std::min(lowest_free_, cell);
  }
  while (span_ > 0 && users_[static_cast<std::size_t>(span_ - 1)] == 0) --span_;
}

void CellMap::slide(std::int32_t slot, std::int32_t first, std::int32_t count) {
  std::vector<std::int32_t>& mine = slots_[static_cast<std::size_t>(slot)];
  std::rotate(mine.begin() + first, mine.begin() + first + count, mine.end());
  keep(slot, length(slot) - count);
}

bool CellMap::shares(std::int32_t slot) const {
  const std::vector<std::int32_t>& mine = slots_[static_cast<std::size_t>(slot)];
  return std::any_of(mine.begin(), mine.end(), [this](std::int32_t cell) {
    return users_[static_cast<std::size_t>(cell)] > 1;
  });
}

std::int32_t CellMap::length(std::int32_t slot) const {
  return static_cast<std::int32_t>(slots_[static_cast<std::size_t>(slot)].size());
}

}  // namespace deepseek::engine
