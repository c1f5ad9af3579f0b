#include "base/utf8.hpp"

#include <cstdint>
#include <cstring>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

namespace deepseek::base {
namespace {

constexpr std::string_view replacement = "\xEF\xBF\xBD";

struct Scan {
  std::size_t length;  // bytes consumed; for a cut character, the bytes seen
  enum class Kind { complete, cut, invalid } kind;
};

// Reads one character at the start of `text` (not empty), after Unicode 15, table 3-7 (well-formed
// byte sequences).
Scan scan_one(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<std::uint8_t>(text[i]); };
  const std::uint8_t lead = byte(0);
  if (lead < 0x80) return {1, Scan::Kind::complete};
  if (lead < 0xC2 || lead > 0xF4) return {1, Scan::Kind::invalid};
  const std::size_t length = lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
  for (std::size_t i = 1; i < length; ++i) {
    if (i >= text.size()) return {i, Scan::Kind::cut};
    std::uint8_t low = 0x80, high = 0xBF;
    if (i == 1) {
      if (lead == 0xE0) low = 0xA0;
      if (lead == 0xED) high = 0x9F;
      if (lead == 0xF0) low = 0x90;
      if (lead == 0xF4) high = 0x8F;
    }
    if (byte(i) < low || byte(i) > high) return {i, Scan::Kind::invalid};
  }
  return {length, Scan::Kind::complete};
}

// How many whole words of eight bytes at the start are ASCII, in bytes. Most text is, and JSON
// nearly always.
std::size_t ascii_prefix(std::string_view text) {
  std::size_t size = 0;
#ifdef __SSE2__
  for (; text.size() - size >= 32; size += 32) {
    __m128i first, second;
    std::memcpy(&first, text.data() + size, sizeof first);
    std::memcpy(&second, text.data() + size + 16, sizeof second);
    if (_mm_movemask_epi8(_mm_or_si128(first, second)) != 0) break;
  }
#endif
  for (; text.size() - size >= 8; size += 8) {
    std::uint64_t word;
    std::memcpy(&word, text.data() + size, sizeof word);
    if ((word & 0x8080808080808080U) != 0) break;
  }
  return size;
}

// How many bytes at the start are characters of three bytes, as most of Chinese is; those whose
// second byte has a narrower range are left to scan_one().
std::size_t plain_three_prefix(std::string_view text) {
  std::size_t size = 0;
  for (; text.size() - size >= 3; size += 3) {
    const auto lead = static_cast<std::uint8_t>(text[size]);
    const bool plain = (lead & 0xF0) == 0xE0 && lead != 0xE0 && lead != 0xED &&
                       (static_cast<std::uint8_t>(text[size + 1]) & 0xC0) == 0x80 &&
                       (static_cast<std::uint8_t>(text[size + 2]) & 0xC0) == 0x80;
    if (!plain) break;
  }
  return size;
}

}  // namespace

bool is_valid_utf8(std::string_view text) {
  while (!text.empty()) {
    text.remove_prefix(ascii_prefix(text));
    text.remove_prefix(plain_three_prefix(text));
    if (text.empty()) break;
    const Scan scan = scan_one(text);
    if (scan.kind != Scan::Kind::complete) return false;
    text.remove_prefix(scan.length);
  }
  return true;
}

std::string Utf8Assembler::push(std::string_view bytes) {
  pending_ += bytes;
  std::string_view rest = pending_;
  std::string out;
  out.reserve(rest.size());
  while (!rest.empty()) {
    const Scan scan = scan_one(rest);
    if (scan.kind == Scan::Kind::cut) break;
    if (scan.kind == Scan::Kind::complete) {
      out += rest.substr(0, scan.length);
    } else {
      out += replacement;
    }
    rest.remove_prefix(scan.length);
  }
  pending_.erase(0, pending_.size() - rest.size());
  return out;
}

std::string Utf8Assembler::finish() {
  const bool cut = !pending_.empty();
  pending_.clear();
  return cut ? std::string(replacement) : std::string();
}

}  // namespace deepseek::base
