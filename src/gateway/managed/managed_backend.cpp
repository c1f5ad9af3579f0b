#include "gateway/managed/managed_backend.hpp"

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <utility>

namespace deepseek::gateway {

namespace asio = boost::asio;
using base::Result;

namespace {

// A request that waits for its program; on its coroutine's thread.
class ReadyWait {
 public:
  ReadyWait(ManagedProcess& process, asio::any_io_executor executor, base::TimePoint until)
      : process_(process),
        alarm_(std::make_shared<asio::steady_timer>(std::move(executor))),
        until_(std::min(until, base::now() + ManagedBackend::ready_wait)) {}

  // Error: unavailable, when it is not ready in time; cancelled.
  asio::awaitable<Result<void>> wait() {
    while (!cancelled_ && !process_.ready()) {
      process_.call_when_changed(alarm_);
      const BackendState state = process_.status().state;
      const bool hopeless = state == BackendState::failed || state == BackendState::stopped;
      if (hopeless || base::now() >= until_) co_return process_.unavailable();
      // A change since the line above is told by this thread, so after the wait has begun.
      if (process_.ready()) break;
      alarm_->expires_at(until_);
      [[maybe_unused]] auto waited =
          co_await alarm_->async_wait(asio::as_tuple(asio::use_awaitable));
    }
    if (cancelled_) co_return request_cancelled();
    co_return Result<void>{};
  }

  void cancel() {
    cancelled_ = true;
    alarm_->cancel();
  }
  // Of a wait that was in vain. A program that starts is no failure of it; another backend may be
  // asked.
  AttemptFailure failure() const {
    AttemptFailure failure;
    failure.kind = cancelled_ ? FailureKind::client_cancelled : FailureKind::status_4xx_there;
    if (!cancelled_) failure.retry_after = process_.unavailable().retry_after;
    return failure;
  }

 private:
  ManagedProcess& process_;
  std::shared_ptr<asio::steady_timer> alarm_;
  base::TimePoint until_;
  bool cancelled_ = false;
};

// What both kinds of requests do: wait, then begin at the relay. `Interface` is what the caller
// holds, `What` its attempt.
template <class Interface, class What>
class AfterReady : public Interface {
 public:
  AfterReady(ManagedProcess& process, Backend& relay, const What& attempt, base::TimePoint until)
      : relay_(relay), attempt_(attempt), wait_(process, attempt.executor, until) {}

  void cancel() override {
    wait_.cancel();
    if (inner_) inner_->cancel();
  }
  AttemptFailure failure() const override { return inner_ ? inner_->failure() : wait_.failure(); }

 protected:
  Backend& relay_;
  const What attempt_;
  ReadyWait wait_;
  std::unique_ptr<Interface> inner_;  // once it is ready
};

class ManagedStream final : public AfterReady<EventStream, Attempt> {
 public:
  ManagedStream(ManagedProcess& process, Backend& relay, const Attempt& attempt)
      : AfterReady(process, relay, attempt, std::min(attempt.first_token_by, attempt.end_by)) {}

  asio::awaitable<Result<std::vector<protocol::Event>>> read() override {
    if (!inner_) {
      auto ready = co_await wait_.wait();
      if (ready.has_error()) co_return ready.error();
      inner_ = relay_.start(attempt_);
    }
    auto events = co_await inner_->read();
    co_return events;
  }
};

class ManagedCall final : public AfterReady<EmbeddingCall, EmbeddingAttempt> {
 public:
  ManagedCall(ManagedProcess& process, Backend& relay, const EmbeddingAttempt& attempt)
      : AfterReady(process, relay, attempt, attempt.end_by) {}

  asio::awaitable<Result<EmbeddingResult>> result() override {
    auto ready = co_await wait_.wait();
    if (ready.has_error()) co_return ready.error();
    inner_ = relay_.embed(attempt_);
    auto result = co_await inner_->result();
    co_return result;
  }
};

}  // namespace

std::unique_ptr<EventStream> ManagedBackend::start(const Attempt& attempt) {
  // What is ready needs no wait around it.
  if (process_.ready()) return relay_.start(attempt);
  return std::make_unique<ManagedStream>(process_, relay_, attempt);
}

std::unique_ptr<EmbeddingCall> ManagedBackend::embed(const EmbeddingAttempt& attempt) {
  if (process_.ready()) return relay_.embed(attempt);
  return std::make_unique<ManagedCall>(process_, relay_, attempt);
}

}  // namespace deepseek::gateway
