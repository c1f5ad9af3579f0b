#include "protocol/json_scanner.hpp"

#include <bit>
#include <charconv>
#include <cstring>

namespace deepseek::protocol {
namespace {

constexpr std::uint64_t every_byte(unsigned char value) {
  return 0x0101010101010101U * value;
}

// In the high bit of the first byte that is zero; bits of later bytes may be wrong.
constexpr std::uint64_t zero_bytes(std::uint64_t word) {
  return (word - every_byte(0x01)) & ~word & every_byte(0x80);
}

// The first of '"', '\\' and control characters.
const char* find_special(const char* next, const char* end) {
  if constexpr (std::endian::native == std::endian::little) {
    for (; end - next >= 8; next += 8) {
      std::uint64_t word;
      std::memcpy(&word, next, sizeof word);
      const std::uint64_t control = (word - every_byte(0x20)) & ~word & every_byte(0x80);
      const std::uint64_t found =
          control | zero_bytes(word ^ every_byte('"')) | zero_bytes(word ^ every_byte('\\'));
      if (found != 0) return next + std::countr_zero(found) / 8;
    }
  }
  while (next < end && *next != '"' && *next != '\\' && static_cast<unsigned char>(*next) >= 0x20) {
    ++next;
  }
  return next;
}

bool is_space(char c) {
  return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}
bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// The four digits at `at`; the scanner has checked them.
std::uint32_t code_unit(std::string_view raw, std::size_t at) {
  std::uint32_t unit = 0;
  for (std::size_t i = at; i < at + 4 && i < raw.size(); ++i) {
    unit = unit << 4 | (static_cast<std::uint32_t>(hex_value(raw[i])) & 15U);
  }
  return unit;
}

void append_character(std::string& out, std::uint32_t c) {
  if (c < 0x80) {
    out += static_cast<char>(c);
  } else if (c < 0x800) {
    out += static_cast<char>(0xC0 | c >> 6);
    out += static_cast<char>(0x80 | (c & 63));
  } else if (c < 0x10000) {
    out += static_cast<char>(0xE0 | c >> 12);
    out += static_cast<char>(0x80 | (c >> 6 & 63));
    out += static_cast<char>(0x80 | (c & 63));
  } else {
    out += static_cast<char>(0xF0 | c >> 18);
    out += static_cast<char>(0x80 | (c >> 12 & 63));
    out += static_cast<char>(0x80 | (c >> 6 & 63));
    out += static_cast<char>(0x80 | (c & 63));
  }
}

// Appends what the \u escape at `at` (after the 'u') means; returns where it ends.
std::size_t append_unicode(std::string& out, std::string_view raw, std::size_t at) {
  constexpr std::uint32_t replacement = 0xFFFD;
  const std::uint32_t high = code_unit(raw, at);
  at += 4;
  if (high < 0xD800 || high > 0xDFFF) {
    append_character(out, high);
    return at;
  }
  const bool pair = high < 0xDC00 && raw.substr(at, 2) == "\\u";
  const std::uint32_t low = pair ? code_unit(raw, at + 2) : 0;
  if (low < 0xDC00 || low > 0xDFFF) {
    append_character(out, replacement);
    return at;
  }
  append_character(out, 0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00));
  return at + 6;
}

char plain_escape(char c) {
  switch (c) {
    case 'b':
      return '\b';
    case 'f':
      return '\f';
    case 'n':
      return '\n';
    case 'r':
      return '\r';
    case 't':
      return '\t';
    default:
      return c;
  }
}

}  // namespace

bool JsonText::is(std::string_view plain) const {
  return escaped ? text() == plain : raw == plain;
}

void JsonText::append_to(std::string& out) const {
  if (!escaped) {
    out += raw;
    return;
  }
  std::size_t i = 0;
  while (i < raw.size()) {
    const std::size_t escape = raw.find('\\', i);
    out.append(raw, i, escape == std::string_view::npos ? escape : escape - i);
    if (escape == std::string_view::npos || escape + 1 >= raw.size()) return;
    if (raw[escape + 1] == 'u') {
      i = append_unicode(out, raw, escape + 2);
    } else {
      out += plain_escape(raw[escape + 1]);
      i = escape + 2;
    }
  }
}

std::string JsonText::text() const {
  std::string out;
  append_to(out);
  return out;
}

bool JsonScanner::fail() {
  failed_ = true;
  next_ = end_;
  return false;
}

void JsonScanner::skip_white_space() {
  while (next_ < end_ && is_space(*next_)) ++next_;
}

char JsonScanner::peek() {
  skip_white_space();
  return next_ < end_ ? *next_ : '\0';
}

bool JsonScanner::take(char c) {
  if (peek() != c) return false;
  ++next_;
  return true;
}

bool JsonScanner::finished() {
  skip_white_space();
  return !failed_ && next_ == end_;
}

bool JsonScanner::enter_object() {
  first_ = true;
  return take('{') || fail();
}

bool JsonScanner::enter_array() {
  first_ = true;
  return take('[') || fail();
}

bool JsonScanner::next_key(JsonText& key) {
  if (failed_) return false;
  const bool first = first_;
  first_ = false;
  if (take('}')) return false;
  if (!first && !take(',')) return fail();
  return string(key) && (take(':') || fail());
}

bool JsonScanner::next_entry() {
  if (failed_) return false;
  const bool first = first_;
  first_ = false;
  if (take(']')) return false;
  return first || take(',') || fail();
}

