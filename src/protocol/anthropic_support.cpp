#include "protocol/anthropic_support.hpp"

#include "protocol/anthropic_image.hpp"

#include <algorithm>

namespace deepseek::protocol {
namespace {

base::Result<void> refuse(std::string param, std::string_view what) {
  std::string message = param + ": " + std::string(what) +
                        " cannot be asked of a backend of Anthropic's form; leave it out";
  return base::make_error(base::ErrorCode::not_implemented, std::move(message), std::move(param));
}

base::Result<void> check_features(const Request& request) {
  for (const FeatureUse& use : request.features) {
    const bool has_place = use.feature == Feature::tools || use.feature == Feature::functions ||
                           use.feature == Feature::images;
    if (has_place) continue;
    return refuse(use.param, to_string(use.feature));
  }
  if (request.constraint.kind != Constraint::Kind::none) {
    const std::string& param = request.constraint.param;
    return refuse(param.empty() ? "response_format" : param, "a prescribed form of the answer");
  }
  return {};
}

base::Result<void> check_prompts(const Request& request) {
  if (request.operation == Operation::chat) return {};
  if (request.prompts.size() != 1) return refuse("prompt", "several prompts");
  if (!std::holds_alternative<std::string>(request.prompts.front())) {
    return refuse("prompt", "a prompt given as token ids");
  }
  if (request.echo) return refuse("echo", "a repetition of the prompt");
  if (!request.suffix.empty()) return refuse("suffix", "a text behind the answer");
  return {};
}

bool is_blank(const std::string& text) {
  return text.find_first_not_of(" \t\r\n\f\v") == std::string::npos;
}

base::Result<void> check_sampling(const Request& request) {
  if (request.choices != 1) return refuse("n", "more than one answer");
  if (request.logprobs) return refuse("logprobs", "probabilities of tokens");
  if (!request.sampling.logit_bias.empty()) return refuse("logit_bias", "a bias of tokens");
  if (request.sampling.ignore_eos) return refuse("ignore_eos", "an answer without an end");
  if (std::ranges::any_of(request.stop, is_blank)) {
    return refuse("stop", "a text to stop at that is only white space");
  }
  return {};
}

base::Result<void> check_messages(const Request& request, bool continues) {
  for (std::size_t i = 0; i < request.messages.size(); ++i) {
    const Message& message = request.messages[i];
    const std::string path = "messages[" + std::to_string(i) + "]";
    const bool shows_images = message.role == Role::user || message.role == Role::tool;
    for (const ContentPart& part : message.content) {
      const auto* image = std::get_if<ImagePart>(&part);
      if (image == nullptr) continue;
      if (!shows_images) return refuse(path, "an image that is not the user's");
      if (!read_image_source(image->url)) {
        return refuse(path,
                      "an image that is neither at an https:// address nor JPEG, PNG, GIF or "
                      "WebP as a base64 data: URL");
      }
    }
  }
  const bool prefills =
      !request.messages.empty() && request.messages.back().role == Role::assistant;
  if (prefills && !continues) {
    return refuse("messages[" + std::to_string(request.messages.size() - 1) + "]",
                  "an answer that goes on with a message of the assistant");
  }
  return {};
}

}  // namespace

base::Result<void> check_anthropic_support(const Request& request, bool continues) {
  if (request.form == ClientForm::messages && !request.raw_body.empty()) return {};
  if (auto checked = check_features(request); checked.has_error()) return checked;
  if (auto checked = check_prompts(request); checked.has_error()) return checked;
  if (auto checked = check_sampling(request); checked.has_error()) return checked;
  return check_messages(request, continues);
}

}  // namespace deepseek::protocol
