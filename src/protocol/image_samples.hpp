// Small PNG and JPEG files for tests; not linked into any program.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace deepseek::protocol {

inline std::string big_endian(std::uint32_t value) {
  std::string bytes;
  for (const unsigned shift : {24U, 16U, 8U, 0U})
    bytes += static_cast<char>(value >> shift & 0xFFU);
  return bytes;
}

// Readers of ours and of llama.cpp look at no checksum.
inline std::string png_chunk(std::string_view type, std::string_view data) {
  return big_endian(static_cast<std::uint32_t>(data.size())) + std::string(type) +
         std::string(data) + "sum!";
}

inline std::string png_header(std::uint32_t width, std::uint32_t height, char depth = 8,
                              char colours = 2, char interlace = 0) {
  return big_endian(width) + big_endian(height) + depth + colours + std::string(2, '\0') +
         interlace;
}

inline std::string png_of(std::string_view header, std::string_view compressed) {
  return "\x89PNG\r\n\x1A\n" + png_chunk("IHDR", header) + png_chunk("IDAT", compressed) +
         png_chunk("IEND", "");
}

// A zlib stream that holds the bytes as they are.
inline std::string stored(std::string_view bytes) {
  std::string stream = "\x78\x01";
  while (!bytes.empty()) {
    const std::string_view piece = bytes.substr(0, 0xFFFF);
    bytes.remove_prefix(piece.size());
    stream += static_cast<char>(bytes.empty() ? 1 : 0);
    for (const std::size_t size : {piece.size(), ~piece.size()}) {
      stream += static_cast<char>(size & 0xFFU);
      stream += static_cast<char>(size >> 8U & 0xFFU);
    }
    stream += piece;
  }
  return stream + big_endian(0);
}

// Noise from a seed, in colour.
inline std::string png_sample(std::uint32_t seed, std::uint32_t width = 16,
                              std::uint32_t height = 16) {
  std::string rows;
  for (std::uint32_t row = 0; row < height; ++row) {
    rows += '\0';
    for (std::uint32_t byte = 0; byte < 3 * width; ++byte) {
      seed = seed * 1664525U + 1013904223U;
      rows += static_cast<char>(seed >> 24U);
    }
  }
  return png_of(png_header(width, height), stored(rows));
}

inline std::string jpeg_segment(char marker, std::string_view data) {
  const auto length = static_cast<std::uint32_t>(data.size() + 2);
  return std::string("\xFF") + marker + big_endian(length).substr(2) + std::string(data);
}

inline std::string jpeg_frame(std::uint32_t width, std::uint32_t height, char marker = '\xC0') {
  return jpeg_segment(marker, "\x08" + big_endian(height).substr(2) + big_endian(width).substr(2) +
                                  std::string("\x01\x01\x11\x00", 4));
}

// One grey block of 8 × 8 pixels; with other frames, what claims to be more.
inline std::string jpeg_sample(std::string_view frame = {}, int scans = 1) {
  std::string lengths = std::string("\0\0\1\5\1\1\1\1\1\1", 10) + std::string(7, '\0');
  for (char code = 0; code < 9; ++code) lengths += code;
  const std::string own_frame = jpeg_frame(8, 8);
  std::string file = "\xFF\xD8" + jpeg_segment('\xDB', std::string(1, '\0') + std::string(64, 8));
  file += frame.empty() ? own_frame : frame;
  file += jpeg_segment('\xC4', lengths);
  file += jpeg_segment('\xC4', std::string("\x10\x01", 2) + std::string(16, '\0'));
  for (int scan = 0; scan < scans; ++scan) {
    file += jpeg_segment('\xDA', std::string("\x01\x01\x00\x00\x3F\x00", 6));
    file += "\xCD\x7F";
  }
  return file + "\xFF\xD9";
}

inline std::string data_url_of(std::string_view file) {
  constexpr std::string_view digits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string url = "data:image/png;base64,";
  for (; !file.empty(); file.remove_prefix(std::min<std::size_t>(file.size(), 3))) {
    std::uint32_t bits = 0;
    for (std::size_t byte = 0; byte < 3; ++byte) {
      bits = bits << 8U | (byte < file.size() ? static_cast<unsigned char>(file[byte]) : 0U);
    }
    for (std::size_t digit = 0; digit < 4; ++digit) {
      url += digit <= file.size() ? digits[bits >> (18 - 6 * digit) & 0x3FU] : '=';
    }
  }
  return url;
}

}  // namespace deepseek::protocol