bool JsonScanner::string(JsonText& out) {
  if (!take('"')) return fail();
  const char* begin = next_;
  bool escaped = false;
  if (!skip_string(escaped)) return false;
  out = {{begin, static_cast<std::size_t>(next_ - 1 - begin)}, escaped};
  return true;
}

// From behind the opening quote to behind the closing one.
bool JsonScanner::skip_string(bool& escaped) {
  while (true) {
    next_ = find_special(next_, end_);
    if (next_ == end_) return fail();
    if (*next_ == '"') {
      ++next_;
      return true;
    }
    if (*next_ != '\\' || !skip_escape()) return fail();
    escaped = true;
  }
}

bool JsonScanner::skip_escape() {
  if (end_ - next_ < 2) return false;
  const char kind = next_[1];
  next_ += 2;
  if (kind != 'u') return std::strchr("\"\\/bfnrt", kind) != nullptr && kind != '\0';
  if (end_ - next_ < 4) return false;
  for (int i = 0; i < 4; ++i) {
    if (hex_value(*next_++) < 0) return false;
  }
  return true;
}

bool JsonScanner::skip_digits() {
  if (next_ == end_ || !is_digit(*next_)) return fail();
  while (next_ < end_ && is_digit(*next_)) ++next_;
  return true;
}

bool JsonScanner::skip_number() {
  if (*next_ == '-') ++next_;
  if (next_ < end_ && *next_ == '0') {
    ++next_;
  } else if (!skip_digits()) {
    return false;
  }
  if (next_ < end_ && *next_ == '.') {
    ++next_;
    if (!skip_digits()) return false;
  }
  if (next_ < end_ && (*next_ == 'e' || *next_ == 'E')) {
    ++next_;
    if (next_ < end_ && (*next_ == '+' || *next_ == '-')) ++next_;
    return skip_digits();
  }
  return true;
}

bool JsonScanner::skip_literal(std::string_view literal) {
  if (static_cast<std::size_t>(end_ - next_) < literal.size()) return fail();
  if (std::memcmp(next_, literal.data(), literal.size()) != 0) return fail();
  next_ += literal.size();
  return true;
}

bool JsonScanner::skip_scalar(char first) {
  switch (first) {
    case '"': {
      ++next_;
      bool escaped = false;
      return skip_string(escaped);
    }
    case 't':
      return skip_literal("true");
    case 'f':
      return skip_literal("false");
    case 'n':
      return skip_literal("null");
    default:
      return first == '-' || is_digit(first) ? skip_number() : fail();
  }
}

// One value of any depth up to depth_max; the open brackets are bits, so that no text can use up
// the stack.
bool JsonScanner::check() {
  std::uint64_t objects = 0;  // the lowest bit is the innermost: 1 for an object
  int depth = 0;
  JsonText key;
  while (true) {
    const char first = peek();
    if (first == '{' || first == '[') {
      if (depth == depth_max) return fail();
      ++depth;
      objects = objects << 1 | (first == '{' ? 1U : 0U);
      ++next_;
      first_ = true;
    } else if (!skip_scalar(first)) {
      return false;
    }
    // Onto the next value, past all brackets that close here.
    while (depth > 0) {
      const bool more = (objects & 1U) != 0 ? next_key(key) : next_entry();
      if (failed_) return false;
      if (more) break;
      objects >>= 1;
      --depth;
    }
    if (depth == 0) return true;
  }
}

std::string_view JsonScanner::value() {
  skip_white_space();
  const char* begin = next_;
  if (failed_ || !check()) return {};
  first_ = false;
  return {begin, static_cast<std::size_t>(next_ - begin)};
}

void JsonScanner::skip_known_string() {
  const char* begin = next_;
  while (true) {
    const auto* quote =
        static_cast<const char*>(std::memchr(next_, '"', static_cast<std::size_t>(end_ - next_)));
    if (quote == nullptr) {
      fail();
      return;
    }
    const char* run = quote;
    while (run > begin && run[-1] == '\\') --run;
    next_ = quote + 1;
    if ((quote - run) % 2 == 0) return;
  }
}

std::string_view JsonScanner::known_value() {
  skip_white_space();
  const char* begin = next_;
  std::size_t depth = 0;
  while (next_ < end_) {
    const char c = *next_;
    if (depth == 0 && (c == ',' || c == '}' || c == ']')) break;
    ++next_;
    if (c == '"') {
      skip_known_string();
      if (depth == 0) break;
    } else if (c == '{' || c == '[') {
      ++depth;
    } else if (c == '}' || c == ']') {
      if (--depth == 0) break;
    } else if (depth == 0 && is_space(c)) {
      --next_;
      break;
    }
  }
  first_ = false;
  if (failed_) return {};
  return {begin, static_cast<std::size_t>(next_ - begin)};
}

std::optional<std::int64_t> json_integer(std::string_view value) {
  // Longer than any integer of 64 bits, with room for a ".0".
  constexpr std::size_t digits_max = 24;
  if (value.size() > digits_max) return std::nullopt;
  // 5.0 is an integer here as in json_reader.hpp.
  const std::size_t point = value.find('.');
  if (point != std::string_view::npos) {
    if (value.find_first_not_of('0', point + 1) != std::string_view::npos) return std::nullopt;
    value = value.substr(0, point);
  }
  std::int64_t number = 0;
  const auto end = std::from_chars(value.data(), value.data() + value.size(), number);
  if (end.ec != std::errc() || end.ptr != value.data() + value.size()) return std::nullopt;
  return number;
}

}  // namespace deepseek::protocol
