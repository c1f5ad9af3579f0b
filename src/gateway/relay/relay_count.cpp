#include "gateway/relay/relay_count.hpp"

#include "protocol/anthropic_body.hpp"
#include "protocol/body_outline.hpp"
#include "protocol/json_scanner.hpp"

#include <utility>

namespace deepseek::gateway {

namespace asio = boost::asio;
using base::Result;

RelayCount::RelayCount(RelayBackend& backend, const TokenizeAttempt& attempt)
    : backend_(backend),
      exchange_(backend, {attempt.end_by, attempt.end_by}),
      request_(attempt.request),
      model_(backend.options().name_there(request_.model)) {}

asio::awaitable<Result<TokenizeResult>> RelayCount::result() {
  const protocol::AnthropicTarget target{model_, backend_.options().allow_fields};
  const std::string sent =
      protocol::anthropic_count_body(std::get<protocol::Request>(request_.input), target);
  auto begun = co_await exchange_.begin("/messages/count_tokens", model_, request_.id, sent);
  if (begun.has_error()) {
    const int status = exchange_.failure().status;
    if (status == 404 || status == 405 || status == 501) {
      co_return base::make_error(base::ErrorCode::not_implemented, begun.error().message, "model");
    }
    co_return begun.error();
  }
  auto body = co_await exchange_.read_whole();
  if (body.has_error()) co_return body.error();
  protocol::JsonScanner scanner(*body);
  scanner.value();
  const protocol::BodyOutline outline =
      protocol::outline_body(scanner.finished() ? std::string_view(*body) : std::string_view("{}"));
  const protocol::BodyField* const field = outline.find("input_tokens");
  const auto count = field == nullptr ? std::nullopt : protocol::json_integer(field->value);
  if (!count || *count < 0) {
    co_return exchange_.refuse(FailureKind::bad_answer, "the count of tokens is no number");
  }
  TokenizeResult result;
  result.count = *count;
  co_return result;
}

}  // namespace deepseek::gateway
