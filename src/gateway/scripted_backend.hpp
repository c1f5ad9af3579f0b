// For tests: a backend that plays a script, one act for each attempt. One thread, no sockets.
//
// Not linked into any program.
#pragma once

#include "gateway/attempt_record.hpp"
#include "gateway/backend.hpp"
#include "gateway/virtual_clock.hpp"
#include "io/event.hpp"

#include <boost/asio/awaitable.hpp>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace deepseek::gateway::testing {

inline protocol::Event delta(std::string text) {
  protocol::Delta delta;
  delta.content = std::move(text);
  return delta;
}
inline protocol::Event finished(std::int64_t prompt = 3, std::int64_t completion = 2) {
  protocol::Finished finished;
  finished.usage.prompt_tokens = prompt;
  finished.usage.completion_tokens = completion;
  return finished;
}

// Keeps what the accounts are told.
struct HeardAttempts final : AttemptObserver {
  struct One {
    std::string request_id;
    std::string tenant;
    std::string backend;
    std::uint32_t number;
    AttemptOutcome outcome;
    protocol::Usage usage;
  };
  void on_attempt(const AttemptRecord& record) override {
    all.push_back({std::string(record.request_id), std::string(record.tenant),
                   std::string(record.backend), record.number, record.outcome, record.usage});
  }
  std::vector<One> all;
};

// What one read gives: events, a failure, or a wait that only cancel() ends.
struct Fails {
  FailureKind kind = FailureKind::broken;
  std::string words = "broke";
  std::optional<base::Milliseconds> retry_after{};
};
struct Hangs {};
// Of the backend's clock; then the next act.
struct Waits {
  base::Milliseconds time;
};
using Act = std::variant<std::vector<protocol::Event>, Fails, Hangs, Waits>;

class ScriptedBackend final : public Backend {
 public:
  // The acts of the next attempt that nobody has scripted yet.
  void script(std::vector<Act> acts) { scripts_.push_back(std::move(acts)); }

  std::unique_ptr<EventStream> start(const Attempt& attempt) override;
  // Plays a script too: what its Finished counts as a prompt is the result's.
  std::unique_ptr<EmbeddingCall> embed(const EmbeddingAttempt& attempt) override;
  BackendStatus status() const override { return {BackendState::ready, "", 1, 0, 0}; }

  struct Seen {
    std::optional<protocol::Spoken> spoken;
    bool verbatim = false;
    bool cancelled = false;
  };
  std::vector<Seen> seen;
  VirtualClock* clock = nullptr;  // for Waits
  std::function<void()> on_hang;  // an attempt begins to wait

 private:
  class Stream;
  class Call;
  std::deque<std::vector<Act>> scripts_;
};

class ScriptedBackend::Stream final : public EventStream {
 public:
  Stream(ScriptedBackend& backend, const Attempt& attempt, std::vector<Act> acts)
      : backend_(backend),
        number_(backend.seen.size() - 1),
        wake_(std::make_shared<io::Event>(attempt.executor)) {
    for (Act& act : acts) acts_.push_back(std::move(act));
  }

  boost::asio::awaitable<base::Result<std::vector<protocol::Event>>> read() override {
    if (acts_.empty()) co_return std::vector<protocol::Event>{};
    Act act = std::move(acts_.front());
    acts_.pop_front();
    if (const auto* waits = std::get_if<Waits>(&act)) {
      const base::TimePoint until = backend_.clock->now() + waits->time;
      backend_.clock->at(until, [weak = std::weak_ptr(wake_)] {
        if (const auto wake = weak.lock()) wake->notify();
      });
      while (!cancelled_ && backend_.clock->now() < until) {
        co_await wake_->wait();
      }
      act = std::move(acts_.front());
      acts_.pop_front();
    }
    if (std::holds_alternative<Hangs>(act)) {
      if (backend_.on_hang) std::exchange(backend_.on_hang, {})();
      while (!cancelled_) {
        co_await wake_->wait();
      }
    }
    if (cancelled_) {
      failure_.kind = FailureKind::client_cancelled;
      co_return base::make_error(base::ErrorCode::cancelled, "cancelled");
    }
    if (auto* fails = std::get_if<Fails>(&act)) {
      failure_.kind = fails->kind;
      failure_.retry_after = fails->retry_after;
      co_return base::make_error(base::ErrorCode::upstream_failed, fails->words);
    }
    co_return std::move(std::get<std::vector<protocol::Event>>(act));
  }
  void cancel() override {
    cancelled_ = true;
    backend_.seen[number_].cancelled = true;
    wake_->notify();
  }
  AttemptFailure failure() const override { return failure_; }

 private:
  ScriptedBackend& backend_;
  std::size_t number_;
  std::shared_ptr<io::Event> wake_;
  std::deque<Act> acts_;
  AttemptFailure failure_{};
  bool cancelled_ = false;
};

class ScriptedBackend::Call final : public EmbeddingCall {
 public:
  Call(ScriptedBackend& backend, const EmbeddingAttempt& attempt)
      : stream_(backend.start({request_, attempt.executor})) {}

  boost::asio::awaitable<base::Result<EmbeddingResult>> result() override {
    auto events = co_await stream_->read();
    if (events.has_error()) co_return events.error();
    EmbeddingResult result{{{0.5F}}};
    for (const protocol::Event& event : *events) {
      const auto* end = std::get_if<protocol::Finished>(&event);
      if (end != nullptr) result.prompt_tokens += end->usage.prompt_tokens;
    }
    co_return result;
  }
  void cancel() override { stream_->cancel(); }
  AttemptFailure failure() const override { return stream_->failure(); }

 private:
  protocol::Request request_;
  std::unique_ptr<EventStream> stream_;
};

inline std::unique_ptr<EmbeddingCall> ScriptedBackend::embed(const EmbeddingAttempt& attempt) {
  return std::make_unique<Call>(*this, attempt);
}

inline std::unique_ptr<EventStream> ScriptedBackend::start(const Attempt& attempt) {
  Seen one;
  if (attempt.spoken != nullptr) one.spoken = *attempt.spoken;
  one.verbatim = attempt.verbatim;
  seen.push_back(std::move(one));
  std::vector<Act> acts{Fails{FailureKind::connect, "nobody listens"}};
  if (!scripts_.empty()) {
    acts = std::move(scripts_.front());
    scripts_.pop_front();
  }
  return std::make_unique<Stream>(*this, attempt, std::move(acts));
}

}  // namespace deepseek::gateway::testing
