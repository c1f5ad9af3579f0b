#include "protocol/data_url.hpp"

#include <algorithm>
#include <array>
#include <cstdint>

namespace deepseek::protocol {
namespace {

constexpr std::uint8_t no_digit = 64;

constexpr std::array<std::uint8_t, 256> make_digits() {
  std::array<std::uint8_t, 256> digits{};
  digits.fill(no_digit);
  constexpr std::string_view alphabet =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  for (std::uint8_t value = 0; value < alphabet.size(); ++value) {
    digits[static_cast<unsigned char>(alphabet[value])] = value;
  }
  return digits;
}

constexpr std::array<std::uint8_t, 256> digits = make_digits();

base::Error refuse(const std::string& param, const std::string& what) {
  return base::make_error(base::ErrorCode::invalid_request, param + ": the data URL " + what,
                          param);
}

bool is_read_here(std::string_view type) {
  std::string lower(type);
  std::ranges::transform(lower, lower.begin(), [](char character) {
    const bool upper = character >= 'A' && character <= 'Z';
    return upper ? static_cast<char>(character - 'A' + 'a') : character;
  });
  return lower == "image/png" || lower == "image/jpeg" || lower == "image/jpg";
}

}  // namespace

base::Result<std::string> decode_base64(std::string_view text) {
  const auto wrong = [](const char* what) {
    return base::make_error(base::ErrorCode::invalid_request, what);
  };
  std::string bytes;
  bytes.reserve(text.size() / 4 * 3 + 3);
  std::uint32_t bits = 0;
  std::size_t count = 0;  // of digits
  std::size_t padding = 0;
  for (const char character : text) {
    if (character == '\r' || character == '\n') continue;
    if (character == '=') {
      if (++padding > 2) return wrong("has too much padding");
      continue;
    }
    const std::uint8_t digit = digits[static_cast<unsigned char>(character)];
    if (digit == no_digit) return wrong("has a character that is no base64");
    if (padding > 0) return wrong("goes on behind its padding");
    bits = bits << 6U | digit;
    if (++count % 4 == 0) {
      for (const unsigned shift : {16U, 8U, 0U}) bytes += static_cast<char>(bits >> shift & 0xFFU);
      bits = 0;
    }
  }
  const std::size_t left = count % 4;
  if (left == 1) return wrong("is cut off");
  if (padding > 0 && (count + padding) % 4 != 0) return wrong("has wrong padding");
  if (left == 2) bytes += static_cast<char>(bits >> 4U & 0xFFU);
  if (left == 3) {
    bytes += static_cast<char>(bits >> 10U & 0xFFU);
    bytes += static_cast<char>(bits >> 2U & 0xFFU);
  }
  return bytes;
}

base::Result<std::string> read_data_url(std::string_view url, std::int64_t bytes_max,
                                        const std::string& param) {
  constexpr std::string_view marker = ";base64";
  if (!url.starts_with(data_scheme)) return refuse(param, "must begin with \"data:\".");
  url.remove_prefix(data_scheme.size());
  const std::size_t comma = url.find(',');
  std::string_view type = url.substr(0, comma);
  if (comma == std::string_view::npos || !type.ends_with(marker)) {
    return refuse(param, "must be of the form data:image/png;base64,DATA.");
  }
  type.remove_suffix(marker.size());
  if (!is_read_here(type)) {
    return refuse(param, "must hold image/png or image/jpeg, found \"" +
                             std::string(type.substr(0, 64)) + "\".");
  }
  const std::string_view data = url.substr(comma + 1);
  if (data.size() / 4 * 3 > 2 * static_cast<std::size_t>(bytes_max)) {
    return refuse(param, "holds more than " + std::to_string(bytes_max) +
                             " bytes (images.bytes_max). Make the image smaller.");
  }
  base::Result<std::string> file = decode_base64(data);
  if (file.has_error()) {
    return refuse(param, file.error().message + ". Encode the file's bytes as base64.");
  }
  return file;
}

}  // namespace deepseek::protocol
