// The answer to one request that is answered at once (embedding, ranking, tokens), whatever it
// takes: attempts at several backends, one after the other, seen by the client as one call.
//
// A Call of its own; lives on the thread of the coroutine that waits for it.
#pragma once

#include "gateway/attempt_search.hpp"
#include "gateway/backend.hpp"
#include "gateway/run_context.hpp"

#include <memory>
#include <optional>
#include <utility>

namespace deepseek::gateway {

// What such a call reads of a prompt, and pays for.
inline std::int64_t prompt_tokens_of(const EmbeddingResult& result) {
  return result.prompt_tokens;
}
inline std::int64_t prompt_tokens_of(const TokenizeResult&) {
  return 0;  // nothing is computed
}

template <class Request, class Answer>
class CallRun final : public Call<Answer> {
 public:
  using Begin = std::unique_ptr<Call<Answer>> (Backend::*)(const CallAttempt<Request>&);

  // The request and what `context` refers to outlive the run.
  CallRun(const Request& request, Begin begin, RunContext context,
          boost::asio::any_io_executor executor)
      : request_(request),
        begin_(begin),
        context_(std::move(context)),
        executor_(std::move(executor)),
        search_(context_, request.model, executor_) {
    context_.group.count_request(context_.arrived);
  }
  ~CallRun() override {
    if (leg_) report(AttemptOutcome::cancelled, 0);
  }

  boost::asio::awaitable<base::Result<Answer>> result() override {
    while (true) {
      auto selected = co_await search_.next(0);
      if (selected.has_error()) co_return selected.error();
      start(std::move(*selected));
      auto result = co_await leg_->call->result();
      if (result.has_value()) {
        report(AttemptOutcome::answered, prompt_tokens_of(*result));
        leg_.reset();
        co_return result;
      }
      failed(result.error());
    }
  }
  void cancel() override {
    search_.cancel();
    if (leg_) leg_->call->cancel();
  }
  AttemptFailure failure() const override { return failure_; }

 private:
  struct Leg {
    std::size_t index = 0;
    std::uint32_t number = 0;
    TargetUse use;
    std::unique_ptr<Call<Answer>> call;
  };

  void start(RouteGroup::Selected selected) {
    const base::TimePoint end_by = search_.end_of_whole(selected.index, 0, search_.now());
    Target& target = context_.group.target(selected.index);
    leg_.emplace(Leg{selected.index, search_.plan().attempts() + 1, std::move(selected.use),
                     (target.backend().*begin_)({request_, executor_, end_by})});
    search_.plan().started(selected.index);
  }

  void failed(const base::Error& error) {
    failure_ = counted_failure(leg_->call->failure(), *leg_->use.target(), leg_->number,
                               search_.cancelled());
    const bool cancelled = failure_.kind == FailureKind::client_cancelled;
    report(cancelled ? AttemptOutcome::cancelled : AttemptOutcome::failed, 0);
    AttemptPlan::Failed failed;
    failed.candidate = leg_->index;
    failed.failure = failure_;
    failed.error = error;
    leg_.reset();
    search_.plan().failed(failed, search_.now());
  }

  // An attempt that failed has given nothing, and costs nothing.
  void report(AttemptOutcome outcome, std::int64_t prompt_tokens) {
    AttemptRecord record;
    record.request_id = request_.id;
    record.tenant = context_.tenant;
    record.model = request_.model;
    record.backend = leg_->use.target()->name();
    record.number = leg_->number;
    record.outcome = outcome;
    record.usage.prompt_tokens = prompt_tokens;
    record.began = leg_->use.began();
    record.ended = search_.now();
    if (outcome == AttemptOutcome::answered) {
      leg_->use.succeeded(record.ended, prompt_tokens);
    } else if (outcome == AttemptOutcome::failed) {
      record.failure = failure_.kind;
      record.status = failure_.status;
      leg_->use.failed(record.ended, failure_);
    } else {
      leg_->use.cancelled(record.ended);
    }
    if (context_.observer != nullptr) context_.observer->on_attempt(record);
  }

  const Request& request_;
  const Begin begin_;
  RunContext context_;
  const boost::asio::any_io_executor executor_;
  AttemptSearch search_;
  std::optional<Leg> leg_;  // that runs
  AttemptFailure failure_{FailureKind::client_cancelled};
};

}  // namespace deepseek::gateway
