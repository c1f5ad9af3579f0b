// The answer to one embedding request, whatever it takes: attempts at several backends, one after
// the other, seen by the client as one call.
//
// An EmbeddingCall of its own; lives on the thread of the coroutine that waits for it.
#pragma once

#include "gateway/attempt_search.hpp"
#include "gateway/backend.hpp"
#include "gateway/run_context.hpp"

#include <memory>
#include <optional>

namespace deepseek::gateway {

class EmbeddingRun final : public EmbeddingCall {
 public:
  // The request and what `context` refers to outlive the run.
  EmbeddingRun(const protocol::EmbeddingRequest& request, RunContext context,
               boost::asio::any_io_executor executor);
  ~EmbeddingRun() override;

  boost::asio::awaitable<base::Result<EmbeddingResult>> result() override;
  void cancel() override;
  AttemptFailure failure() const override { return failure_; }

 private:
  struct Leg {
    std::size_t index = 0;
    std::uint32_t number = 0;
    TargetUse use;
    std::unique_ptr<EmbeddingCall> call;
  };

  void begin(RouteGroup::Selected selected);
  void failed(const base::Error& error);
  void report(AttemptOutcome outcome, std::int64_t prompt_tokens);

  const protocol::EmbeddingRequest& request_;
  RunContext context_;
  const boost::asio::any_io_executor executor_;
  AttemptSearch search_;
  std::optional<Leg> leg_;  // that runs
  AttemptFailure failure_{FailureKind::client_cancelled};
};

}  // namespace deepseek::gateway
