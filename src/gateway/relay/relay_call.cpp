#include "gateway/relay/relay_call.hpp"

#include "protocol/upstream_embeddings.hpp"
#include "protocol/upstream_rerank.hpp"
#include "protocol/usage_check.hpp"

#include <utility>

namespace deepseek::gateway {

namespace asio = boost::asio;
using base::Result;

RelayCall::RelayCall(RelayBackend& backend, const EmbeddingAttempt& attempt)
    : exchange_(backend, {attempt.end_by, attempt.end_by}),
      request_(attempt.request),
      model_(backend.options().name_there(request_.model)) {}

asio::awaitable<Result<EmbeddingResult>> RelayCall::result() {
  const std::string sent = request_.ranks ? protocol::upstream_rerank_body(request_, model_)
                                          : protocol::embedding_body(request_, model_);
  const std::string_view path = request_.ranks ? "/rerank" : "/embeddings";
  auto begun = co_await exchange_.begin(path, model_, request_.id, sent);
  if (begun.has_error()) co_return begun.error();
  auto body = co_await exchange_.read_whole();
  if (body.has_error()) co_return body.error();
  auto result = read(*body);
  if (result.has_error()) {
    co_return exchange_.refuse(FailureKind::bad_answer, result.error().message);
  }
  co_return result;
}

Result<EmbeddingResult> RelayCall::read(const std::string& body) const {
  EmbeddingResult result;
  if (request_.ranks) {
    auto scores = protocol::parse_rerank_answer(body, request_.inputs.size() - 1);
    if (scores.has_error()) return scores.error();
    result.scores = std::move(scores->scores);
    result.prompt_tokens = scores->prompt_tokens;
  } else {
    auto vectors = protocol::parse_embedding_answer(body, request_.inputs.size());
    if (vectors.has_error()) return vectors.error();
    result.vectors = std::move(vectors->vectors);
    result.prompt_tokens = vectors->prompt_tokens;
  }
  result.prompt_tokens = protocol::check_embedding_tokens(result.prompt_tokens, request_);
  return result;
}

}  // namespace deepseek::gateway
