#include "server/daily_hours.hpp"

#include <array>
#include <cstddef>

namespace deepseek::server {
namespace {

constexpr std::uint32_t day_minutes = 24 * 60;

// "18:30" → 1110; up to "24:00".
std::optional<std::uint32_t> minute_of_day(std::string_view text) {
  constexpr std::string_view form = "00:00";
  constexpr std::size_t colon = 2;
  if (text.size() != form.size() || text[colon] != ':') return std::nullopt;
  std::array<std::uint32_t, 5> digits{};
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (i == colon) continue;
    if (text[i] < '0' || text[i] > '9') return std::nullopt;
    digits[i] = static_cast<std::uint32_t>(text[i] - '0');
  }
  const std::uint32_t minutes = digits[3] * 10 + digits[4];
  const std::uint32_t total = (digits[0] * 10 + digits[1]) * 60 + minutes;
  if (minutes >= 60 || total > day_minutes) return std::nullopt;
  return total;
}

std::string clock_text(std::uint32_t minute) {
  const auto two_digits = [](std::uint32_t number) {
    return std::string(number < 10 ? "0" : "") + std::to_string(number);
  };
  return two_digits(minute / 60) + ":" + two_digits(minute % 60);
}

}  // namespace

std::optional<DailyHours> parse_daily_hours(std::string_view text) {
  const auto dash = text.find('-');
  if (dash == std::string_view::npos) return std::nullopt;
  const auto begin = minute_of_day(text.substr(0, dash));
  const auto end = minute_of_day(text.substr(dash + 1));
  if (!begin || !end || *begin == *end || *begin == day_minutes) return std::nullopt;
  return DailyHours{*begin, *end};
}

std::string format_daily_hours(const DailyHours& hours) {
  return hours.empty() ? "" : clock_text(hours.begin) + "-" + clock_text(hours.end);
}

}  // namespace deepseek::server
