#include "gateway/relay/relay_form.hpp"

#include "gateway/relay/relay_backend.hpp"

#include <gtest/gtest.h>

namespace deepseek::gateway {
namespace {

using protocol::ClientForm;
using protocol::Continuation;

RelayBackendOptions options_of(RelayDialect dialect) {
  RelayBackendOptions options;
  options.name = "claude";
  options.base_url.path = "/v1";
  options.api_key = "sk-1";
  options.dialect = dialect;
  options.continuation = Continuation::assistant_last;
  return options;
}

std::string field(const RelayForm& form, const RelayBackendOptions& options,
                  std::string_view name) {
  io::HttpFields fields;
  form.add_fields(fields, options);
  return std::string(fields.find(name).value_or("-"));
}

TEST(RelayForm, says_who_we_are) {
  RelayBackendOptions options = options_of(RelayDialect::anthropic);
  EXPECT_EQ(field(anthropic_form(), options, "x-api-key"), "sk-1");
  EXPECT_EQ(field(anthropic_form(), options, "authorization"), "-");
  EXPECT_EQ(field(anthropic_form(), options, "anthropic-version"), "2023-06-01");
  EXPECT_EQ(field(anthropic_form(), options, "anthropic-beta"), "-");
  options.key_as_bearer = true;
  options.api_version = "2099-01-01";
  options.beta_features = {"a", "b"};
  EXPECT_EQ(field(anthropic_form(), options, "x-api-key"), "-");
  EXPECT_EQ(field(anthropic_form(), options, "authorization"), "Bearer sk-1");
  EXPECT_EQ(field(anthropic_form(), options, "anthropic-version"), "2099-01-01");
  EXPECT_EQ(field(anthropic_form(), options, "anthropic-beta"), "a,b");
  options = options_of(RelayDialect::azure);
  options.api_version = "2024-10-21";
  EXPECT_EQ(field(openai_form(), options, "api-key"), "sk-1");
  EXPECT_EQ(openai_form().target("/chat/completions", "a b", options),
            "/v1/openai/deployments/a%20b/chat/completions?api-version=2024-10-21");
}

TEST(RelayForm, knows_what_refusals_mean) {
  const RelayForm& form = anthropic_form();
  EXPECT_EQ(form.failure_of(401, "", false), FailureKind::status_4xx_ours);
  EXPECT_EQ(form.failure_of(403, "", false), FailureKind::status_4xx_there);
  EXPECT_EQ(form.failure_of(404, "", false), FailureKind::status_4xx_there);
  EXPECT_EQ(form.failure_of(413, "", false), FailureKind::status_400_client);
  EXPECT_EQ(form.failure_of(429, "", false), FailureKind::status_429);
  EXPECT_EQ(form.failure_of(500, "", false), FailureKind::status_500);
  EXPECT_EQ(form.failure_of(529, "", false), FailureKind::status_502_503_504);
  EXPECT_EQ(form.failure_of(400, "", false), FailureKind::status_400_client);
  EXPECT_EQ(form.failure_of(400, "", true), FailureKind::status_4xx_there);
  EXPECT_EQ(form.failure_of(400, "Your credit balance is too low", false),
            FailureKind::status_4xx_ours);
  EXPECT_EQ(openai_form().failure_of(400, "", true), FailureKind::status_400_client);
  EXPECT_EQ(openai_form().failure_of(429, "insufficient_quota", false),
            FailureKind::status_4xx_ours);
}

TEST(RelayForm, knows_what_errors_inside_an_answer_mean) {
  const auto kind = [](std::string_view type) {
    return anthropic_form().failure_of_error("{\"type\":\"" + std::string(type) + "\"}");
  };
  EXPECT_EQ(kind("overloaded_error"), FailureKind::status_502_503_504);
  EXPECT_EQ(kind("rate_limit_error"), FailureKind::status_429);
  EXPECT_EQ(kind("timeout_error"), FailureKind::status_408);
  EXPECT_EQ(kind("authentication_error"), FailureKind::status_4xx_ours);
  EXPECT_EQ(kind("billing_error"), FailureKind::status_4xx_ours);
  EXPECT_EQ(kind("permission_error"), FailureKind::status_4xx_there);
  EXPECT_EQ(kind("not_found_error"), FailureKind::status_4xx_there);
  EXPECT_EQ(kind("invalid_request_error"), FailureKind::status_400_client);
  EXPECT_EQ(kind("request_too_large"), FailureKind::status_400_client);
  EXPECT_EQ(kind("api_error"), FailureKind::stream_error);
  EXPECT_EQ(anthropic_form().failure_of_error("\"x\""), FailureKind::stream_error);
  EXPECT_EQ(openai_form().failure_of_error("{}"), FailureKind::stream_error);
}

TEST(RelayForm, bytes_pass_only_to_clients_of_the_same_form) {
  for (const ClientForm form : {ClientForm::chat, ClientForm::completions}) {
    EXPECT_TRUE(openai_form().is_of(form));
    EXPECT_FALSE(anthropic_form().is_of(form));
  }
  EXPECT_TRUE(anthropic_form().is_of(ClientForm::messages));
  EXPECT_FALSE(openai_form().is_of(ClientForm::messages));
  EXPECT_FALSE(anthropic_form().is_of(ClientForm::other));
}

protocol::Request asking() {
  protocol::Request request;
  request.model = "m";
  protocol::Message& message = request.messages.emplace_back();
  message.content.emplace_back(protocol::TextPart{"hi"});
  return request;
}

TEST(RelayForm, refuses_before_anything_is_sent) {
  protocol::Request request = asking();
  request.choices = 2;
  const Attempt attempt{request, {}};
  const auto body = anthropic_form().body(attempt, "m", options_of(RelayDialect::anthropic));
  ASSERT_FALSE(body);
  EXPECT_EQ(body.error().code, base::ErrorCode::not_implemented);
  EXPECT_EQ(body.error().param, "n");
  EXPECT_TRUE(openai_form().body(attempt, "m", options_of(RelayDialect::openai)));
}

TEST(RelayForm, does_not_go_on_with_what_it_cannot) {
  const protocol::Request request = asking();
  protocol::Spoken spoken;
  spoken.reasoning = "hm";
  spoken.tokens = 1;
  Attempt attempt{request, {}};
  attempt.spoken = &spoken;
  const RelayBackendOptions options = options_of(RelayDialect::anthropic);
  EXPECT_FALSE(anthropic_form().body(attempt, "m", options));
  spoken.content = "a ";
  auto body = anthropic_form().body(attempt, "m", options);
  ASSERT_TRUE(body);
  EXPECT_FALSE(body->own);
  EXPECT_TRUE(body->said.pending());
  RelayBackendOptions mute = options;
  mute.continuation = Continuation::none;
  EXPECT_FALSE(anthropic_form().body(attempt, "m", mute));
}

}  // namespace
}  // namespace deepseek::gateway
