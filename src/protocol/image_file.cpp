#include "protocol/image_file.hpp"

#include <algorithm>
#include <array>
#include <optional>

namespace deepseek::protocol {
namespace {

using namespace std::string_view_literals;

constexpr auto png_signature = "\x89PNG\r\n\x1A\n"sv;
constexpr auto jpeg_signature = "\xFF\xD8\xFF"sv;
constexpr std::size_t header_chunk_bytes = 13;
constexpr std::uint32_t passes_max = 7;  // of an interlaced PNG: each has rows of its own

// Big endian numbers from the front of a file; none where it has ended.
class Bytes {
 public:
  explicit Bytes(std::string_view rest) : rest_(rest) {}
  std::optional<std::uint32_t> number(std::size_t size) {
    if (rest_.size() < size) return std::nullopt;
    std::uint32_t value = 0;
    for (const char byte : rest_.substr(0, size)) {
      value = value << 8U | static_cast<unsigned char>(byte);
    }
    rest_.remove_prefix(size);
    return value;
  }
  std::optional<std::string_view> take(std::size_t size) {
    if (rest_.size() < size) return std::nullopt;
    const std::string_view taken = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return taken;
  }
  std::string_view rest() const { return rest_; }

 private:
  std::string_view rest_;
};

class Reader {
 public:
  Reader(const ImageLimits& limits, const std::string& param) : limits_(limits), param_(param) {}

  base::Error refuse(const std::string& what) const {
    return base::make_error(base::ErrorCode::invalid_request, param_ + ": the image " + what,
                            param_);
  }
  base::Error cut_off() const { return refuse("is cut off. Send the whole file."); }
  base::Error broken(const std::string& what) const {
    return refuse("cannot be read: " + what + ". Save it again as PNG or JPEG.");
  }
  base::Result<void> check_size(std::uint32_t width, std::uint32_t height) const;
  base::Result<ImageHeader> read_png(std::string_view file, bool with_data) const;
  base::Result<ImageHeader> read_jpeg(std::string_view file) const;

 private:
  base::Result<ImageHeader> read_png_header(std::string_view data) const;
  base::Result<ImageHeader> read_frame(std::uint32_t marker, std::string_view data) const;

