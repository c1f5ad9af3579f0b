#include "frontend/token_count.hpp"

#include "frontend/call_turn.hpp"
#include "protocol/decode.hpp"
#include "protocol/usage_check.hpp"

#include <utility>

namespace deepseek::frontend {

boost::asio::awaitable<base::Result<std::int64_t>> count_tokens(
    std::shared_ptr<const Snapshot> snapshot, const io::HttpRequest& request,
    io::HttpResponder& responder, RequestRecord& record) {
  CallTurn turn(std::move(snapshot), request, responder, record);
  auto decoded = turn.decode(protocol::decode_count_tokens);
  if (decoded.has_error()) co_return decoded.error();
  const std::int64_t estimate = protocol::estimate_prompt_tokens(*decoded);
  protocol::TokenizeRequest asked;
  asked.model = decoded->model;
  asked.id = record.id;
  asked.counts = true;
  decoded->raw_body = request.body;
  asked.input = std::move(*decoded);
  auto result = co_await turn.run(asked);
  if (result.has_value()) {
    co_return result->count.value_or(static_cast<std::int64_t>(result->tokens.size()));
  }
  // Other servers do not tell.
  if (result.error().code == base::ErrorCode::not_implemented) co_return estimate;
  co_return result.error();
}

}  // namespace deepseek::frontend
