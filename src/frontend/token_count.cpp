#include "frontend/token_count.hpp"

#include "frontend/caller.hpp"
#include "protocol/decode.hpp"
#include "protocol/usage_check.hpp"

#include <utility>

namespace deepseek::frontend {

boost::asio::awaitable<base::Result<std::int64_t>> count_tokens(
    std::shared_ptr<const Snapshot> snapshot, const io::HttpRequest& request,
    io::HttpResponder& responder, RequestRecord& record) {
  const auto tenant = authenticate(*snapshot->keys, request.fields);
  if (tenant.has_error()) co_return tenant.error();
  auto decoded = protocol::decode_count_tokens(
      request.body,
      {snapshot->limits, request.fields.find("deepseek-model").value_or(""), record.id});
  if (decoded.has_error()) co_return decoded.error();
  auto model = snapshot->gateway->resolve(decoded->model);
  if (model.has_error()) co_return model.error();
  decoded->model = *model;
  const std::int64_t estimate = protocol::estimate_prompt_tokens(*decoded);
  protocol::TokenizeRequest asked;
  asked.model = *model;
  asked.id = record.id;
  asked.input = std::move(*decoded);
  record.model = std::move(*model);
  record.tenant = (*tenant)->name;
  const gateway::Caller caller = make_caller(**tenant, request.fields, record.began);
  auto call = snapshot->gateway->tokenize(asked, caller, responder.executor());
  if (call.has_error()) co_return call.error();
  responder.on_client_gone([running = call->get()] { running->cancel(); });
  auto result = co_await (*call)->result();
  responder.on_client_gone({});
  if (result.has_value()) co_return static_cast<std::int64_t>(result->tokens.size());
  // Other servers do not tell.
  if (result.error().code == base::ErrorCode::not_implemented) co_return estimate;
  co_return result.error();
}

}  // namespace deepseek::frontend
