// For the tests of this room: a backend that plays a script, a client that records what it gets,
// and a harness that runs one request through the real Frontend.
//
// One thread, no sockets. Not linked into any program.
#pragma once

#include "frontend/frontend.hpp"
#include "gateway/gateway.hpp"
#include "io/event.hpp"
#include "io/http_handler.hpp"
#include "io/task_group.hpp"

#include <boost/asio/io_context.hpp>
#include <deque>
#include <functional>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace deepseek::frontend::testing {

using boost::asio::awaitable;

// Wait is left by resume() of the script, or by cancel().
struct Wait {};
// What a read throws: a mistake of ours.
struct Throw {};
using Step = std::variant<std::vector<protocol::Event>, base::Error, Wait, Throw>;

struct Script {
  explicit Script(boost::asio::any_io_executor executor) : wake(std::move(executor)) {}
  std::deque<Step> steps;  // after them: the end of the answer
  gateway::AttemptFailure failure{gateway::FailureKind::status_400_client};
  std::optional<base::Result<gateway::EmbeddingResult>> embedding{};
  std::optional<gateway::TokenizeResult> tokens{};  // none: it does not tell them
  std::function<void()> on_wait{};                  // the stream begins to wait
  io::Event wake;
  bool resumed = false;
  int cancelled = 0;
  std::vector<protocol::Request> requests{};
  std::vector<protocol::EmbeddingRequest> embedding_requests{};
  gateway::BackendStatus status{gateway::BackendState::ready, "", 1, 0, 0};

  void resume() {
    resumed = true;
    wake.notify();
  }
};

class FakeStream final : public gateway::EventStream {
 public:
  explicit FakeStream(Script& script) : script_(script) {}

  awaitable<base::Result<std::vector<protocol::Event>>> read() override {
    while (!cancelled_ && !script_.steps.empty() &&
           std::holds_alternative<Wait>(script_.steps.front())) {
      if (script_.resumed) {
        script_.resumed = false;
        script_.steps.pop_front();
        continue;
      }
      if (script_.on_wait) std::exchange(script_.on_wait, {})();
      if (cancelled_ || script_.resumed) continue;
      co_await script_.wake.wait();
    }
    if (cancelled_) co_return base::make_error(base::ErrorCode::cancelled, "cancelled");
    if (script_.steps.empty()) co_return std::vector<protocol::Event>{};
    Step step = std::move(script_.steps.front());
    script_.steps.pop_front();
    if (std::holds_alternative<Throw>(step)) throw std::runtime_error("a mistake");
    if (auto* error = std::get_if<base::Error>(&step)) co_return std::move(*error);
    co_return std::move(std::get<std::vector<protocol::Event>>(step));
  }

  gateway::AttemptFailure failure() const override { return script_.failure; }

  void cancel() override {
    if (!cancelled_) ++script_.cancelled;
    cancelled_ = true;
    script_.wake.notify();
  }

 private:
  Script& script_;
  bool cancelled_ = false;
};

class FakeCall final : public gateway::EmbeddingCall {
 public:
  explicit FakeCall(Script& script) : script_(script) {}

  awaitable<base::Result<gateway::EmbeddingResult>> result() override {
    if (script_.on_wait) {
      std::exchange(script_.on_wait, {})();
      while (!cancelled_ && !script_.resumed) co_await script_.wake.wait();
    }
    if (cancelled_) co_return base::make_error(base::ErrorCode::cancelled, "cancelled");
    co_return script_.embedding.value_or(gateway::EmbeddingResult{{{1.0F, 0.5F}}, 3});
  }

  void cancel() override {
    if (!cancelled_) ++script_.cancelled;
    cancelled_ = true;
    script_.wake.notify();
  }
  gateway::AttemptFailure failure() const override {
    if (cancelled_) return {gateway::FailureKind::client_cancelled};
    return script_.failure;
  }

 private:
  Script& script_;
  bool cancelled_ = false;
};

class FakeTokens final : public gateway::TokenizeCall {
 public:
  explicit FakeTokens(gateway::TokenizeResult result) : result_(std::move(result)) {}
  awaitable<base::Result<gateway::TokenizeResult>> result() override { co_return result_; }
  void cancel() override {}
  gateway::AttemptFailure failure() const override { return {}; }

 private:
  gateway::TokenizeResult result_;
};

class FakeBackend final : public gateway::Backend {
 public:
  explicit FakeBackend(Script& script) : script_(script) {}

  std::unique_ptr<gateway::EventStream> start(const gateway::Attempt& attempt) override {
    script_.requests.push_back(attempt.request);
    return std::make_unique<FakeStream>(script_);
  }
  std::unique_ptr<gateway::EmbeddingCall> embed(const gateway::EmbeddingAttempt& attempt) override {
    script_.embedding_requests.push_back(attempt.request);
    return std::make_unique<FakeCall>(script_);
  }
  std::unique_ptr<gateway::TokenizeCall> tokenize(
      const gateway::TokenizeAttempt& attempt) override {
    if (!script_.tokens) return Backend::tokenize(attempt);
    return std::make_unique<FakeTokens>(*script_.tokens);
  }
  gateway::BackendStatus status() const override { return script_.status; }

