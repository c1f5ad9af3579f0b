#include "gateway/engine_backend.hpp"

#include "gateway/engine_core.hpp"
#include "gateway/engine_images.hpp"
#include "gateway/engine_queue_time.hpp"
#include "protocol/local_support.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/post.hpp>
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

AttemptFailure to_failure(const base::Error& error) {
  AttemptFailure failure;
  failure.retry_after = error.retry_after;
  switch (error.code) {
    case ErrorCode::unavailable:
      failure.kind = FailureKind::connect;
      break;
    case ErrorCode::queue_full:
      failure.kind = FailureKind::status_429;
      break;
    case ErrorCode::deadline_exceeded:
      failure.kind = FailureKind::timeout_first_token;
      break;
    case ErrorCode::cancelled:
      failure.kind = FailureKind::client_cancelled;
      break;
    case ErrorCode::invalid_request:
      failure.kind = FailureKind::status_400_client;
      break;
    // Another backend may have a longer context, or know tools.
    case ErrorCode::context_length:
    case ErrorCode::not_implemented:
      failure.kind = FailureKind::status_4xx_there;
      break;
    case ErrorCode::internal:
      failure.kind = FailureKind::refused_suspect;
      break;
    default:
      failure.kind = FailureKind::broken;
      break;
  }
  return failure;
}

// The reader's hold on a piece of work: it ends the work when it is cancelled or goes away, and
// waits for news of it until the deadline.
class WorkHold {
 public:
  WorkHold(CorePointer core, WorkPointer work, Alarm alarm)
      : core_(std::move(core)), work_(std::move(work)), alarm_(std::move(alarm)) {}
  ~WorkHold() { end(); }
  WorkHold(const WorkHold&) = delete;
  WorkHold& operator=(const WorkHold&) = delete;

  const EngineWork& work() const { return *work_; }
  const Core& core() const { return *core_; }
  bool cancelled() const { return cancelled_; }
  bool late() const { return base::now() >= alarm_->expiry(); }

  // Returns at the deadline, after a wake-up, and after cancellation of the waiting task.
  asio::awaitable<void> wait() {
    const Alarm alarm = alarm_;
    co_await alarm->async_wait(asio::as_tuple(asio::use_awaitable));
  }
  // The engine is done with it.
  void settle() { over_ = true; }
  void end() {
    if (!std::exchange(over_, true)) post_cancel(core_, work_);
  }
  void cancel() {
    if (std::exchange(cancelled_, true)) return;
    end();
    alarm_->cancel();
  }
  void add_credits(std::vector<std::pair<int, int>> credits) {
    asio::post(core_->executor, [core = core_, work = work_, given = std::move(credits)] {
      core->add_credits(work, given);
    });
  }

 private:
  CorePointer core_;
  WorkPointer work_;
  Alarm alarm_;  // expires at the request's deadline; cancelled to wake the reader
  bool over_ = false;
  bool cancelled_ = false;
};

// The reader's side of one answer.
class EngineStream final : public EventStream {
 public:
  EngineStream(CorePointer core, WorkPointer work, Alarm alarm)
      : hold_(std::move(core), work, std::move(alarm)),
        unfinished_(work->count),
        consumed_(work->count, 0) {}

  asio::awaitable<base::Result<std::vector<protocol::Event>>> read() override {
    while (true) {
      if (hold_.cancelled()) co_return fail(request_cancelled());
      if (unfinished_ == 0) co_return std::vector<protocol::Event>();
      auto taken = hold_.work().events->take();
      if (!taken.items.empty()) {
        give_credit(taken.items);
        co_return std::move(taken.items);
      }
      if (taken.error) {
        hold_.settle();
        co_return fail(*taken.error);
      }
      if (hold_.late()) {
        hold_.end();
        co_return fail(deadline_error(hold_.core()));
      }
      co_await hold_.wait();
    }
  }

  void cancel() override { hold_.cancel(); }
  AttemptFailure failure() const override { return failure_; }

 private:
  base::Error fail(base::Error error) {
    failure_ = to_failure(error);
    return error;
  }