  const ImageLimits& limits_;
  const std::string& param_;
};

base::Result<void> Reader::check_size(std::uint32_t width, std::uint32_t height) const {
  const std::string size = std::to_string(width) + " × " + std::to_string(height) + " pixels";
  if (width == 0 || height == 0) return broken("it has " + size);
  const auto [shorter, longer] = std::minmax(width, height);
  const bool too_large = std::uint64_t{width} * height > std::uint64_t(limits_.pixels_max);
  if (too_large || longer > image_side_max) {
    return refuse("has " + size + "; at most " + std::to_string(limits_.pixels_max) +
                  " (images.pixels_max) and " + std::to_string(image_side_max) +
                  " on a side are taken. Make it smaller.");
  }
  if (longer > std::uint64_t{shorter} * image_ratio_max) {
    return refuse("has " + size + "; one side may be at most " + std::to_string(image_ratio_max) +
                  " times as long as the other. Cut it.");
  }
  return {};
}

base::Result<ImageHeader> Reader::read_png_header(std::string_view data) const {
  Bytes bytes(data);
  ImageHeader header;
  header.width = *bytes.number(4);
  header.height = *bytes.number(4);
  const std::uint32_t depth = *bytes.number(1);
  const std::uint32_t colours = *bytes.number(1);
  const std::uint32_t compression = *bytes.number(1);
  const std::uint32_t filter = *bytes.number(1);
  const std::uint32_t interlace = *bytes.number(1);
  constexpr std::array<std::uint32_t, 7> channels{1, 0, 3, 1, 2, 0, 4};
  const bool deep = depth == 8 || depth == 16;
  const bool shallow = depth == 1 || depth == 2 || depth == 4;
  const bool known = colours < channels.size() && channels[colours] > 0 &&
                     (deep || (shallow && (colours == 0 || colours == 3))) &&
                     !(colours == 3 && depth == 16);
  if (!known || compression != 0 || filter != 0 || interlace > 1) {
    return broken("its header names no kind of PNG");
  }
  const base::Result<void> size = check_size(header.width, header.height);
  if (size.has_error()) return size.error();
  const std::uint64_t row =
      (std::uint64_t{header.width} * channels[colours] * depth + 7) / 8 + passes_max;
  header.data_bytes_max = (row + 1) * (std::uint64_t{header.height} + passes_max);
  return header;
}

base::Result<ImageHeader> Reader::read_png(std::string_view file, bool with_data) const {
  Bytes bytes(file.substr(png_signature.size()));
  std::optional<ImageHeader> header;
  bool has_data = false;
  for (;;) {
    const auto length = bytes.number(4);
    const auto type = bytes.take(4);
    if (!length || !type) return cut_off();
    const auto data = bytes.take(*length);
    if (!data || !bytes.take(4)) return cut_off();  // the checksum
    if (!header) {
      if (*type != "IHDR" || data->size() != header_chunk_bytes) return broken("it has no header");
      base::Result<ImageHeader> read = read_png_header(*data);
      if (read.has_error()) return read.error();
      header = std::move(*read);
    } else if (*type == "IDAT") {
      has_data = true;
      if (with_data) header->compressed += *data;
    } else if (*type == "IEND") {
      if (!has_data) return broken("it has no pixels");
      return std::move(*header);
    } else if (*type == "IHDR" || ((type->front() & 0x20) == 0 && *type != "PLTE")) {
      return broken("it has a part that no PNG has");
    }
  }
}

base::Result<ImageHeader> Reader::read_frame(std::uint32_t marker, std::string_view data) const {
  if (marker > 0xC2) return broken("it is a JPEG of a kind that is not read here");
  Bytes bytes(data);
  const auto precision = bytes.number(1);
  const auto height = bytes.number(2);
  const auto width = bytes.number(2);
  const auto components = bytes.number(1);
  if (!precision || !height || !width || !components) return broken("its frame is too short");
  if (*precision != 8 || (*components != 1 && *components != 3 && *components != 4) ||
      bytes.rest().size() != *components * std::size_t{3}) {
    return broken("it is a JPEG of a kind that is not read here");
  }
  ImageHeader header;
  header.format = ImageFormat::jpeg;
  header.width = *width;
  header.height = *height;
  const base::Result<void> size = check_size(header.width, header.height);
  if (size.has_error()) return size.error();
  return header;
}

bool is_restart(std::uint32_t marker) {
  return marker >= 0xD0 && marker <= 0xD7;
}

// What stands behind the pixels of a scan: the next marker that is neither a byte of theirs nor
// one inside them.
std::string_view behind_scan(std::string_view rest) {
  for (std::size_t at = 0; at + 1 < rest.size(); ++at) {
    if (rest[at] != '\xFF') continue;
    const auto next = static_cast<unsigned char>(rest[at + 1]);
    if (next != 0 && next != 0xFF && !is_restart(next)) return rest.substr(at);
  }
  return {};
}

base::Result<ImageHeader> Reader::read_jpeg(std::string_view file) const {
  Bytes bytes(file.substr(2));
  std::optional<ImageHeader> header;
  std::int32_t scans = 0;
  for (;;) {
    std::optional<std::uint32_t> marker = bytes.number(1);
    if (marker && *marker != 0xFF) return broken("it has bytes where a marker must be");
    while (marker && *marker == 0xFF) marker = bytes.number(1);
    if (!marker) return cut_off();
    if (*marker == 0xD9) break;
    if (*marker == 0x01) continue;
    if (*marker == 0 || is_restart(*marker) || *marker == 0xD8) {
      return broken("it has a marker where none may be");
    }
    const auto length = bytes.number(2);
    if (!length) return cut_off();
    if (*length < 2) return broken("it has a part without a length");
    const auto data = bytes.take(*length - 2);
    if (!data) return cut_off();
    const bool frame =
        *marker >= 0xC0 && *marker <= 0xCF && *marker != 0xC4 && *marker != 0xC8 && *marker != 0xCC;
    if (frame) {
      if (header) return broken("it has two frames");
      base::Result<ImageHeader> read = read_frame(*marker, *data);
      if (read.has_error()) return read.error();
      header = std::move(*read);
    } else if (*marker == 0xDA) {
      if (!header) return broken("its pixels come before its size");
      if (++scans > jpeg_scans_max) {
        return refuse("has more than " + std::to_string(jpeg_scans_max) +
                      " scans. Save it again as a JPEG that is not progressive.");
      }
      bytes = Bytes(behind_scan(bytes.rest()));
    }
  }
  if (!header || scans == 0) return broken("it has no pixels");
  return std::move(*header);
}

}  // namespace

base::Result<ImageHeader> read_image_header(std::string_view file, const ImageLimits& limits,
                                            const std::string& param, bool with_data) {
  const Reader reader(limits, param);
  if (file.size() > static_cast<std::size_t>(limits.bytes_max)) {
    return reader.refuse("has " + std::to_string(file.size()) + " bytes; at most " +
                         std::to_string(limits.bytes_max) +
                         " are taken (images.bytes_max). Make it smaller.");
  }
  if (file.starts_with(png_signature)) return reader.read_png(file, with_data);
  if (file.starts_with(jpeg_signature)) return reader.read_jpeg(file);
  return reader.refuse("is neither a PNG nor a JPEG file. Convert it to one of them.");
}

}  // namespace deepseek::protocol
