#include "gateway/engine_core.hpp"

#include <algorithm>
#include <csignal>

namespace deepseek::gateway {

namespace asio = boost::asio;
using base::ErrorCode;
using Kind = SupervisorEvent::Kind;
using Core = EngineBackend::Core;

namespace {

SupervisorOptions supervisor_options(const EngineBackendOptions& options) {
  SupervisorOptions supervisor;
  supervisor.restart_backoff_min = options.restart_backoff_min;
  supervisor.restart_backoff_max = options.restart_backoff_max;
  supervisor.restart_reset = options.restart_reset;
  supervisor.hello_timeout = options.hello_timeout;
  supervisor.ping_interval = options.ping_interval;
  supervisor.silence_timeout = options.silence_timeout;
  supervisor.wedge_timeout = options.wedge_timeout;
  supervisor.shutdown_timeout = options.shutdown_timeout;
  return supervisor;
}

}  // namespace

Core::Core(asio::any_io_executor given_executor, EngineBackendOptions given_options,
           base::Logger given_logger, std::unique_ptr<EngineLauncher> given_launcher)
    : executor(std::move(given_executor)),
      options(std::move(given_options)),
      images(options.command.mmproj.empty() ? nullptr
                                            : std::make_shared<ImageReader>(options.images)),
      logger_(given_logger),
      launcher_(std::move(given_launcher)),
      supervisor_(supervisor_options(options), engine_protocol_version),
      suspects_(options.suspects_max, options.deaths_max),
      tasks_(executor,
             [logger = given_logger](std::string_view task, std::string_view what) {
               logger.error("a task failed", {{"task", task}, {"what", what}});
             }),
      tick_(executor) {
  snapshot_.status = supervisor_.status();
  if (!options.preload) return;
  snapshot_.status.state = BackendState::starting;
  snapshot_.status.reason = "the engine has not been started yet";
}

void Core::take_place() {
  if (!options.memory) return;
  const auto post_to = [weak = weak_from_this()](void (Core::*what)()) {
    const std::shared_ptr<Core> core = weak.lock();
    if (!core) return;
    asio::post(core->executor, [core, what] { (*core.*what)(); });
  };
  place_ = options.memory->add({options.model, options.memory_bytes,
                                [post_to] { post_to(&Core::load_now); },
                                [post_to] { post_to(&Core::leave); }});
}

// --- memory -----------------------------------------------------------------

void Core::want() {
  if (!options.memory) return load_now();
  if (supervisor_.keeps_memory()) return;  // it has a process, or will have one again
  options.memory->wants(place_);
  std::string reason = options.memory->reason(place_);
  if (!reason.empty()) step({.kind = Kind::waits_for_memory, .text = std::move(reason)});
}

void Core::load_now() {
  holds_memory_ = true;
  const bool failed = supervisor_.status().state == BackendState::failed;
  step({.kind = failed ? Kind::retry : Kind::start});
}

void Core::leave() {
  if (!running_.empty() || !waiting_.empty()) return options.memory->stays(place_);
  step({.kind = Kind::evict});
}

// What the memory's owner must know after anything has happened here.
void Core::tell_memory() {
  if (!options.memory) return;
  const bool in_use = !running_.empty() || !waiting_.empty();
  if (std::exchange(told_in_use_, in_use) != in_use) options.memory->in_use(place_, in_use);
  if (!holds_memory_ || supervisor_.keeps_memory()) return;
  holds_memory_ = false;
  options.memory->gone(place_);
  if (!waiting_.empty()) want();  // they came while it left
}

// --- snapshot ---------------------------------------------------------------

BackendStatus Core::status() const {
  const std::lock_guard lock(mutex_);
  return snapshot_.status;
}

std::optional<EngineDescription> Core::description() const {
  const std::lock_guard lock(mutex_);
  return snapshot_.description;
}

EngineLoadFigures Core::load() const {
  const std::lock_guard lock(mutex_);
  return snapshot_.load;
}

EngineSequences Core::sequences() const {
  const std::lock_guard lock(mutex_);
  return snapshot_.sequences;
}

base::Error Core::unavailable() const {
  const std::lock_guard lock(mutex_);
  base::Error error = base::make_error(
      ErrorCode::unavailable,
      "The model \"" + options.model + "\" is not ready: " + snapshot_.status.reason + ".");
  error.retry_after = snapshot_.retry_after;
  return error;
}

void Core::publish() {
  const std::lock_guard lock(mutex_);
  snapshot_.status = supervisor_.status();
  snapshot_.retry_after = supervisor_.retry_after(base::now());
  if (snapshot_.status.pid == 0) {
    snapshot_.load = {};
    snapshot_.sequences = {};
  }
}

// --- the process ------------------------------------------------------------

void Core::step(const SupervisorEvent& event) {
  const BackendState before = supervisor_.status().state;
  const bool quiet =
      event.kind == Kind::busy || event.kind == Kind::idle || event.kind == Kind::pong;
  const std::string reason_before = quiet ? std::string() : supervisor_.status().reason;
  const SupervisorAction action = supervisor_.resume(event, base::now());
  if (!quiet) {
    publish();
    if (event.kind != Kind::progress) log_change(before, reason_before);
  }
  perform(action);
  const BackendState state = supervisor_.status().state;
  if (state == BackendState::ready && before != state) admit_waiting();
  if (state == BackendState::failed || state == BackendState::stopped) {
    for (const WorkPointer& work : std::exchange(waiting_, {})) fail(work, unavailable(), false);
  }
  arm();
  tell_memory();
}

void Core::log_change(BackendState before, const std::string& reason_before) {
  const BackendStatus& status = supervisor_.status();
  if (status.state == before && status.reason == reason_before) return;
  const std::initializer_list<base::LogField> fields = {
      {"model", options.model},
      {"state", to_string(status.state)},
      {"reason", status.reason},
      {"pid", static_cast<std::uint64_t>(status.pid)},
      {"restarts", status.restarts}};
  std::int64_t suppressed = 0;
  if (!log_limit_.allow(base::now(), suppressed)) return;
  if (!status.degraded.empty() && status.state == BackendState::ready) {
    logger_.warning("the engine runs without its GPU",
                    {{"model", options.model}, {"why", status.degraded}});
  }
  if (status.state == BackendState::failed) {
    logger_.error("the engine has failed for good", fields);
  } else {
    logger_.info("engine", fields);
  }
}

void Core::log_end(const std::string& how) {
  const std::initializer_list<base::LogField> fields = {
      {"model", options.model},
      {"pid", static_cast<std::int64_t>(process_->pid())},
      {"how", how},
      {"why", supervisor_.end_reason()},
      {"requests", static_cast<std::uint64_t>(running_.size())}};
  if (supervisor_.status().state == BackendState::stopped && running_.empty()) {
    logger_.info("the engine ended", fields);
    return;
  }
  std::int64_t suppressed = 0;
  if (log_limit_.allow(base::now(), suppressed)) logger_.warning("the engine ended", fields);
}

void Core::perform(SupervisorAction action) {
  wire::ToEngine message;
  switch (action) {
    case SupervisorAction::none:
      return;
    case SupervisorAction::spawn:
      tasks_.spawn("engine process", run_process(shared_from_this()));
      return;
    case SupervisorAction::ping:
      message.mutable_ping()->set_number(supervisor_.ping_number());
      send(message);
      return;
    case SupervisorAction::shutdown:
      message.mutable_shutdown();
      send(message);
      return;
    case SupervisorAction::terminate:
      if (process_) process_->signal(SIGTERM);
      return;
    case SupervisorAction::kill:
      if (process_) process_->signal(SIGKILL);
      // Not left to the process's end: what it started may hold the socket open.
      if (channel_) channel_->close();
      return;
  }
}

// One life of the engine: from its start until it is reaped.
asio::awaitable<void> Core::run_process([[maybe_unused]] std::shared_ptr<Core> self) {
  if (supervisor_.status().state == BackendState::stopped) {
    step({.kind = Kind::exited, .text = "was not started"});
    co_return;
  }
  base::Result<LaunchedEngine> launched = launcher_->launch(executor, supervisor_.without_gpu());
  if (launched.has_error()) {
    step({.kind = Kind::spawn_failed, .text = launched.error().message});
    co_return;
  }
  process_ = std::move(launched->process);
  channel_ =
      std::make_unique<io::FrameChannel>(executor, launched->channel, io::FrameChannel::Options{});
  step({.kind = Kind::spawned, .number = static_cast<std::uint64_t>(process_->pid())});
  std::string broken = co_await read_frames();
  channel_->close();
  step({.kind = Kind::broken, .text = std::move(broken)});
  EngineEnd end = co_await process_->wait();
  log_end(end.how);
  process_.reset();
  channel_.reset();
  fail_running(end);
  step({.kind = Kind::exited, .text = std::move(end.how), .killed = end.killed});
}

// Until the link ends; the text says why, if it was not just closed.
asio::awaitable<std::string> Core::read_frames() {
  while (true) {
    base::Result<std::string> frame = co_await channel_->read();
    if (frame.has_error()) {
      const bool closed = frame.error().code == ErrorCode::cancelled;
      co_return closed ? std::string() : "the engine's link broke: " + frame.error().message;
    }
    std::string broken = handle(*frame);
    if (!broken.empty()) co_return broken;
  }
}

void Core::arm() {
  std::optional<base::TimePoint> next = supervisor_.wake_at();
  for (const WorkPointer& work : waiting_) {
    if (!next || work->ready_by < *next) next = work->ready_by;
  }
  // An early tick does no harm, so a timer that is set for an earlier time stays.
  if (!next || (tick_at_ && *tick_at_ <= *next)) return;
  tick_at_ = next;
  tick_.expires_at(*next);
  tick_.async_wait([weak = weak_from_this()](boost::system::error_code error) {
    const std::shared_ptr<Core> core = weak.lock();
    if (core && !error) core->ticked();
  });
}

void Core::ticked() {
  tick_at_.reset();
  expire_waiting(base::now());
  step({.kind = Kind::tick});
}

asio::awaitable<void> Core::stop() {
  const std::shared_ptr<Core> self = shared_from_this();
  step({.kind = Kind::stop});
  co_await tasks_.join();  // the process's task ends when it is reaped
  tick_.cancel();
}

bool Core::send(const wire::ToEngine& message) {
  if (!channel_) return false;
  return channel_->send(message.SerializeAsString()).has_value();
}

}  // namespace deepseek::gateway
