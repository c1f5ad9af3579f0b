#include "protocol/request.hpp"

#include <algorithm>

namespace deepseek::protocol {

std::string_view to_string(Role role) {
  switch (role) {
    case Role::system:
      return "system";
    case Role::user:
      return "user";
    case Role::assistant:
      return "assistant";
    case Role::tool:
      return "tool";
    case Role::developer:
      return "developer";
  }
  return "user";
}

std::string_view to_string(Feature feature) {
  switch (feature) {
    case Feature::tools:
      return "tool calls";
    case Feature::hosted_tools:
      return "tools other than functions";
    case Feature::functions:
      return "function calls (the old form of tools)";
    case Feature::response_format:
      return "a response_format other than \"text\"";
    case Feature::audio:
      return "audio";
    case Feature::images:
      return "images";
    case Feature::suffix:
      return "suffix (fill in the middle)";
    case Feature::web_search:
      return "web search";
    case Feature::best_of:
      return "best_of other than n";
    case Feature::echo_logprobs:
      return "echo together with logprobs";
    case Feature::echo_tokens:
      return "echo of a prompt given as token ids";
  }
  return "this field";
}

bool Request::uses(Feature feature) const {
  return std::any_of(features.begin(), features.end(),
                     [&](const FeatureUse& use) { return use.feature == feature; });
}

bool echo_is_told(const Request& request) {
  return request.uses(Feature::echo_logprobs) || request.uses(Feature::echo_tokens);
}

std::string Message::text() const {
  std::string out;
  for (const ContentPart& part : content) {
    if (const auto* text_part = std::get_if<TextPart>(&part)) out += text_part->text;
  }
  return out;
}

}  // namespace deepseek::protocol
