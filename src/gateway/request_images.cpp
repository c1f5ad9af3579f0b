#include "gateway/request_images.hpp"

#include "protocol/data_url.hpp"

#include <algorithm>
#include <functional>
#include <utility>

namespace deepseek::gateway {
namespace {

// Where the first image stands, as the decoder noted it.
std::string first_param(const protocol::Request& request) {
  const auto use = std::ranges::find(request.features, protocol::Feature::images,
                                     &protocol::FeatureUse::feature);
  return use == request.features.end() ? request.prompt_field : use->param;
}

}  // namespace

base::Result<std::vector<WantedImage>> wanted_images(const protocol::Request& request,
                                                     const protocol::ImageLimits& limits) {
  std::vector<WantedImage> wanted;
  for (const protocol::Message& message : request.messages) {
    for (const protocol::ContentPart& part : message.content) {
      const auto* image = std::get_if<protocol::ImagePart>(&part);
      if (image == nullptr) continue;
      std::string param = image->param;
      if (param.empty()) param = wanted.empty() ? first_param(request) : request.prompt_field;
      wanted.push_back({image->url, std::move(param)});
    }
  }
  if (wanted.size() <= static_cast<std::size_t>(limits.count_max)) return wanted;
  return base::make_error(base::ErrorCode::invalid_request,
                          "The request has " + std::to_string(wanted.size()) + " images; at most " +
                              std::to_string(limits.count_max) + " are taken (images.count_max).",
                          request.prompt_field);
}

base::Result<ImageFile> check_image(std::string bytes, const std::string& param,
                                    const protocol::ImageLimits& limits) {
  const auto header = protocol::read_image_header(bytes, limits, param);
  if (header.has_error()) return header.error();
  const std::uint64_t fingerprint = std::hash<std::string>()(bytes);
  return ImageFile{std::move(bytes), param, fingerprint};
}

base::Result<ImageFile> read_image(const WantedImage& wanted, const protocol::ImageLimits& limits) {
  base::Result<std::string> bytes =
      protocol::read_data_url(wanted.url, limits.bytes_max, wanted.param);
  if (bytes.has_error()) return bytes.error();
  return check_image(std::move(*bytes), wanted.param, limits);
}

base::Result<void> check_sum(const ImageFiles& files, const protocol::Request& request) {
  std::size_t sum = 0;
  for (const ImageFile& file : files) sum += file.bytes.size();
  sum *= request.sequence_count();
  if (sum <= request_image_bytes_max) return {};
  return base::make_error(base::ErrorCode::invalid_request,
                          "The images of the request have " + std::to_string(sum) +
                              " bytes together, for each answer (n); at most " +
                              std::to_string(request_image_bytes_max) + " are taken.",
                          request.prompt_field);
}

}  // namespace deepseek::gateway
