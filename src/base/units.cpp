#include "base/units.hpp"

#include <array>
#include <cctype>
#include <charconv>
#include <cmath>
#include <limits>

namespace deepseek::base {
namespace {

struct Unit {
  std::string_view name;  // lower case
  std::uint64_t factor;
};

constexpr std::uint64_t kilo = 1024;

// Sorted from large to small: the formatters take the first that divides.
constexpr std::array byte_units{
    Unit{"tb", kilo* kilo* kilo* kilo},
    Unit{"gb", kilo* kilo* kilo},
    Unit{"mb", kilo* kilo},
    Unit{"kb", kilo},
    Unit{"b", 1},
};
constexpr std::array duration_units{
    Unit{"d", 86'400'000}, Unit{"h", 3'600'000}, Unit{"m", 60'000}, Unit{"s", 1'000}, Unit{"ms", 1},
};

std::string_view trim(std::string_view text) {
  constexpr std::string_view blank = " \t";
  const auto first = text.find_first_not_of(blank);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(blank) - first + 1);
}

// What was found, shortened: a message is not a place for a megabyte.
std::string quoted(std::string_view text) {
  constexpr std::size_t shown_max = 40;
  if (text.size() <= shown_max) return "\"" + std::string(text) + "\"";
  return "\"" + std::string(text.substr(0, shown_max)) + "…\"";
}

Error bad(std::string_view found, std::string_view allowed) {
  return make_error(ErrorCode::invalid_request,
                    "found " + quoted(found) + "; allowed is " + std::string(allowed));
}

struct Quantity {
  double number = 0;
  std::uint64_t whole = 0;  // exact when there is no decimal point
  bool fractional = false;
  std::string unit;  // lower case
};

// Digits, at most one point with digits after it, then letters or '%'. No sign, no exponent.
bool split(std::string_view text, Quantity& quantity) {
  std::size_t end = 0;
  std::size_t points = 0;
  while (end < text.size() && (std::isdigit(static_cast<unsigned char>(text[end])) != 0 ||
                               (text[end] == '.' && points++ == 0))) {
    ++end;
  }
  const std::string_view number = text.substr(0, end);
  if (number.empty() || number.front() == '.' || number.back() == '.') return false;
  quantity.fractional = points > 0;
  const auto* const last = number.data() + number.size();
  if (std::from_chars(number.data(), last, quantity.number).ec != std::errc{}) return false;
  if (!quantity.fractional) {
    if (std::from_chars(number.data(), last, quantity.whole).ec != std::errc{}) return false;
  }
  for (const char c : trim(text.substr(end))) {
    quantity.unit += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  }
  return true;
}

// number × factor, or nothing when it does not fit.
bool scale(const Quantity& quantity, std::uint64_t factor, std::uint64_t& result) {
  if (!quantity.fractional) return !__builtin_mul_overflow(quantity.whole, factor, &result);
  const double value = std::round(quantity.number * static_cast<double>(factor));
  if (!(value < static_cast<double>(std::numeric_limits<std::uint64_t>::max()))) return false;
  result = static_cast<std::uint64_t>(value);
  return true;
}

template <std::size_t N>
std::string format_with(const std::array<Unit, N>& units, std::uint64_t value, bool upper,
                        std::string_view zero) {
  if (value == 0) return std::string(zero);
  for (const Unit& unit : units) {
    if (value % unit.factor != 0) continue;
    std::string text = std::to_string(value / unit.factor);
    for (const char c : unit.name) {
      text += upper ? static_cast<char>(std::toupper(static_cast<unsigned char>(c))) : c;
    }
    return text;
  }
  return std::to_string(value);  // not reached: the last unit is 1
}

}  // namespace

Result<std::uint64_t> parse_bytes(std::string_view text) {
  constexpr std::string_view allowed =
      "a size such as 64, 64B, 16KB, 512MB, 16GB or 1.5TB (powers of 1024)";
  Quantity quantity;
  if (!split(trim(text), quantity)) return bad(text, allowed);
  std::string unit = quantity.unit;
  if (unit.empty()) unit = "b";
  if (unit.size() == 3 && unit[1] == 'i') unit.erase(1, 1);  // KiB
  if (unit.size() == 1 && unit != "b") unit += 'b';          // K
  if (unit == "b" && quantity.fractional) return bad(text, allowed);
  for (const Unit& known : byte_units) {
    if (known.name != unit) continue;
    std::uint64_t bytes = 0;
    if (!scale(quantity, known.factor, bytes)) return bad(text, "a size below 16777216TB");
    return bytes;
  }
  return bad(text, allowed);
}

std::string format_bytes(std::uint64_t bytes) {
  return format_with(byte_units, bytes, true, "0");
}

Result<std::chrono::milliseconds> parse_duration(std::string_view text) {
  constexpr std::string_view allowed = "a time with its unit such as 500ms, 30s, 5m, 1h or 2d";
  constexpr std::uint64_t duration_max = 36'500ull * 86'400'000ull;
  Quantity quantity;
  if (!split(trim(text), quantity)) return bad(text, allowed);
  if (quantity.unit.empty() && quantity.number == 0) return std::chrono::milliseconds{0};
  for (const Unit& known : duration_units) {
    if (known.name != quantity.unit) continue;
    std::uint64_t value = 0;
    if (!scale(quantity, known.factor, value) || value > duration_max) {
      return bad(text, "a time of at most 36500d");
    }
    return std::chrono::milliseconds{static_cast<std::int64_t>(value)};
  }
  return bad(text, allowed);
}

std::string format_duration(std::chrono::milliseconds value) {
  if (value.count() < 0) return "-" + format_duration(-value);
  return format_with(duration_units, static_cast<std::uint64_t>(value.count()), false, "0");
}

Result<double> parse_percentage(std::string_view text) {
  constexpr std::string_view allowed = "a share such as 90% or 0.9, from 0% to 100%";
  Quantity quantity;
  if (!split(trim(text), quantity)) return bad(text, allowed);
  if (quantity.unit != "%" && !quantity.unit.empty()) return bad(text, allowed);
  const double fraction = quantity.unit == "%" ? quantity.number / 100 : quantity.number;
  if (!(fraction >= 0 && fraction <= 1)) return bad(text, allowed);
  return fraction;
}

std::string format_percentage(double fraction) {
  // Shortest form that reads back as the same percentage, without the noise of binary fractions.
  std::array<char, 64> buffer{};
  const double percent = std::round(fraction * 1e11) / 1e9;
  const auto [end, code] = std::to_chars(buffer.data(), buffer.data() + buffer.size(), percent,
                                         std::chars_format::fixed);
  if (code != std::errc{}) return "0%";
  return std::string(buffer.data(), end) + "%";
}

}  // namespace deepseek::base
