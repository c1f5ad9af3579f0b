// What a request is like, as far as routes and strategies ask: its features, about how long its
// prompt is, its language.
//
// Pure. Each function is one bounded pass without allocation.
#pragma once

#include "gateway/route/text_scan.hpp"
#include "protocol/request.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace deepseek::gateway {

using FeatureMask = std::uint32_t;

// Bits of a FeatureMask.
enum class RouteFeature : FeatureMask {
  image = 1,
  audio = 2,
  tools = 4,   // old and new form
  schema = 8,  // a response_format other than text
  stream = 16,
  thinking = 32,  // asked for; a model may think by default
  suffix = 64,    // fill in the middle
};

constexpr FeatureMask bit(RouteFeature feature) {
  return static_cast<FeatureMask>(feature);
}

// "image", "tools" …, as the configuration names them.
std::optional<RouteFeature> feature_named(std::string_view name);
// "image, tools"; "none" for 0.
std::string describe_features(FeatureMask features);

FeatureMask features_of(const protocol::Request& request);

// Text beyond this is taken to be like the text before it: a byte of Chinese and a byte of English
// differ by a quarter only.
inline constexpr std::size_t scan_bytes_max = 16 * 1024;

// For a choice only; accounts count with protocol::estimate_prompt_tokens(), which reads
// everything. All messages or prompts, by TextScan's rule; four more per message for the template,
// 1,000 per image, and ids as what they are. Tool definitions are not counted: the request does not
// hold them.
std::uint32_t guess_prompt_tokens(const protocol::Request& request);

// Of the last message of the user, or of the prompt: its first 4 KB. Where that has no letters, of
// all messages together.
inline constexpr std::size_t language_bytes_max = 4 * 1024;
Language language_of(const protocol::Request& request);

}  // namespace deepseek::gateway
