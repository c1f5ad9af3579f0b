// An image's URL as Anthropic's form has it: an address, or base64 with its type.
//
// Pure; views into the URL.
#pragma once

#include <algorithm>
#include <array>
#include <optional>
#include <string_view>

namespace deepseek::protocol {

struct ImageSource {
  std::string_view media_type;  // empty: `data` is an address
  std::string_view data;
};

// Nothing for what this form cannot say: other addresses than https://, other types of images.
inline std::optional<ImageSource> read_image_source(std::string_view url) {
  constexpr std::array<std::string_view, 4> types{"image/jpeg", "image/png", "image/gif",
                                                  "image/webp"};
  if (url.starts_with("https://")) return ImageSource{{}, url};
  if (!url.starts_with("data:")) return std::nullopt;
  url.remove_prefix(5);
  const std::size_t comma = url.find(',');
  if (comma == std::string_view::npos) return std::nullopt;
  std::string_view type = url.substr(0, comma);
  if (!type.ends_with(";base64")) return std::nullopt;
  type = type.substr(0, type.find(';'));
  if (type == "image/jpg") type = "image/jpeg";
  if (std::ranges::find(types, type) == types.end()) return std::nullopt;
  return ImageSource{type, url.substr(comma + 1)};
}

}  // namespace deepseek::protocol
