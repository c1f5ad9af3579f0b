// Hours of the week, for routes that hold at some times and prices that differ at others.
//
// Pure values; the wall clock's time is an argument. A zone is a fixed distance from UTC: tables of
// summer time belong to the operating system, and a route must not change its meaning with them.
#pragma once

#include "base/result.hpp"

#include <cstdint>
#include <string_view>
#include <vector>

namespace deepseek::gateway {

inline constexpr std::size_t hour_spans_max = 32;

struct HourSpan {
  std::uint8_t days = 0x7F;        // bit 0 is Monday
  std::uint16_t from_minute = 0;   // of the day
  std::uint16_t to_minute = 1440;  // exclusive; at or before `from_minute`: of the day after
};

struct Hours {
  std::vector<HourSpan> spans;
  std::int32_t utc_offset_minutes = 0;

  bool contain(std::int64_t unix_seconds) const;
};

// Reads "Mon-Fri 09:00-12:00 14:00-18:00; Sat 22:00-02:00; UTC+8": groups divided by `;`, each with
// its days (none: every day) and one or more spans; a zone last (none: UTC).
base::Result<Hours> parse_hours(std::string_view text);

}  // namespace deepseek::gateway
