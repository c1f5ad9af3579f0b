#include "gateway/route/request_facts.hpp"

#include <algorithm>
#include <array>
#include <limits>

namespace deepseek::gateway {

using protocol::Feature;
using protocol::Message;
using protocol::Request;

namespace {

struct Named {
  RouteFeature feature;
  std::string_view name;
};
constexpr std::array<Named, 7> feature_names{{{RouteFeature::image, "image"},
                                              {RouteFeature::audio, "audio"},
                                              {RouteFeature::tools, "tools"},
                                              {RouteFeature::schema, "schema"},
                                              {RouteFeature::stream, "stream"},
                                              {RouteFeature::thinking, "thinking"},
                                              {RouteFeature::suffix, "suffix"}}};

constexpr double message_tokens = 4;
constexpr double image_tokens = 1'000;

// Scans what the limit leaves and keeps count of the rest.
class BoundedScan {
 public:
  explicit BoundedScan(std::size_t bytes_max) : left_(bytes_max) {}

  void add(std::string_view text) {
    bytes_ += text.size();
    std::size_t taken = std::min(text.size(), left_);
    if (taken < text.size()) {  // not in the middle of a character
      while (taken > 0 && (static_cast<std::uint8_t>(text[taken]) & 0xC0) == 0x80) --taken;
      left_ = taken;
    }
    scan_.add(text.substr(0, taken));
    left_ -= taken;
  }
  double tokens() const {
    if (scan_.bytes() == 0) return 0.25 * static_cast<double>(bytes_);
    return scan_.tokens() * static_cast<double>(bytes_) / static_cast<double>(scan_.bytes());
  }
  const TextScan& scanned() const { return scan_; }

 private:
  std::size_t left_;
  std::uint64_t bytes_ = 0;
  TextScan scan_;
};

// The text of a message; returns the number of its images.
std::size_t add_text(const Message& message, BoundedScan& scan) {
  std::size_t images = 0;
  for (const protocol::ContentPart& part : message.content) {
    if (const auto* text = std::get_if<protocol::TextPart>(&part))
      scan.add(text->text);
    else
      ++images;
  }
  return images;
}

void add_prompts(const Request& request, BoundedScan& scan) {
  for (const protocol::Prompt& prompt : request.prompts) {
    if (const auto* text = std::get_if<std::string>(&prompt)) scan.add(*text);
  }
}

const Message* last_of_user(const Request& request) {
  const auto found = std::find_if(request.messages.rbegin(), request.messages.rend(),
                                  [](const Message& m) { return m.role == protocol::Role::user; });
  return found == request.messages.rend() ? nullptr : &*found;
}

}  // namespace

std::optional<RouteFeature> feature_named(std::string_view name) {
  for (const Named& row : feature_names) {
    if (row.name == name) return row.feature;
  }
  return std::nullopt;
}

std::string describe_features(FeatureMask features) {
  std::string out;
  for (const Named& row : feature_names) {
    if ((features & bit(row.feature)) == 0) continue;
    if (!out.empty()) out += ", ";
    out += row.name;
  }
  return out.empty() ? "none" : out;
}

FeatureMask features_of(const Request& request) {
  FeatureMask out = request.stream ? bit(RouteFeature::stream) : 0;
  const bool effort = !request.reasoning_effort.empty();
  if (request.thinking.value_or(effort)) out |= bit(RouteFeature::thinking);
  for (const protocol::FeatureUse& use : request.features) {
    switch (use.feature) {
      case Feature::tools:
      case Feature::hosted_tools:
      case Feature::functions:
        out |= bit(RouteFeature::tools);
        break;
      case Feature::response_format:
        out |= bit(RouteFeature::schema);
        break;
      case Feature::audio:
        out |= bit(RouteFeature::audio);
        break;
      case Feature::images:
        out |= bit(RouteFeature::image);
        break;
      case Feature::suffix:
        out |= bit(RouteFeature::suffix);
        break;
      case Feature::web_search:
      case Feature::best_of:
      case Feature::echo_logprobs:
      case Feature::echo_tokens:
        break;
    }
  }
  return out;
}

std::uint32_t guess_prompt_tokens(const Request& request) {
  BoundedScan scan(scan_bytes_max);
  double tokens = message_tokens * static_cast<double>(request.messages.size());
  for (const Message& message : request.messages) {
    tokens += image_tokens * static_cast<double>(add_text(message, scan));
    scan.add(message.reasoning_content);
    for (const protocol::ToolCall& call : message.tool_calls) {
      scan.add(call.name);
      scan.add(call.arguments);
    }
  }
  add_prompts(request, scan);
  for (const protocol::Prompt& prompt : request.prompts) {
    if (const auto* ids = std::get_if<protocol::TokenIds>(&prompt)) {
      tokens += static_cast<double>(ids->size());
    }
  }
  constexpr double most = std::numeric_limits<std::uint32_t>::max();
  return static_cast<std::uint32_t>(std::min(tokens + scan.tokens() + 0.5, most));
}

Language language_of(const Request& request) {
  BoundedScan recent(language_bytes_max);
  if (const Message* message = last_of_user(request))
    add_text(*message, recent);
  else
    add_prompts(request, recent);
  if (const Language found = recent.scanned().language(); found != Language::unknown) return found;
  BoundedScan all(language_bytes_max);
  for (const Message& message : request.messages) add_text(message, all);
  return all.scanned().language();
}

}  // namespace deepseek::gateway
