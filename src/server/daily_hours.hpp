// A span of every day, in UTC: the hours of a route, the off-peak hours of a price. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace deepseek::server {

// Minutes since midnight, from `begin` up to, not including, `end`; over midnight if `end` is
// smaller. Equal ones are no span at all.
struct DailyHours {
  std::uint32_t begin = 0;
  std::uint32_t end = 0;

  bool empty() const { return begin == end; }
  bool contains(std::uint32_t minute) const {
    return begin <= end ? minute >= begin && minute < end : minute >= begin || minute < end;
  }
  bool operator==(const DailyHours&) const = default;
};

// "18:00-09:00", "00:00-24:00"; nothing for another form or a span without length.
std::optional<DailyHours> parse_daily_hours(std::string_view text);
std::string format_daily_hours(const DailyHours& hours);  // "" for no span

}  // namespace deepseek::server
