#include "gateway/route/hours.hpp"

#include "base/error.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <string>

namespace deepseek::gateway {
namespace {

constexpr std::int64_t day_minutes = 24 * 60;

base::Error wrong(std::string_view what, std::string_view word) {
  constexpr std::size_t shown_max = 40;
  return base::make_error(base::ErrorCode::invalid_request,
                          std::string(what) + ": '" + std::string(word.substr(0, shown_max)) +
                              "'; write for example \"Mon-Fri 09:00-12:00 14:00-18:00; UTC+8\"");
}

std::optional<int> parse_digits(std::string_view text) {
  if (text.empty() || text.size() > 2 || text[0] < '0' || text[0] > '9') return std::nullopt;
  int value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// "09:30" → 570; "24:00" is the end of the day.
std::optional<int> parse_time(std::string_view text) {
  const std::size_t colon = text.find(':');
  if (colon == std::string_view::npos) return std::nullopt;
  const auto hour = parse_digits(text.substr(0, colon));
  const auto minute = parse_digits(text.substr(colon + 1));
  if (!hour || !minute || *minute > 59 || text.size() - colon != 3) return std::nullopt;
  const int out = *hour * 60 + *minute;
  return out <= day_minutes ? std::optional<int>(out) : std::nullopt;
}

std::optional<int> parse_day(std::string_view text) {
  constexpr std::array<std::string_view, 7> days{"Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"};
  const auto* found = std::find(days.begin(), days.end(), text);
  if (found == days.end()) return std::nullopt;
  return static_cast<int>(found - days.begin());
}

// "Sat", "Mon-Fri", "Fri-Mon" → a bit per day.
std::optional<std::uint8_t> parse_days(std::string_view text) {
  const std::size_t dash = text.find('-');
  const auto first = parse_day(text.substr(0, dash));
  const auto last = dash == std::string_view::npos ? first : parse_day(text.substr(dash + 1));
  if (!first || !last) return std::nullopt;
  unsigned days = 0;
  for (int day = *first;; day = (day + 1) % 7) {
    days |= 1u << day;
    if (day == *last) break;
  }
  return static_cast<std::uint8_t>(days);
}

std::optional<HourSpan> parse_span(std::string_view text) {
  const std::size_t dash = text.find('-');
  if (dash == std::string_view::npos) return std::nullopt;
  const auto from = parse_time(text.substr(0, dash));
  const auto to = parse_time(text.substr(dash + 1));
  if (!from || !to || *from == *to || *from == day_minutes) return std::nullopt;
  HourSpan out;
  out.from_minute = static_cast<std::uint16_t>(*from);
  out.to_minute = static_cast<std::uint16_t>(*to);
  return out;
}

// "UTC", "UTC+8", "UTC-05:30" → minutes east.
std::optional<std::int32_t> parse_zone(std::string_view text) {
  if (text.substr(0, 3) != "UTC") return std::nullopt;
  text.remove_prefix(3);
  if (text.empty()) return 0;
  const int sign = text[0] == '+' ? 1 : text[0] == '-' ? -1 : 0;
  text.remove_prefix(1);
  const auto whole = parse_digits(text);
  const auto minutes = whole ? std::optional<int>(*whole * 60) : parse_time(text);
  if (sign == 0 || !minutes || *minutes > 14 * 60) return std::nullopt;
  return sign * *minutes;
}

std::string_view take_word(std::string_view& text) {
  const std::size_t begin = std::min(text.find_first_not_of(' '), text.size());
  text.remove_prefix(begin);
  const std::string_view word = text.substr(0, text.find(' '));
  text.remove_prefix(word.size());
  return word;
}

std::optional<base::Error> add_group(std::string_view group, Hours& hours) {
  std::uint8_t days = 0x7F;
  std::size_t words = 0, spans = 0;
  for (std::string_view word = take_word(group); !word.empty(); word = take_word(group), ++words) {
    if (const auto span = parse_span(word)) {
      if (hours.spans.size() == hour_spans_max) {
        return wrong("more than " + std::to_string(hour_spans_max) + " spans of hours", word);
      }
      hours.spans.push_back(*span);
      hours.spans.back().days = days;
      ++spans;
    } else if (const auto named = parse_days(word); named && words == 0) {
      days = *named;
    } else {
      return wrong("not a day or a span of hours", word);
    }
  }
  if (spans == 0) return wrong("no hours are given", group);
  return std::nullopt;
}

}  // namespace

bool Hours::contain(std::int64_t unix_seconds) const {
  const auto floor_divide = [](std::int64_t a, std::int64_t b) {
    return a / b - (a % b < 0 ? 1 : 0);
  };
  const std::int64_t minutes = floor_divide(unix_seconds, 60) + utc_offset_minutes;
  const std::int64_t day = floor_divide(minutes, day_minutes);
  const std::int64_t minute = minutes - day * day_minutes;
  const std::int64_t weekday = (day % 7 + 7 + 3) % 7;  // 1970-01-01 was a Thursday
  return std::any_of(spans.begin(), spans.end(), [&](const HourSpan& span) {
    const bool today = (span.days >> weekday & 1) != 0;
    if (span.from_minute < span.to_minute) {
      return today && minute >= span.from_minute && minute < span.to_minute;
    }
    const bool yesterday = (span.days >> ((weekday + 6) % 7) & 1) != 0;
    return (today && minute >= span.from_minute) || (yesterday && minute < span.to_minute);
  });
}

base::Result<Hours> parse_hours(std::string_view text) {
  Hours out;
  while (true) {
    const std::size_t end = std::min(text.find(';'), text.size());
    std::string_view group = text.substr(0, end);
    const bool last = end == text.size();
    std::string_view rest = group;
    if (const auto zone = parse_zone(take_word(rest)); zone && last && !out.spans.empty()) {
      if (const std::string_view more = take_word(rest); !more.empty()) {
        return wrong("nothing may follow the zone", more);
      }
      out.utc_offset_minutes = *zone;
      return out;
    }
    if (const auto error = add_group(group, out)) return *error;
    if (last) return out;
    text.remove_prefix(end + 1);
  }
}

}  // namespace deepseek::gateway