  // Credit goes back in batches: half of what a sequence has, so that it never runs dry while we
  // read.
  void give_credit(const std::vector<protocol::Event>& events) {
    const int batch = std::max(1, hold_.core().options.stream_credits / 2);
    std::vector<std::pair<int, int>> credits;
    for (const protocol::Event& event : events) {
      if (std::holds_alternative<protocol::Finished>(event)) --unfinished_;
      const bool costs = std::holds_alternative<protocol::Delta>(event) ||
                         std::holds_alternative<protocol::ToolCallDelta>(event);
      if (!costs) continue;
      const std::int32_t sequence = protocol::sequence_of(event);
      int& consumed = consumed_[static_cast<std::size_t>(sequence)];
      if (++consumed < batch) continue;
      credits.emplace_back(sequence, std::exchange(consumed, 0));
    }
    if (unfinished_ == 0) {
      hold_.settle();
    } else if (!credits.empty()) {
      hold_.add_credits(std::move(credits));
    }
  }

  WorkHold hold_;
  std::size_t unfinished_;
  std::vector<int> consumed_;  // per sequence, not yet given back
  AttemptFailure failure_;
};

template <class Answer>
class EngineCall final : public Call<Answer> {
 public:
  using Box = std::shared_ptr<Mailbox<Answer>> EngineWork::*;  // where the answer arrives

  EngineCall(CorePointer core, WorkPointer work, Alarm alarm, Box box)
      : hold_(std::move(core), std::move(work), std::move(alarm)), box_(box) {}

  asio::awaitable<base::Result<Answer>> result() override {
    while (true) {
      if (hold_.cancelled()) co_return fail(request_cancelled());
      auto taken = (hold_.work().*box_)->take();
      if (!taken.items.empty() || taken.error) {
        hold_.settle();
        if (taken.error) co_return fail(*taken.error);
        co_return std::move(taken.items.front());
      }
      if (hold_.late()) {
        hold_.end();
        co_return fail(deadline_error(hold_.core()));
      }
      co_await hold_.wait();
    }
  }

  void cancel() override { hold_.cancel(); }
  AttemptFailure failure() const override { return failure_; }

 private:
  base::Error fail(base::Error error) {
    failure_ = to_failure(error);
    return error;
  }

  WorkHold hold_;
  const Box box_;
  AttemptFailure failure_;
};

// What never began, with its reason.
class RefusedStream final : public EventStream {
 public:
  explicit RefusedStream(base::Error error) : error_(std::move(error)) {}
  asio::awaitable<base::Result<std::vector<protocol::Event>>> read() override { co_return error_; }
  void cancel() override {}
  AttemptFailure failure() const override { return to_failure(error_); }

 private:
  base::Error error_;
};

template <class Answer>
class RefusedCall final : public Call<Answer> {
 public:
  explicit RefusedCall(base::Error error) : error_(std::move(error)) {}
  asio::awaitable<base::Result<Answer>> result() override { co_return error_; }
  void cancel() override {}
  AttemptFailure failure() const override { return to_failure(error_); }

 private:
  base::Error error_;
};

Alarm make_alarm(asio::any_io_executor executor, const Core& core,
                 base::TimePoint end_by = base::TimePoint::max()) {
  return std::make_shared<asio::steady_timer>(
      std::move(executor), std::min(end_by, base::now() + core.options.rpc_timeout));
}

