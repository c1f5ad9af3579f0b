// The two clocks of the product. Decisions never read a clock: they take a TimePoint as an
// argument.
//
// Pure types; now() and the unix_ functions are called by thin shells only.
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

// The same in milliseconds, for what is compared with times of other processes or runs.
inline std::int64_t unix_milliseconds() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

}  // namespace deepseek::base
