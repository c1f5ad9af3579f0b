// The images of a request as files for an engine of this machine: what is wrong with one is said
// here, before the engine hears of it.
//
// Pure; decoding takes about a millisecond for each megabyte.
#pragma once

#include "base/result.hpp"
#include "protocol/image_file.hpp"
#include "protocol/request.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace deepseek::gateway {

// Of one request, for each of its answers: so much may be on its way to an engine.
inline constexpr std::size_t request_image_bytes_max = 48u << 20;

struct WantedImage {
  std::string_view url;  // of the request
  std::string param;     // the client's field
};

struct ImageFile {
  std::string bytes;
  std::string param;
  std::uint64_t fingerprint = 0;  // the same for the same bytes
};
using ImageFiles = std::vector<ImageFile>;

// Those of the request, in its order. invalid_request if there are more than the limits allow.
base::Result<std::vector<WantedImage>> wanted_images(const protocol::Request& request,
                                                     const protocol::ImageLimits& limits);

// A file that fits the limits. `url` is a data URL. invalid_request, which names the field.
base::Result<ImageFile> read_image(const WantedImage& wanted, const protocol::ImageLimits& limits);
// The same of what was fetched or decoded elsewhere.
base::Result<ImageFile> check_image(std::string bytes, const std::string& param,
                                    const protocol::ImageLimits& limits);
base::Result<void> check_sum(const ImageFiles& files, const protocol::Request& request);

}  // namespace deepseek::gateway
