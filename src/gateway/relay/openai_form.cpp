// OpenAI's form, also as Azure has it.
#include "gateway/relay/relay_backend.hpp"
#include "gateway/relay/relay_form.hpp"
#include "protocol/body_outline.hpp"
#include "protocol/continuation.hpp"
#include "protocol/openai_body.hpp"
#include "protocol/sse.hpp"

#include <utility>

namespace deepseek::gateway {
namespace {

// For a path segment or a query value: everything but unreserved characters is escaped.
std::string percent_encoded(std::string_view text) {
  constexpr std::string_view digits = "0123456789ABCDEF";
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '-' || c == '.' || c == '_' || c == '~';
    if (plain) {
      out += c;
    } else {
      out += '%';
      out += digits[byte >> 4];
      out += digits[byte & 15];
    }
  }
  return out;
}

class OpenAiForm final : public RelayForm {
 public:
  protocol::UpstreamWire wire() const override { return protocol::UpstreamWire::openai; }
  bool is_of(protocol::ClientForm form) const override { return protocol::speaks_openai(form); }

  std::string_view path(const protocol::Request& request) const override {
    return request.operation == protocol::Operation::chat ? "/chat/completions" : "/completions";
  }

  std::string target(std::string_view path, std::string_view model,
                     const RelayBackendOptions& options) const override {
    if (options.dialect != RelayDialect::azure) {
      return options.base_url.path + std::string(path);
    }
    return options.base_url.path + "/openai/deployments/" + percent_encoded(model) +
           std::string(path) + "?api-version=" + percent_encoded(options.api_version);
  }

  void add_fields(io::HttpFields& fields, const RelayBackendOptions& options) const override {
    if (options.api_key.empty()) return;
    if (options.dialect == RelayDialect::azure) {
      fields.add("api-key", options.api_key);
    } else {
      fields.add("Authorization", "Bearer " + options.api_key);
    }
  }

  base::Result<RelayBody> body(const Attempt& attempt, const std::string& model,
                               const RelayBackendOptions& options) const override {
    const protocol::Request& request = attempt.request;
    const bool own = is_of(request.form) && !request.raw_body.empty();
    std::string made = own ? std::string() : protocol::openai_body(request);
    const protocol::BodyOutline outline =
        protocol::outline_body(own ? std::string_view(request.raw_body) : std::string_view(made));
    protocol::UpstreamForm form;
    form.model = model;
    form.allow_fields = options.allow_fields;
    form.continuation = options.continuation;
    form.token_limit_field = options.token_limit_field;
    RelayBody out;
    if (attempt.spoken == nullptr) {
      protocol::UpstreamBody body = protocol::upstream_body(request, outline, form);
      out.hide_usage = body.hide_usage;
      out.own = own && body.text.empty();
      if (!out.own) out.text = body.text.empty() ? std::move(made) : std::move(body.text);
      return out;
    }
    const protocol::AnswerSoFar answer = so_far(*attempt.spoken);
    auto why = check_continuation(request, answer, options.continuation);
    if (why.has_error()) return why.error();
    protocol::ContinuationBody body = protocol::continuation_body(request, outline, form, answer);
    out.hide_usage = body.hide_usage;
    out.complete = body.complete;
    out.text = std::move(body.text);
    return out;
  }

  std::string_view stream_end() const override { return protocol::sse_done; }

  FailureKind failure_of(int status, std::string_view body, bool) const override {
    const FailureKind kind = failure_of_status(status);
    // A spent quota is no limit that passes.
    const bool spent = kind == FailureKind::status_429 &&
                       body.find("insufficient_quota") != std::string_view::npos;
    return spent ? FailureKind::status_4xx_ours : kind;
  }

  FailureKind failure_of_error(std::string_view) const override {
    return FailureKind::stream_error;
  }
};

}  // namespace

const RelayForm& openai_form() {
  static const OpenAiForm form;
  return form;
}

protocol::AnswerSoFar so_far(const protocol::Spoken& spoken) {
  protocol::AnswerSoFar answer;
  answer.content = spoken.content;
  answer.reasoning = spoken.reasoning;
  answer.tokens = spoken.tokens;
  return answer;
}

base::Result<void> check_continuation(const protocol::Request& request,
                                      const protocol::AnswerSoFar& so_far,
                                      protocol::Continuation kind) {
  const std::string_view why = protocol::why_not_continued(request, so_far, kind);
  if (why.empty()) return {};
  return base::make_error(base::ErrorCode::upstream_failed, "cannot continue: " + std::string(why));
}

}  // namespace deepseek::gateway
