// What a fuzzer demands: where it does not hold, the program ends and names the line.
#pragma once

#include <cstdio>
#include <source_location>

namespace deepseek {

inline void check(bool holds, std::source_location place = std::source_location::current()) {
  if (holds) return;
  std::fprintf(stderr, "line %u does not hold\n", static_cast<unsigned>(place.line()));
  __builtin_trap();
}

}  // namespace deepseek
