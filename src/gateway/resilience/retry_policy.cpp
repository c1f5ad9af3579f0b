#include "gateway/resilience/retry_policy.hpp"

#include "gateway/resilience/random.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <cmath>

namespace deepseek::gateway {

using base::Milliseconds;
using std::chrono::microseconds;

namespace {

constexpr std::size_t header_bytes_max = 64;  // the longest date has 33

std::string_view trim(std::string_view text) {
  const auto blank = [](char c) { return c == ' ' || c == '\t'; };
  while (!text.empty() && blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && blank(text.back())) text.remove_suffix(1);
  return text;
}

// Digits, with a fraction perhaps: servers send "0.5" though the standard has whole seconds.
std::optional<double> parse_number(std::string_view text) {
  if (text.empty() || text.size() > 20) return std::nullopt;
  for (const char c : text) {
    if ((c < '0' || c > '9') && c != '.') return std::nullopt;
  }
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

Milliseconds bounded(double milliseconds) {
  const double most = static_cast<double>(retry_after_max.count());
  return Milliseconds(static_cast<std::int64_t>(std::ceil(std::min(milliseconds, most))));
}

std::optional<int> parse_digits(std::string_view text) {
  int value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  const bool whole = error == std::errc() && end == text.data() + text.size() && value >= 0;
  return whole ? std::optional<int>(value) : std::nullopt;
}

std::optional<unsigned> parse_month(std::string_view text) {
  constexpr std::array<std::string_view, 12> months{"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                    "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  const auto* found = std::find(months.begin(), months.end(), text);
  if (found == months.end()) return std::nullopt;
  return static_cast<unsigned>(found - months.begin()) + 1;
}

struct DateWords {
  std::array<std::string_view, 8> words;
  std::size_t count = 0;
};

DateWords split_date(std::string_view text) {
  DateWords out;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find_first_of(" ,-:"), text.size());
    if (end > 0) {
      if (out.count == out.words.size()) return {};
      out.words[out.count++] = text.substr(0, end);
    }
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return out;
}

// "Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994":
// the same words in two orders.
std::optional<std::int64_t> parse_http_date(std::string_view text) {
  namespace chrono = std::chrono;
  const DateWords date = split_date(text);
  const auto& word = date.words;
  const bool zoned = date.count == 8 && (word[7] == "GMT" || word[7] == "UTC");
  if (!zoned && date.count != 7) return std::nullopt;
  const std::size_t clock = zoned ? 4 : 3;
  const auto month = parse_month(word[zoned ? 2 : 1]);
  const auto day = parse_digits(word[zoned ? 1 : 2]);
  auto year = parse_digits(word[zoned ? 3 : 6]);
  const auto hour = parse_digits(word[clock]);
  const auto minute = parse_digits(word[clock + 1]);
  const auto second = parse_digits(word[clock + 2]);
  if (!month || !day || !year || !hour || !minute || !second) return std::nullopt;
  if (*hour > 23 || *minute > 59 || *second > 60) return std::nullopt;
  if (*year < 100) *year += *year < 70 ? 2000 : 1900;
  if (*year > 9999) return std::nullopt;
  const chrono::year_month_day ymd{chrono::year(*year), chrono::month(*month),
                                   chrono::day(static_cast<unsigned>(*day))};
  if (!ymd.ok()) return std::nullopt;
  const std::int64_t days = chrono::sys_days(ymd).time_since_epoch().count();
  return ((days * 24 + *hour) * 60 + *minute) * 60 + *second;
}

double pause_us(const RetryOptions& options, std::uint32_t retry) {
  const double most = static_cast<double>(microseconds(options.backoff_max).count());
  const double exponent = retry > 0 ? static_cast<double>(retry - 1) : 0;
  const double pause = static_cast<double>(microseconds(options.backoff_min).count()) *
                       std::pow(options.backoff_factor, exponent);
  return std::min(pause, most);
}

}  // namespace

microseconds backoff(const RetryOptions& options, std::uint32_t retry, std::uint64_t random) {
  const double spread = 1 + options.jitter * (2 * unit_interval(random) - 1);
  return microseconds(std::llround(pause_us(options, retry) * spread));
}

microseconds backoff(const RetryOptions& options, std::uint32_t retry, std::uint64_t random,
                     Milliseconds retry_after) {
  const microseconds told(retry_after);
  const double pause = std::max(pause_us(options, retry), static_cast<double>(told.count()));
  const microseconds late(std::llround(pause * options.jitter * unit_interval(random)));
  return std::max(backoff(options, retry, random), told + late);
}

std::optional<Milliseconds> parse_retry_after(std::string_view retry_after,
                                              std::string_view retry_after_ms,
                                              std::int64_t unix_seconds) {
  if (const auto milliseconds = parse_number(trim(retry_after_ms))) return bounded(*milliseconds);
  const std::string_view text = trim(retry_after);
  if (text.size() > header_bytes_max) return std::nullopt;
  if (const auto seconds = parse_number(text)) return bounded(*seconds * 1000);
  if (const auto date = parse_http_date(text)) {
    const double seconds = static_cast<double>(std::max<std::int64_t>(*date - unix_seconds, 0));
    return bounded(seconds * 1000);
  }
  return std::nullopt;
}

}  // namespace deepseek::gateway
