// An embedding call to another deepseek-server.
//
// Lives on its coroutine's thread.
#pragma once

#include "gateway/grpc/grpc_backend.hpp"

#include <memory>

namespace deepseek::gateway {

class GrpcEmbedding final : public EmbeddingCall {
 public:
  GrpcEmbedding(GrpcBackend& backend, const EmbeddingAttempt& attempt)
      : backend_(backend), attempt_(attempt) {}

  boost::asio::awaitable<base::Result<EmbeddingResult>> result() override;
  void cancel() override;
  AttemptFailure failure() const override { return failure_; }

 private:
  base::Error fail(FailureKind kind, base::Error error);

  GrpcBackend& backend_;
  const EmbeddingAttempt attempt_;
  std::unique_ptr<io::GrpcClientCall> call_;
  AttemptFailure failure_{};
  bool cancelled_ = false;
};

}  // namespace deepseek::gateway
