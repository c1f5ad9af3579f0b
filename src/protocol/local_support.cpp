#include "protocol/local_support.hpp"

namespace deepseek::protocol {

namespace {

std::string refusal(const Request& request, const FeatureUse& use) {
  switch (use.feature) {
    case Feature::best_of:
      return "best_of must be equal to n (" + std::to_string(request.choices) +
             ") for the models of this server";
    case Feature::echo_logprobs:
      return "echo together with logprobs is not supported: leave one of them out";
    case Feature::echo_tokens:
      return "echo of a prompt given as token ids is not supported: give it as text";
    default:
      return use.param + ": " + std::string(to_string(use.feature)) +
             " cannot be served by the models of this server; leave the field out";
  }
}

}  // namespace

base::Result<void> check_local_support(const Request& request) {
  for (const FeatureUse& use : request.features) {
    if (use.feature == Feature::tools) continue;  // The engine reads them.
    return base::make_error(base::ErrorCode::not_implemented, refusal(request, use), use.param);
  }
  return {};
}

}  // namespace deepseek::protocol
