#include "protocol/json_scanner.hpp"

#include <algorithm>
#include <bit>
#include <charconv>
#include <cstring>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

namespace deepseek::protocol {
namespace {

#ifdef __SSE2__
__m128i load_16(const char* bytes) {
  __m128i loaded;
  std::memcpy(&loaded, bytes, sizeof loaded);
  return loaded;
}
#endif

constexpr std::uint64_t every_byte(unsigned char value) {
  return 0x0101010101010101U * value;
}

// In the high bit of the first byte that is zero; bits of later bytes may be wrong.
constexpr std::uint64_t zero_bytes(std::uint64_t word) {
  return (word - every_byte(0x01)) & ~word & every_byte(0x80);
}

// The first of '"', '\\' and control characters.
const char* find_special(const char* next, const char* end) {
#ifdef __SSE2__
  const __m128i quote = _mm_set1_epi8('"'), backslash = _mm_set1_epi8('\\');
  const __m128i last_control = _mm_set1_epi8(0x1F);
  for (; end - next >= 16; next += 16) {
    const __m128i bytes = load_16(next);
    const __m128i found =
        _mm_or_si128(_mm_or_si128(_mm_cmpeq_epi8(bytes, quote), _mm_cmpeq_epi8(bytes, backslash)),
                     _mm_cmpeq_epi8(_mm_min_epu8(bytes, last_control), bytes));
    const auto mask = static_cast<unsigned>(_mm_movemask_epi8(found));
    if (mask != 0) return next + std::countr_zero(mask);
  }
#endif
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

// Copies `text` up to its first backslash; returns how much that is. `out` has room for all of it.
std::size_t copy_plain(char* out, std::string_view text) {
  std::size_t size = 0;
#ifdef __SSE2__
  for (; text.size() - size >= 16; size += 16) {
    const __m128i bytes = load_16(text.data() + size);
    std::memcpy(out + size, &bytes, sizeof bytes);
    const __m128i found = _mm_cmpeq_epi8(bytes, _mm_set1_epi8('\\'));
    const auto mask = static_cast<unsigned>(_mm_movemask_epi8(found));
    if (mask != 0) return size + static_cast<std::size_t>(std::countr_zero(mask));
  }
#endif
  if constexpr (std::endian::native == std::endian::little) {
    for (; text.size() - size >= 8; size += 8) {
      std::uint64_t word;
      std::memcpy(&word, text.data() + size, sizeof word);
      std::memcpy(out + size, &word, sizeof word);
      const std::uint64_t found = zero_bytes(word ^ every_byte('\\'));
      if (found != 0) return size + static_cast<std::size_t>(std::countr_zero(found)) / 8;
    }
  }
  for (; size < text.size() && text[size] != '\\'; ++size) out[size] = text[size];
  return size;
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

// Writes `c` as UTF-8; returns behind it. The escape that it comes from is longer.
char* write_character(char* out, std::uint32_t c) {
  const auto put = [&](std::uint32_t byte) { *out++ = static_cast<char>(byte); };
  if (c < 0x80) {
    put(c);
  } else if (c < 0x800) {
    put(0xC0 | c >> 6);
    put(0x80 | (c & 63));
  } else if (c < 0x10000) {
    put(0xE0 | c >> 12);
    put(0x80 | (c >> 6 & 63));
    put(0x80 | (c & 63));
  } else {
    put(0xF0 | c >> 18);
    put(0x80 | (c >> 12 & 63));
    put(0x80 | (c >> 6 & 63));
    put(0x80 | (c & 63));
  }
  return out;
}

// Writes what the \u escape at `at` (after the 'u') means, and moves `at` behind it.
char* write_unicode(char* out, std::string_view raw, std::size_t& at) {
  constexpr std::uint32_t replacement = 0xFFFD;
  const std::uint32_t high = code_unit(raw, at);
  at = std::min(at + 4, raw.size());
  if (high < 0xD800 || high > 0xDFFF) return write_character(out, high);
  const bool pair = high < 0xDC00 && raw.substr(at, 2) == "\\u";
  const std::uint32_t low = pair ? code_unit(raw, at + 2) : 0;
  if (low < 0xDC00 || low > 0xDFFF) return write_character(out, replacement);
  at = std::min(at + 6, raw.size());
  return write_character(out, 0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00));
}

bool is_escape(char c) {
  return c == 'n' || c == '"' || c == '\\' || c == '/' || c == 't' || c == 'r' || c == 'b' ||
         c == 'f';
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

void JsonText::append_to(std::string& out) const {
  if (!escaped) {
    out += raw;
    return;
  }
  // What an escape means is never longer than the escape.
  const std::size_t before = out.size();
  out.resize(before + raw.size());
  char* end = out.data() + before;
  std::size_t at = 0;
  while (at < raw.size()) {
    if (raw[at] != '\\') {
      const std::size_t size = copy_plain(end, raw.substr(at));
      end += size;
      at += size;
      continue;
    }
    const char kind = at + 1 < raw.size() ? raw[at + 1] : '\\';
    at = std::min(at + 2, raw.size());
    if (kind == 'u') {
      end = write_unicode(end, raw, at);
    } else {
      *end++ = plain_escape(kind);
    }
  }
  out.resize(static_cast<std::size_t>(end - out.data()));
}

std::string JsonText::text() const {
  std::string out;
  append_to(out);
  return out;
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
  if (kind != 'u') return is_escape(kind);
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
    } else if (depth == 0 && is_white_space(c)) {
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
  std::int64_t number = 0;
  const char* end = value.data() + value.size();
  const auto read = std::from_chars(value.data(), end, number);
  if (read.ec != std::errc()) return std::nullopt;
  if (read.ptr == end) return number;
  // 5.0 is an integer here as in json_reader.hpp.
  const std::string_view rest = value.substr(static_cast<std::size_t>(read.ptr - value.data()));
  if (rest[0] != '.' || rest.find_first_not_of('0', 1) != std::string_view::npos) {
    return std::nullopt;
  }
  return number;
}

}  // namespace deepseek::protocol
