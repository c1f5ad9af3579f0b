// The two clocks of the product. Decisions never read a clock: they take a TimePoint as an
// argument.
//
// Pure types; now() and unix_seconds() are called by thin shells only.
#pragma once

#include <chrono>
#include <cstdint>

namespace deepseek::base {

using Clock = std::chrono::steady_clock;  // deadlines, durations
using TimePoint = Clock::time_point;
using Milliseconds = std::chrono::milliseconds;

inline TimePoint now() {
  return Clock::now();
}

// Wall clock for `created` fields and logs, seconds since 1970-01-01 UTC.
inline std::int64_t unix_seconds() {
  return std::chrono::duration_cast<std::chrono::seconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

}  // namespace deepseek::base
