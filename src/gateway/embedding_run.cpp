#include "gateway/embedding_run.hpp"

#include <utility>

namespace deepseek::gateway {

namespace asio = boost::asio;
using base::TimePoint;

EmbeddingRun::EmbeddingRun(const protocol::EmbeddingRequest& request, RunContext context,
                           asio::any_io_executor executor)
    : request_(request),
      context_(std::move(context)),
      executor_(std::move(executor)),
      search_(context_, request.model, executor_) {
  context_.group.count_request(context_.arrived);
}

EmbeddingRun::~EmbeddingRun() {
  if (leg_) report(AttemptOutcome::cancelled, 0);
}

void EmbeddingRun::cancel() {
  search_.cancel();
  if (leg_) leg_->call->cancel();
}

asio::awaitable<base::Result<EmbeddingResult>> EmbeddingRun::result() {
  while (true) {
    auto selected = co_await search_.next(0);
    if (selected.has_error()) co_return selected.error();
    begin(std::move(*selected));
    auto result = co_await leg_->call->result();
    if (result.has_value()) {
      report(AttemptOutcome::answered, result->prompt_tokens);
      leg_.reset();
      co_return result;
    }
    failed(result.error());
  }
}

void EmbeddingRun::begin(RouteGroup::Selected selected) {
  const TimePoint end_by = search_.end_of_whole(selected.index, 0, search_.now());
  Target& target = context_.group.target(selected.index);
  leg_.emplace(Leg{selected.index, search_.plan().attempts() + 1, std::move(selected.use),
                   target.backend().embed({request_, executor_, end_by})});
  search_.plan().started(selected.index);
}

void EmbeddingRun::failed(const base::Error& error) {
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
void EmbeddingRun::report(AttemptOutcome outcome, std::int64_t prompt_tokens) {
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

}  // namespace deepseek::gateway
