// libFuzzer target over what reads images before any decoder does: data URLs, the structure of PNG
// and JPEG files, and the size of compressed data. The first byte picks the part.
#include "check.hpp"

#include "io/inflated_size.hpp"
#include "protocol/data_url.hpp"
#include "protocol/image_file.hpp"

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace {

using namespace deepseek;

constexpr std::uint64_t size_max = 1 << 20;
constexpr std::uint64_t piece_bytes = 64 << 10;

void read_file(std::string_view file) {
  const protocol::ImageLimits limits;
  const auto header = protocol::read_image_header(file, limits, "param", true);
  if (header.has_error()) {
    check(header.error().code == base::ErrorCode::invalid_request);
    check(header.error().param == "param" && !header.error().message.empty());
    return;
  }
  check(header->width > 0 && header->width <= protocol::image_side_max);
  check(header->height > 0 && header->height <= protocol::image_side_max);
  check(std::uint64_t{header->width} * header->height <=
        static_cast<std::uint64_t>(limits.pixels_max));
  check(header->compressed.size() <= file.size());
}

void read_url(std::string_view url) {
  const auto file = protocol::read_data_url(url, size_max, "param");
  check(file.has_error() || file->size() <= url.size());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view rest(reinterpret_cast<const char*>(data) + 1, size - 1);
  switch (data[0] % 3) {
    case 0:
      read_file(rest);
      break;
    case 1:
      read_url(rest);
      break;
    default:
      check(io::inflated_size(rest, size_max).value_or(0) <= size_max + piece_bytes);
  }
  return 0;
}
