// The answer of another deepseek-server as events.
//
// An EventStream; lives on its coroutine's thread. It holds one piece of the answer at a time: a
// slow client slows the other server.
#pragma once

#include "gateway/grpc/grpc_backend.hpp"
#include "gateway/grpc/grpc_failure.hpp"
#include "protocol/rpc/rpc_client.hpp"

#include <memory>
#include <string>
#include <vector>

namespace deepseek::gateway {

class GrpcStream final : public EventStream {
 public:
  GrpcStream(GrpcBackend& backend, const Attempt& attempt);

  boost::asio::awaitable<base::Result<std::vector<protocol::Event>>> read() override;
  void cancel() override;
  AttemptFailure failure() const override { return failure_; }

 private:
  base::Result<void> begin();
  boost::asio::awaitable<void> take_end();
  base::Error fail(FailureKind kind, base::Error error);
  base::Error word_end();
  base::TimePoint next_by() const;

  GrpcBackend& backend_;
  const Attempt attempt_;
  protocol::RpcAnswerReader reader_;
  std::unique_ptr<io::GrpcClientCall> call_;
  base::TimePoint last_piece_{};
  AttemptFailure failure_{};
  bool answering_ = false;
  bool cancelled_ = false;
};

}  // namespace deepseek::gateway