WorkPointer make_answer(const Attempt& attempt, const ImageFiles& images, Core& core,
                        const Alarm& alarm) {
  auto work = std::make_shared<EngineWork>();
  std::vector<wire::Submit> submits =
      make_submits(attempt.request, core.options, attempt.spoken, images);
  work->count = submits.size();
  work->number_first = core.next_numbers(submits.size());
  const auto credits = static_cast<std::size_t>(std::max(1, core.options.stream_credits));
  // Started and Finished besides the text events; credit on its way back counts twice at most.
  work->events = Mailbox<protocol::Event>::make(alarm, submits.size() * (2 * credits + 2));
  std::uint64_t number = work->number_first;
  for (wire::Submit& submit : submits) {
    work->fingerprint = work->fingerprint * 31 + fingerprint(submit, images);
    submit.set_request(number++);
    submit.set_tenant(std::string(attempt.claim.tenant));
    submit.set_weight(attempt.claim.weight);
    submit.set_priority(attempt.claim.priority);
    wire::ToEngine message;
    *message.mutable_submit() = std::move(submit);
    work->frames.push_back(message.SerializeAsString());
  }
  work->ready_by = base::now() + std::min(core.options.ready_wait, core.options.rpc_timeout);
  return work;
}

WorkPointer make_call(Core& core) {
  auto work = std::make_shared<EngineWork>();
  work->count = 1;
  work->number_first = core.next_numbers(1);
  work->ready_by = base::now() + std::min(core.options.ready_wait, core.options.rpc_timeout);
  return work;
}

WorkPointer make_call(const protocol::EmbeddingRequest& request, Core& core, const Alarm& alarm) {
  WorkPointer work = make_call(core);
  work->vectors = Mailbox<EmbeddingResult>::make(alarm, 1);
  wire::ToEngine message;
  *message.mutable_embed() = make_embed(request);
  work->fingerprint = fingerprint(message.embed());
  message.mutable_embed()->set_call(work->number_first);
  work->frames.push_back(message.SerializeAsString());
  return work;
}

WorkPointer make_call(const protocol::TokenizeRequest& request, const ImageFiles& images,
                      Core& core, const Alarm& alarm) {
  WorkPointer work = make_call(core);
  work->tokens = Mailbox<TokenizeResult>::make(alarm, 1);
  wire::ToEngine message = make_tokenize(request, images);
  work->fingerprint = fingerprint(message, images);
  if (message.has_tokenize()) {
    message.mutable_tokenize()->set_call(work->number_first);
  } else {
    message.mutable_detokenize()->set_call(work->number_first);
  }
  work->frames.push_back(message.SerializeAsString());
  return work;
}

std::unique_ptr<EventStream> begin_answer(const CorePointer& core, const Attempt& attempt,
                                          const ImageFiles& images) {
  const Alarm alarm = make_alarm(attempt.executor, *core, attempt.end_by);
  WorkPointer work = make_answer(attempt, images, *core, alarm);
  core->sequences_live += static_cast<std::int32_t>(work->count);
  std::unique_ptr<EventStream> stream = std::make_unique<EngineStream>(core, work, alarm);
  post_begin(core, work);
  return stream;
}

std::unique_ptr<TokenizeCall> begin_tokenize(const CorePointer& core,
                                             const TokenizeAttempt& attempt,
                                             const ImageFiles& images) {
  const Alarm alarm = make_alarm(attempt.executor, *core, attempt.end_by);
  const WorkPointer work = make_call(attempt.request, images, *core, alarm);
  std::unique_ptr<TokenizeCall> call =
      std::make_unique<EngineCall<TokenizeResult>>(core, work, alarm, &EngineWork::tokens);
  post_begin(core, work);
  return call;
}

ImageWait wait_for_images(const CorePointer& core, const protocol::Request& request,
                          const asio::any_io_executor& executor, base::TimePoint end_by) {
  return {core->images, request, executor,
          std::min(end_by, base::now() + core->options.rpc_timeout)};
}

bool can_resume(const Attempt& attempt) {
  return attempt.spoken == nullptr || attempt.spoken->empty() ||
         attempt.request.sequence_count() == 1;
}

base::Error cannot_resume() {
  return base::make_error(ErrorCode::not_implemented,
                          "An answer of several choices cannot go on behind what was sent.");
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
  core_->take_place();
}

EngineBackend::~EngineBackend() = default;

void EngineBackend::launch() {
  if (!core_->options.preload) return;
  asio::post(core_->executor, [core = core_] { core->want(); });
}

void EngineBackend::retry() {
  asio::post(core_->executor, [core = core_] { core->want(); });
}

