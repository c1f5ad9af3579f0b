#include "gateway/engine_backend.hpp"

#include "gateway/engine_core.hpp"
#include "protocol/local_support.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <utility>

namespace deepseek::gateway {

namespace asio = boost::asio;
using base::ErrorCode;
using Core = EngineBackend::Core;
using CorePointer = std::shared_ptr<Core>;
using Alarm = std::shared_ptr<asio::steady_timer>;

namespace {

void post_begin(const CorePointer& core, const WorkPointer& work) {
  asio::post(core->executor, [core, work] { core->begin(work); });
}

void post_cancel(const CorePointer& core, const WorkPointer& work) {
  asio::post(core->executor, [core, work] { core->cancel(work); });
}

base::Error deadline_error(const Core& core) {
  return base::make_error(ErrorCode::deadline_exceeded,
                          "The request took longer than network.rpc_timeout (" +
                              std::to_string(core.options.rpc_timeout.count()) + " ms).");
}

// Returns at the deadline, after a wake-up, and after cancellation of the waiting task.
asio::awaitable<void> wait_for_alarm(Alarm alarm) {
  co_await alarm->async_wait(asio::as_tuple(asio::use_awaitable));
}

// The reader's side of one answer.
class EngineStream final : public EventStream {
 public:
  EngineStream(CorePointer core, WorkPointer work, Alarm alarm)
      : core_(std::move(core)),
        work_(std::move(work)),
        mailbox_(work_->events),
        alarm_(std::move(alarm)),
        unfinished_(work_->count),
        consumed_(work_->count, 0) {}

  ~EngineStream() override {
    if (!over_ && unfinished_ > 0) post_cancel(core_, work_);
  }

  asio::awaitable<base::Result<std::vector<protocol::Event>>> read() override {
    while (true) {
      if (cancelled_) {
        co_return base::make_error(ErrorCode::cancelled, "The request was cancelled.");
      }
      if (unfinished_ == 0) co_return std::vector<protocol::Event>();
      auto taken = mailbox_->take();
      if (!taken.items.empty()) {
        give_credit(taken.items);
        co_return std::move(taken.items);
      }
      if (taken.error) {
        over_ = true;
        co_return *taken.error;
      }
      if (base::now() >= alarm_->expiry()) {
        end();
        co_return deadline_error(*core_);
      }
      co_await wait_for_alarm(alarm_);
    }
  }

  void cancel() override {
    if (cancelled_) return;
    cancelled_ = true;
    end();
    alarm_->cancel();
  }

 private:
  void end() {
    if (!over_ && unfinished_ > 0) post_cancel(core_, work_);
    over_ = true;
  }

  // Credit goes back in batches: half of what a sequence has, so that it never runs dry while we
  // read.
  void give_credit(const std::vector<protocol::Event>& events) {
    const int batch = std::max(1, core_->options.stream_credits / 2);
    std::vector<std::pair<int, int>> credits;
    for (const protocol::Event& event : events) {
      if (std::holds_alternative<protocol::Finished>(event)) --unfinished_;
      const auto* delta = std::get_if<protocol::Delta>(&event);
      if (delta == nullptr) continue;
      int& consumed = consumed_[static_cast<std::size_t>(delta->sequence)];
      if (++consumed < batch) continue;
      credits.emplace_back(delta->sequence, std::exchange(consumed, 0));
    }
    if (credits.empty() || unfinished_ == 0) return;
    asio::post(core_->executor, [core = core_, work = work_, given = std::move(credits)] {
      core->add_credits(work, given);
    });
  }

  CorePointer core_;
  WorkPointer work_;
  std::shared_ptr<Mailbox<protocol::Event>> mailbox_;
  Alarm alarm_;  // expires at the request's deadline; cancelled to wake the reader
  std::size_t unfinished_;
  std::vector<int> consumed_;  // per sequence, not yet given back
  bool over_ = false;
  bool cancelled_ = false;
};

class EngineCall final : public EmbeddingCall {
 public:
  EngineCall(CorePointer core, WorkPointer work, Alarm alarm)
      : core_(std::move(core)), work_(std::move(work)), alarm_(std::move(alarm)) {}

  ~EngineCall() override { end(); }

  asio::awaitable<base::Result<EmbeddingResult>> result() override {
    while (true) {
      if (cancelled_) {
        co_return base::make_error(ErrorCode::cancelled, "The request was cancelled.");
      }
      auto taken = work_->vectors->take();
      if (!taken.items.empty() || taken.error) {
        over_ = true;
        if (taken.error) co_return *taken.error;
        co_return std::move(taken.items.front());
      }
      if (base::now() >= alarm_->expiry()) {
        end();
        co_return deadline_error(*core_);
      }
      co_await wait_for_alarm(alarm_);
    }
  }

  void cancel() override {
    if (cancelled_) return;
    cancelled_ = true;
    end();
    alarm_->cancel();
  }

