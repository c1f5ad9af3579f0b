// What a PNG or JPEG file says of itself, read strictly before any decoder sees it: a file may be
// small and its image huge, and decoders allocate and compute by what the file claims.
//
// Pure. Only the structure is read: segments, chunks and their order, never the pixels.
#pragma once

#include "base/result.hpp"

#include <cstdint>
#include <string>
#include <string_view>

namespace deepseek::protocol {

// What a server takes of images; the first three are settings of the section `images`.
struct ImageLimits {
  std::int64_t count_max = 16;             // images of one request
  std::int64_t bytes_max = 8 << 20;        // of one file
  std::int64_t pixels_max = 16 * 1000000;  // of one image
};

inline constexpr std::uint32_t image_side_max = 16384;  // pixels
inline constexpr std::uint32_t image_ratio_max = 64;    // of the longer side to the shorter
// A decoder passes over the whole image for each.
inline constexpr std::int32_t jpeg_scans_max = 32;

enum class ImageFormat { png, jpeg };

struct ImageHeader {
  ImageFormat format = ImageFormat::png;
  std::uint32_t width = 0;
  std::uint32_t height = 0;
  std::uint64_t data_bytes_max = 0;  // PNG: what its compressed data may come to
  std::string compressed = {};       // PNG: that data, if asked for
};

// `param` is the client's field, which a refusal (invalid_request) names.
base::Result<ImageHeader> read_image_header(std::string_view file, const ImageLimits& limits,
                                            const std::string& param, bool with_data = false);

}  // namespace deepseek::protocol
