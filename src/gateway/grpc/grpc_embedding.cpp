#include "gateway/grpc/grpc_embedding.hpp"

#include "gateway/grpc/grpc_failure.hpp"
#include "protocol/rpc/rpc_client.hpp"

#include <utility>

namespace deepseek::gateway {

namespace asio = boost::asio;
using base::ErrorCode;
using base::Result;

base::Error GrpcEmbedding::fail(FailureKind kind, base::Error error) {
  failure_.kind = kind;
  error.message = backend_.options().name + ": " + error.message;
  return error;
}

asio::awaitable<Result<EmbeddingResult>> GrpcEmbedding::result() {
  if (cancelled_) co_return fail(FailureKind::client_cancelled, request_cancelled());
  const protocol::EmbeddingRequest& request = attempt_.request;
  call_ = backend_.call(
      attempt_.executor, protocol::rpc_embed_path, request.id,
      protocol::rpc_embed_bytes(request, backend_.options().name_there(request.model)),
      attempt_.end_by);
  auto message = co_await call_->read(attempt_.end_by);
  if (message.has_error()) {
    const bool left = cancelled_ || message.error().code == ErrorCode::cancelled;
    co_return fail(left ? FailureKind::client_cancelled : FailureKind::timeout_first_token,
                   message.error());
  }
  if (!message->has_value()) {
    GrpcFailure told = describe_grpc_end(call_->end(), backend_.options().name, false);
    failure_ = told.failure;
    co_return std::move(told.error);
  }
  auto embeddings = protocol::read_rpc_embeddings(**message, request.inputs.size());
  if (embeddings.has_error()) co_return fail(FailureKind::bad_answer, embeddings.error());
  [[maybe_unused]] auto ended = co_await call_->read(attempt_.end_by);
  EmbeddingResult result;
  result.vectors = std::move(embeddings->vectors);
  result.prompt_tokens = embeddings->prompt_tokens;
  co_return result;
}

void GrpcEmbedding::cancel() {
  cancelled_ = true;
  if (call_) call_->cancel();
}

}  // namespace deepseek::gateway
