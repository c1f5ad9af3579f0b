// Text from parts: GCC 12 has no std::format. Pure.
#pragma once

#include <charconv>
#include <concepts>
#include <cstdio>
#include <string>
#include <string_view>

namespace bench {

/// Text as it is, whole numbers in decimal, fractions with two digits, true and false as words.
template <typename Part>
void append(std::string& text, const Part& part) {
  char digits[64];
  if constexpr (std::same_as<Part, bool>) {
    text += part ? "true" : "false";
  } else if constexpr (std::integral<Part>) {
    text.append(digits, std::to_chars(digits, digits + sizeof digits, part).ptr);
  } else if constexpr (std::floating_point<Part>) {
    std::snprintf(digits, sizeof digits, "%.2f", part);
    text += digits;
  } else {
    text += part;
  }
}

template <typename... Parts>
std::string joined(const Parts&... parts) {
  std::string text;
  (append(text, parts), ...);
  return text;
}

}  // namespace bench
