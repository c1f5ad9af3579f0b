#include "base/utf8.hpp"
#include "protocol/json.hpp"

#include <array>
#include <charconv>
#include <cmath>

namespace deepseek::protocol {
namespace {

constexpr std::string_view hex_digits = "0123456789abcdef";

bool needs_care(unsigned char byte) {
  return byte < 0x20 || byte == '"' || byte == '\\' || byte >= 0x7F;
}

void append_escape(std::string& out, unsigned char byte) {
  switch (byte) {
    case '"':
      out += "\\\"";
      return;
    case '\\':
      out += "\\\\";
      return;
    case '\n':
      out += "\\n";
      return;
    case '\r':
      out += "\\r";
      return;
    case '\t':
      out += "\\t";
      return;
    default:
      out += "\\u00";
      out += hex_digits[byte >> 4];
      out += hex_digits[byte & 15];
  }
}

void append_valid(std::string& out, std::string_view text) {
  std::size_t copied = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    if (!needs_care(byte) || byte >= 0x80) continue;
    out.append(text, copied, i - copied);
    append_escape(out, byte);
    copied = i + 1;
  }
  out.append(text, copied);
}

template <class Number>
void append_shortest(std::string& out, Number value) {
  if (!std::isfinite(value)) {
    out += "null";
    return;
  }
  std::array<char, 40> buffer;
  const auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value);
  out.append(buffer.data(), end.ptr);
}

}  // namespace

void append_json_escaped(std::string& out, std::string_view text) {
  if (base::is_valid_utf8(text)) {
    append_valid(out, text);
    return;
  }
  base::Utf8Assembler assembler;
  append_valid(out, assembler.push(text));
  append_valid(out, assembler.finish());
}

void append_json_string(std::string& out, std::string_view text) {
  out += '"';
  append_json_escaped(out, text);
  out += '"';
}

void append_json_number(std::string& out, double value) {
  append_shortest(out, value);
}

void append_json_number(std::string& out, float value) {
  append_shortest(out, value);
}

void append_json_integer(std::string& out, std::int64_t value) {
  std::array<char, 24> buffer;
  const auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value);
  out.append(buffer.data(), end.ptr);
}

}  // namespace deepseek::protocol
