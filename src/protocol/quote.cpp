#include "protocol/quote.hpp"

#include "protocol/json.hpp"

#include <algorithm>

namespace deepseek::protocol {
namespace {

constexpr std::size_t quoted_characters_max = 64;

bool is_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}
bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
bool is_token_character(char c) {
  return is_letter(c) || is_digit(c) || c == '-' || c == '_' || c == '.' || c == '+' || c == '/' ||
         c == '=' || c == '~';
}

bool starts_with_ignoring_case(std::string_view text, std::string_view lower) {
  if (text.size() < lower.size()) return false;
  return std::equal(lower.begin(), lower.end(), text.begin(), [](char a, char b) {
    return a == ((b >= 'A' && b <= 'Z') ? static_cast<char>(b + ('a' - 'A')) : b);
  });
}

std::size_t token_size(std::string_view text) {
  std::size_t size = 0;
  while (size < text.size() && is_token_character(text[size])) ++size;
  return size;
}

// How many bytes at the start of a word are kept in front of "***"; npos if it is no secret.
std::size_t secret_prefix(std::string_view word) {
  constexpr std::size_t none = std::string_view::npos;
  for (const std::string_view prefix : {"sk-", "rk-", "pk-", "dsk-", "ghp_", "hf_", "xoxb-"}) {
    if (word.starts_with(prefix) && word.size() >= prefix.size() + 6) return prefix.size();
  }
  if (word.starts_with("eyJ") && word.find('.') != none && word.size() > 20) return 3;
  std::size_t run = 0;
  bool letter = false, digit = false;
  for (const char c : word) {
    if (!is_letter(c) && !is_digit(c)) {
      run = 0;
      letter = digit = false;
      continue;
    }
    letter = letter || is_letter(c);
    digit = digit || is_digit(c);
    if (++run >= 32 && letter && digit) return 0;
  }
  return none;
}

}  // namespace

std::string redact(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  bool after_scheme = false;  // the word before was Bearer or Basic
  for (std::size_t i = 0; i < text.size();) {
    const std::size_t size = token_size(text.substr(i));
    if (size == 0) {
      if (text[i] != ' ' && text[i] != ':') after_scheme = false;
      out += text[i++];
      continue;
    }
    const std::string_view word = text.substr(i, size);
    const std::size_t kept = after_scheme && size >= 6 ? 0 : secret_prefix(word);
    if (kept == std::string_view::npos) {
      out += word;
    } else {
      out += word.substr(0, kept);
      out += "***";
    }
    after_scheme = (size == 6 && starts_with_ignoring_case(word, "bearer")) ||
                   (size == 5 && starts_with_ignoring_case(word, "basic"));
    i += size;
  }
  return out;
}

std::string_view utf8_prefix(std::string_view text, std::size_t bytes_max) {
  if (text.size() <= bytes_max) return text;
  std::size_t size = bytes_max;
  for (int back = 0; back < 4 && size > 0; ++back) {
    if ((static_cast<unsigned char>(text[size]) & 0xC0) != 0x80) return text.substr(0, size);
    --size;
  }
  return text.substr(0, bytes_max);
}

std::string quote_value(std::string_view value) {
  // Redaction first: a cut must not hide the shape of a key from it. 512 bytes hold any 64
  // characters and enough of what follows.
  const std::string clean = redact(utf8_prefix(value, 512));
  std::size_t size = 0, characters = 0;
  while (size < clean.size()) {
    if ((static_cast<unsigned char>(clean[size]) & 0xC0) != 0x80 &&
        ++characters > quoted_characters_max) {
      break;
    }
    ++size;
  }
  std::string out = "\"";
  append_json_escaped(out, std::string_view(clean).substr(0, size));
  if (size < clean.size() || value.size() > 512) out += "…";
  out += '"';
  return out;
}

}  // namespace deepseek::protocol
