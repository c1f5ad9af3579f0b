// Anthropic's form: the Messages API.
#include "gateway/relay/relay_backend.hpp"
#include "gateway/relay/relay_form.hpp"
#include "protocol/anthropic_body.hpp"
#include "protocol/anthropic_support.hpp"
#include "protocol/upstream_error.hpp"

#include <utility>

namespace deepseek::gateway {
namespace {

constexpr std::string_view version_usual = "2023-06-01";

class AnthropicForm final : public RelayForm {
 public:
  protocol::UpstreamWire wire() const override { return protocol::UpstreamWire::anthropic; }
  bool is_of(protocol::ClientForm form) const override {
    return form == protocol::ClientForm::messages;
  }
  std::string_view path(const protocol::Request&) const override { return "/messages"; }

  std::string target(std::string_view path, std::string_view,
                     const RelayBackendOptions& options) const override {
    return options.base_url.path + std::string(path);
  }

  void add_fields(io::HttpFields& fields, const RelayBackendOptions& options) const override {
    fields.add("anthropic-version",
               options.api_version.empty() ? std::string(version_usual) : options.api_version);
    std::string features;
    for (const std::string& feature : options.beta_features) {
      features += features.empty() ? feature : "," + feature;
    }
    if (!features.empty()) fields.add("anthropic-beta", std::move(features));
    if (options.api_key.empty()) return;
    if (options.key_as_bearer) {
      fields.add("Authorization", "Bearer " + options.api_key);
    } else {
      fields.add("x-api-key", options.api_key);
    }
  }

  base::Result<RelayBody> body(const Attempt& attempt, const std::string& model,
                               const RelayBackendOptions& options) const override {
    const protocol::Request& request = attempt.request;
    const bool continues = options.continuation != protocol::Continuation::none;
    auto supported = protocol::check_anthropic_support(request, continues);
    if (supported.has_error()) return supported.error();
    const protocol::AnthropicTarget target{model, options.allow_fields, options.answer_tokens};
    protocol::AnthropicBody made;
    if (attempt.spoken == nullptr) {
      made = protocol::anthropic_body(request, target);
    } else {
      const protocol::AnswerSoFar answer = so_far(*attempt.spoken);
      auto why = check_continuation(request, answer, options.continuation);
      if (why.has_error()) return why.error();
      made = protocol::anthropic_body(request, target, &answer);
    }
    RelayBody out;
    out.complete = made.complete;
    out.own = !made.complete && made.text.empty();
    out.text = std::move(made.text);
    out.said = std::move(made.said);
    return out;
  }

  std::string_view stream_end() const override {
    return "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";
  }

  FailureKind failure_of(int status, std::string_view body, bool continues) const override {
    const FailureKind kind = failure_of_status(status);
    if (kind != FailureKind::status_400_client) return kind;
    // An empty account is told as a mistake in the request.
    if (body.find("credit balance is too low") != std::string_view::npos) {
      return FailureKind::status_4xx_ours;
    }
    // Not every model goes on with a message of the assistant, and the client did not ask for that.
    return continues ? FailureKind::status_4xx_there : kind;
  }

  FailureKind failure_of_error(std::string_view error) const override {
    const std::string type = protocol::upstream_error_type(error);
    if (type == "overloaded_error") return FailureKind::status_502_503_504;
    if (type == "rate_limit_error") return FailureKind::status_429;
    if (type == "timeout_error") return FailureKind::status_408;
    if (type == "authentication_error" || type == "billing_error") {
      return FailureKind::status_4xx_ours;
    }
    if (type == "permission_error" || type == "not_found_error") {
      return FailureKind::status_4xx_there;
    }
    if (type == "invalid_request_error" || type == "request_too_large") {
      return FailureKind::status_400_client;
    }
    return FailureKind::stream_error;
  }
};

}  // namespace

const RelayForm& anthropic_form() {
  static const AnthropicForm form;
  return form;
}

}  // namespace deepseek::gateway
