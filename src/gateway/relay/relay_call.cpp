#include "gateway/relay/relay_call.hpp"

#include "protocol/upstream_embeddings.hpp"

#include <utility>

namespace deepseek::gateway {

namespace asio = boost::asio;
using base::Result;

namespace {

constexpr base::Milliseconds call_time_max{600'000};

}  // namespace

RelayCall::RelayCall(OpenAiBackend& backend, const protocol::EmbeddingRequest& request)
    : exchange_(backend, {base::now() + call_time_max, base::now() + call_time_max}),
      model_(backend.options().name_there(request.model)),
      request_id_(request.id),
      body_(protocol::embedding_body(request, model_)),
      inputs_(request.inputs.size()) {}

asio::awaitable<Result<EmbeddingResult>> RelayCall::result() {
  auto begun = co_await exchange_.begin("/embeddings", model_, request_id_, body_);
  if (begun.has_error()) co_return begun.error();
  auto body = co_await exchange_.read_whole();
  if (body.has_error()) co_return body.error();
  auto vectors = protocol::parse_embedding_answer(*body, inputs_);
  if (vectors.has_error()) {
    co_return exchange_.refuse(FailureKind::bad_answer, vectors.error().message);
  }
  co_return EmbeddingResult{std::move(vectors->vectors), vectors->prompt_tokens};
}

}  // namespace deepseek::gateway
