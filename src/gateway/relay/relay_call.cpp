#include "gateway/relay/relay_call.hpp"

#include "protocol/upstream_embeddings.hpp"
#include "protocol/usage_check.hpp"

#include <utility>

namespace deepseek::gateway {

namespace asio = boost::asio;
using base::Result;

RelayCall::RelayCall(OpenAiBackend& backend, const EmbeddingAttempt& attempt)
    : exchange_(backend, {attempt.end_by, attempt.end_by}),
      request_(attempt.request),
      model_(backend.options().name_there(request_.model)) {}

asio::awaitable<Result<EmbeddingResult>> RelayCall::result() {
  const std::string sent = protocol::embedding_body(request_, model_);
  auto begun = co_await exchange_.begin("/embeddings", model_, request_.id, sent);
  if (begun.has_error()) co_return begun.error();
  auto body = co_await exchange_.read_whole();
  if (body.has_error()) co_return body.error();
  auto vectors = protocol::parse_embedding_answer(*body, request_.inputs.size());
  if (vectors.has_error()) {
    co_return exchange_.refuse(FailureKind::bad_answer, vectors.error().message);
  }
  const std::int64_t tokens = protocol::check_embedding_tokens(vectors->prompt_tokens, request_);
  co_return EmbeddingResult{std::move(vectors->vectors), tokens};
}

}  // namespace deepseek::gateway
