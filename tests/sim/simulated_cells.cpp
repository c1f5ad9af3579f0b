#include "simulated_cells.hpp"

namespace deepseek::engine {

bool SimulatedCells::apply(const CacheChange& change) {
  if (change.kind == CacheChange::Kind::keep) {
    keep(change.slot, change.length);
    return true;
  }
  if (change.kind == CacheChange::Kind::slide) return false;  // no window is simulated
  if (length(change.slot) != 0 || length(change.source) < change.length) return false;
  const std::vector<Cell>& source = rows_[change.source];
  rows_[change.slot] = {source.begin(), source.begin() + change.length};
  return true;
}

void SimulatedCells::write(std::int32_t slot, std::span<const Token> tokens) {
  for (const Token token : tokens) rows_[slot].push_back({++numbers_, token});
}

void SimulatedCells::keep(std::int32_t slot, std::int32_t length) {
  std::vector<Cell>& row = rows_[slot];
  if (static_cast<std::size_t>(length) < row.size()) row.resize(static_cast<std::size_t>(length));
}

std::int32_t SimulatedCells::length(std::int32_t slot) const {
  const auto row = rows_.find(slot);
  return row == rows_.end() ? 0 : static_cast<std::int32_t>(row->second.size());
}

std::vector<Token> SimulatedCells::tokens(std::int32_t slot) const {
  std::vector<Token> tokens;
  const auto row = rows_.find(slot);
  if (row == rows_.end()) return tokens;
  for (const Cell& cell : row->second) tokens.push_back(cell.token);
  return tokens;
}

std::int32_t SimulatedCells::used() const {
  std::set<std::uint64_t> numbers;
  for (const auto& [slot, row] : rows_) {
    for (const Cell& cell : row) numbers.insert(cell.number);
  }
  return static_cast<std::int32_t>(numbers.size());
}

}  // namespace deepseek::engine