 private:
  void end() {
    if (!std::exchange(over_, true)) post_cancel(core_, work_);
  }

  CorePointer core_;
  WorkPointer work_;
  Alarm alarm_;  // expires at the request's deadline; cancelled to wake the reader
  bool over_ = false;
  bool cancelled_ = false;
};

Alarm make_alarm(asio::any_io_executor executor, const Core& core) {
  return std::make_shared<asio::steady_timer>(std::move(executor),
                                              base::now() + core.options.rpc_timeout);
}

WorkPointer make_answer(const protocol::Request& request, Core& core, const Alarm& alarm) {
  auto work = std::make_shared<EngineWork>();
  std::vector<wire::Submit> submits = make_submits(request, core.options);
  work->count = submits.size();
  work->number_first = core.next_numbers(submits.size());
  const auto credits = static_cast<std::size_t>(std::max(1, core.options.stream_credits));
  // Started and Finished besides the text events; credit on its way back counts twice at most.
  work->events = Mailbox<protocol::Event>::make(alarm, submits.size() * (2 * credits + 2));
  std::uint64_t number = work->number_first;
  for (wire::Submit& submit : submits) {
    work->fingerprint = work->fingerprint * 31 + fingerprint(submit);
    submit.set_request(number++);
    wire::ToEngine message;
    *message.mutable_submit() = std::move(submit);
    work->frames.push_back(message.SerializeAsString());
  }
  work->ready_by = base::now() + std::min(core.options.ready_wait, core.options.rpc_timeout);
  return work;
}

WorkPointer make_call(const protocol::EmbeddingRequest& request, Core& core, const Alarm& alarm) {
  auto work = std::make_shared<EngineWork>();
  work->count = 1;
  work->number_first = core.next_numbers(1);
  work->vectors = Mailbox<EmbeddingResult>::make(alarm, 1);
  wire::ToEngine message;
  *message.mutable_embed() = make_embed(request);
  work->fingerprint = fingerprint(message.embed());
  message.mutable_embed()->set_call(work->number_first);
  work->frames.push_back(message.SerializeAsString());
  work->ready_by = base::now() + std::min(core.options.ready_wait, core.options.rpc_timeout);
  return work;
}

bool is_over(BackendState state) {
  return state == BackendState::failed || state == BackendState::stopped;
}

}  // namespace

EngineBackend::EngineBackend(asio::any_io_executor executor, EngineBackendOptions options,
                             base::Logger logger, std::unique_ptr<EngineLauncher> launcher) {
  if (!launcher) launcher = make_engine_launcher(options.command);
  core_ =
      std::make_shared<Core>(std::move(executor), std::move(options), logger, std::move(launcher));
}

EngineBackend::~EngineBackend() = default;

void EngineBackend::launch() {
  if (!core_->options.preload) return;
  asio::post(core_->executor,
             [core = core_] { core->step({.kind = SupervisorEvent::Kind::start}); });
}

void EngineBackend::retry() {
  asio::post(core_->executor,
             [core = core_] { core->step({.kind = SupervisorEvent::Kind::retry}); });
}

asio::awaitable<void> EngineBackend::stop() {
  co_await io::run_on(core_->executor, core_->stop());
}

asio::awaitable<base::Result<std::unique_ptr<EventStream>>> EngineBackend::start(
    const protocol::Request& request) {
  const base::Result<void> supported = protocol::check_local_support(request);
  if (supported.has_error()) co_return supported.error();
  if (is_over(status().state)) co_return core_->unavailable();
  const asio::any_io_executor executor = co_await asio::this_coro::executor;
  const Alarm alarm = make_alarm(executor, *core_);
  WorkPointer work = make_answer(request, *core_, alarm);
  std::unique_ptr<EventStream> stream = std::make_unique<EngineStream>(core_, work, alarm);
  post_begin(core_, work);
  co_return stream;
}

asio::awaitable<base::Result<std::unique_ptr<EmbeddingCall>>> EngineBackend::embed(
    const protocol::EmbeddingRequest& request) {
  if (is_over(status().state)) co_return core_->unavailable();
  const asio::any_io_executor executor = co_await asio::this_coro::executor;
  const Alarm alarm = make_alarm(executor, *core_);
  const WorkPointer work = make_call(request, *core_, alarm);
  std::unique_ptr<EmbeddingCall> call = std::make_unique<EngineCall>(core_, work, alarm);
  post_begin(core_, work);
  co_return call;
}

BackendStatus EngineBackend::status() const {
  return core_->status();
}

std::optional<EngineDescription> EngineBackend::description() const {
  return core_->description();
}

EngineLoadFigures EngineBackend::load() const {
  return core_->load();
}

const std::string& EngineBackend::model() const {
  return core_->options.model;
}

}  // namespace deepseek::gateway
