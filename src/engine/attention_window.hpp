// What a sequence keeps of its past where it may not keep all: its first tokens, which attention
// leans on (sinks), and the last ones.
//
// Pure value. Tokens are dropped some at a time, so that positions are moved seldom.
#pragma once

#include <algorithm>
#include <cstdint>

namespace deepseek::engine {

struct AttentionWindow {
  std::int32_t tokens = 0;  // last ones that are kept at least; 0: all are
  std::int32_t sinks = 4;   // first ones that are kept

  bool on() const { return tokens > 0; }
  // How many are dropped at a time.
  std::int32_t dropped() const { return std::max(64, tokens / 8); }
  // Cells that one sequence may have.
  std::int32_t cells_max() const { return sinks + tokens + dropped(); }
};

}  // namespace deepseek::engine