asio::awaitable<void> EngineBackend::stop() {
  co_await io::run_on(core_->executor, core_->stop());
}

std::unique_ptr<EventStream> EngineBackend::start(const Attempt& attempt) {
  const protocol::LocalModel abilities{core_->sees_images()};
  const base::Result<void> supported = protocol::check_local_support(attempt.request, abilities);
  if (supported.has_error()) return std::make_unique<RefusedStream>(supported.error());
  if (!can_resume(attempt)) return std::make_unique<RefusedStream>(cannot_resume());
  if (is_over(status().state)) return std::make_unique<RefusedStream>(core_->unavailable());
  if (!attempt.request.uses(protocol::Feature::images)) return begin_answer(core_, attempt, {});
  return std::make_unique<SeeingStream>(
      wait_for_images(core_, attempt.request, attempt.executor, attempt.end_by),
      [core = core_, attempt](const ImageFiles& images) {
        return begin_answer(core, attempt, images);
      },
      to_failure);
}

std::unique_ptr<EmbeddingCall> EngineBackend::embed(const EmbeddingAttempt& attempt) {
  using Refused = RefusedCall<EmbeddingResult>;
  if (is_over(status().state)) return std::make_unique<Refused>(core_->unavailable());
  if (adapters().contains(attempt.request.model)) {
    return std::make_unique<Refused>(base::make_error(
        ErrorCode::invalid_request,
        "\"" + attempt.request.model + "\" is an adapter; texts are embedded by its model, \"" +
            model() + "\".",
        "model"));
  }
  const Alarm alarm = make_alarm(attempt.executor, *core_, attempt.end_by);
  const WorkPointer work = make_call(attempt.request, *core_, alarm);
  std::unique_ptr<EmbeddingCall> call =
      std::make_unique<EngineCall<EmbeddingResult>>(core_, work, alarm, &EngineWork::vectors);
  post_begin(core_, work);
  return call;
}

std::unique_ptr<TokenizeCall> EngineBackend::tokenize(const TokenizeAttempt& attempt) {
  using Refused = RefusedCall<TokenizeResult>;
  if (is_over(status().state)) return std::make_unique<Refused>(core_->unavailable());
  const auto* chat = std::get_if<protocol::Request>(&attempt.request.input);
  if (chat == nullptr || !chat->uses(protocol::Feature::images)) {
    return begin_tokenize(core_, attempt, {});
  }
  if (!core_->sees_images()) {
    protocol::Request images_alone;
    for (const protocol::FeatureUse& use : chat->features) {
      if (use.feature == protocol::Feature::images) images_alone.features.push_back(use);
    }
    return std::make_unique<Refused>(protocol::check_local_support(images_alone).error());
  }
  return std::make_unique<SeeingCall<TokenizeResult>>(
      wait_for_images(core_, *chat, attempt.executor, attempt.end_by),
      [core = core_, attempt](const ImageFiles& images) {
        return begin_tokenize(core, attempt, images);
      },
      to_failure);
}

BackendStatus EngineBackend::status() const {
  return core_->status();
}

base::Milliseconds EngineBackend::expected_first_token(std::int64_t prompt_tokens) const {
  const BackendStatus now = core_->status();
  // One that starts with its first request must get it.
  if (now.state == BackendState::unloaded) return base::Milliseconds(0);
  if (now.state != BackendState::ready) return base::Milliseconds::max();
  const auto described = core_->description();
  return engine_queue_time(core_->load(), described ? described->sequences_max : 1,
                           core_->sequences_live.load(std::memory_order_relaxed), prompt_tokens);
}

std::optional<EngineDescription> EngineBackend::description() const {
  return core_->description();
}

EngineSequences EngineBackend::sequences() const {
  return core_->sequences();
}

EngineLoadFigures EngineBackend::load() const {
  return core_->load();
}

const std::string& EngineBackend::model() const {
  return core_->options.model;
}

const std::map<std::string, std::string>& EngineBackend::adapters() const {
  return core_->options.command.adapters;
}

}  // namespace deepseek::gateway
