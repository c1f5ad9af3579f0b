#include "protocol/local_support.hpp"

#include <algorithm>

namespace deepseek::protocol {

namespace {

std::string refusal(const Request& request, const FeatureUse& use) {
  switch (use.feature) {
    case Feature::best_of:
      return "best_of must be equal to n (" + std::to_string(request.choices) +
             ") for the models of this server";
    case Feature::echo_logprobs:
    case Feature::echo_tokens:
      return "echo cannot be used with a suffix here, except alone";
    case Feature::suffix:
      return "suffix needs a prompt given as text";
    default:
      return use.param + ": " + std::string(to_string(use.feature)) +
             " cannot be served by the models of this server; leave the field out";
  }
}

bool all_texts(const Request& request) {
  return std::all_of(request.prompts.begin(), request.prompts.end(), [](const Prompt& prompt) {
    return std::holds_alternative<std::string>(prompt);
  });
}

// Whether engines can do it at all; a model may still lack what it takes, and says so itself.
bool is_local(const Request& request, Feature feature) {
  if (feature == Feature::tools || feature == Feature::functions ||
      feature == Feature::response_format) {
    return true;
  }
  if (feature == Feature::echo_logprobs || feature == Feature::echo_tokens) {
    return request.suffix.empty();
  }
  return feature == Feature::suffix && request.operation == Operation::completion &&
         all_texts(request);
}

}  // namespace

base::Result<void> check_local_support(const Request& request) {
  for (const FeatureUse& use : request.features) {
    if (is_local(request, use.feature)) continue;
    return base::make_error(base::ErrorCode::not_implemented, refusal(request, use), use.param);
  }
  return {};
}

}  // namespace deepseek::protocol
