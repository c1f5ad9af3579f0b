// The model's KV cells as llama.cpp keeps them, for the scheduler's simulation: each slot has a row
// of cells, and cells that were shared stand in several rows.
//
// Pure; owned by one simulation.
#pragma once

#include "engine/step_plan.hpp"

#include <cstdint>
#include <map>
#include <set>
#include <span>
#include <vector>

namespace deepseek::engine {

class SimulatedCells {
 public:
  // False if the change makes no sense: a slot that is shared into must be empty, its source must
  // have what is asked for.
  bool apply(const CacheChange& change);
  void write(std::int32_t slot, std::span<const Token> tokens);
  void keep(std::int32_t slot, std::int32_t length);

  std::int32_t length(std::int32_t slot) const;
  // The tokens whose states the slot's cells hold.
  std::vector<Token> tokens(std::int32_t slot) const;
  // Of all slots, each cell once.
  std::int32_t used() const;

 private:
  struct Cell {
    std::uint64_t number = 0;
    Token token = 0;
  };
  std::map<std::int32_t, std::vector<Cell>> rows_;
  std::uint64_t numbers_ = 0;
};

}  // namespace deepseek::engine