 private:
  Script& script_;
};

class FakeResponder final : public io::HttpResponder {
 public:
  explicit FakeResponder(boost::asio::any_io_executor executor) : executor_(std::move(executor)) {}

  awaitable<base::Result<void>> send(io::HttpResponse response) override {
    started_ = true;
    head = std::move(response);
    finished = true;
    co_return base::Result<void>();
  }
  awaitable<base::Result<void>> start(io::HttpResponse response) override {
    started_ = true;
    head = std::move(response);
    co_return base::Result<void>();
  }
  awaitable<base::Result<void>> write(std::string_view piece) override {
    if (pieces_until_gone == pieces.size()) {
      co_return base::make_error(base::ErrorCode::cancelled, "the client has gone");
    }
    pieces.emplace_back(piece);
    if (on_piece) on_piece(pieces.back());
    co_return base::Result<void>();
  }
  awaitable<base::Result<void>> finish() override {
    finished = true;
    co_return base::Result<void>();
  }
  bool started() const override { return started_; }
  void on_client_gone(std::function<void()> callback) override { gone = std::move(callback); }
  boost::asio::any_io_executor executor() const override { return executor_; }

  std::string text() const {
    std::string all = head.body;
    for (const std::string& piece : pieces) all += piece;
    return all;
  }
  std::string field(std::string_view name) const {
    return std::string(head.fields.find(name).value_or("<absent>"));
  }

  io::HttpResponse head;
  std::vector<std::string> pieces;
  std::size_t pieces_until_gone = 1'000'000;
  bool finished = false;
  std::function<void()> gone;
  std::function<void(const std::string&)> on_piece;

 private:
  boost::asio::any_io_executor executor_;
  bool started_ = false;
};

class FakeObserver final : public RequestObserver {
 public:
  void on_request(const RequestRecord& record, base::TimePoint /*now*/) override {
    records.push_back(record);
  }
  std::vector<RequestRecord> records;
};

// One frontend over one scripted model "tiny" with the alias "vendor/tiny".
class Harness {
 public:
  Harness() { rebuild(); }

  void rebuild() {
    gateway::Gateway::Options gateway;
    gateway.models = {{"tiny", 1'700'000'000, "deepseek-server", &target}};
    gateway.aliases = {{"vendor/tiny", "tiny"}};
    gateway.default_model = "tiny";
    gateway.routes.resize(1);
    gateway.routes[0].rule.model = "tiny";
    gateway.routes[0].group.targets = {&target};
    gateway.routes[0].cache = cache_rules;
    // A failure here is the client's to see: nothing is tried twice.
    gateway.run.plan.retry.retries_max = 0;
    snapshot.gateway = std::make_shared<gateway::Gateway>(std::move(gateway));
    Frontend::Options options;
    options.version = "1.2.3";
    options.observer = &observer;
    frontend.emplace(options, std::make_shared<Snapshot>(snapshot));
  }

  // What the session would do: accept the head, then handle, or word the refusal.
  void run(const io::HttpRequest& request) {
    auto accepted = frontend->accept_head(request);
    if (accepted.has_error()) {
      responder.head = frontend->refuse({accepted.error(), {}}, request);
      return;
    }
    io::TaskGroup group(context.get_executor());
    group.spawn("request", frontend->handle(request, responder));
    context.run();
    context.restart();
  }

  boost::asio::io_context context{1};
  Script script{context.get_executor()};
  FakeBackend backend{script};
  gateway::Target target{{.name = "tiny", .local = true}, backend};
  FakeObserver observer;
  FakeResponder responder{context.get_executor()};
  gateway::CacheRules cache_rules;
  Snapshot snapshot;
  std::optional<Frontend> frontend;
};

inline io::HttpRequest make_request(std::string method, std::string target, std::string body = {}) {
  io::HttpRequest request;
  request.method = std::move(method);
  request.target = target;
  const auto mark = target.find('?');
  request.path = target.substr(0, mark);
  if (mark != std::string::npos) request.query = target.substr(mark + 1);
  request.body = std::move(body);
  return request;
}

inline protocol::Event delta(std::string text) {
  protocol::Delta event;
  event.content = std::move(text);
  event.token_ids = {1};
  return event;
}

inline protocol::Event finished(std::int64_t completion_tokens = 2) {
  protocol::Finished event;
  event.usage.prompt_tokens = 5;
  event.usage.completion_tokens = completion_tokens;
  return event;
}

}  // namespace deepseek::frontend::testing
