#include "gateway/engine_supervisor_fsm.hpp"

#include "gateway/restart_timing.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

namespace deepseek::gateway {

using base::TimePoint;
using Action = SupervisorAction;
using Kind = SupervisorEvent::Kind;
using std::chrono::milliseconds;

namespace {

constexpr std::uint32_t kGpuCrashesMax = 2;
// A step that takes so many times as long as it would at the slowest speed so far will not end any
// more; short hiccups of the machine do not count.
constexpr int kStepTimes = 10;
constexpr milliseconds kStepMin{2'000};
constexpr const char* kMadeRoom = "the model made room for another; it loads with the next request";

}  // namespace

EngineSupervisorFsm::EngineSupervisorFsm(const SupervisorOptions& options,
                                         std::uint32_t protocol_version)
    : options_(options), protocol_version_(protocol_version) {
  status_.state = BackendState::unloaded;
  status_.reason = "the model loads with the first request";
}

void EngineSupervisorFsm::become(Phase phase, BackendState state, std::string reason) {
  phase_ = phase;
  status_.state = state;
  status_.reason = std::move(reason);
}

bool EngineSupervisorFsm::has_process() const {
  switch (phase_) {
    case Phase::starting:
    case Phase::loading:
    case Phase::ready:
    case Phase::ending:
    case Phase::draining:
      return true;
    default:
      return false;
  }
}

bool EngineSupervisorFsm::keeps_memory() const {
  return has_process() || phase_ == Phase::waiting;
}

bool EngineSupervisorFsm::watching() const {
  return phase_ == Phase::loading || (phase_ == Phase::ready && busy_);
}

SupervisorAction EngineSupervisorFsm::resume(const SupervisorEvent& event, TimePoint now) {
  switch (event.kind) {
    case Kind::start:
      return phase_ == Phase::idle ? spawn(now) : Action::none;
    case Kind::retry:
      failures_ = 0;
      return phase_ == Phase::failed || phase_ == Phase::waiting ? spawn(now) : Action::none;
    case Kind::stop:
      return stop(now);
    case Kind::evict:
      return evict(now);
    case Kind::waits_for_memory:
      if (phase_ == Phase::idle) become(Phase::idle, BackendState::starting, event.text);
      return Action::none;
    case Kind::tick:
      return tick(now);
    case Kind::busy:
      set_busy(true, now);
      return Action::none;
    case Kind::idle:
      set_busy(false, now);
      return Action::none;
    case Kind::spawned:
      status_.pid = static_cast<std::uint32_t>(event.number);
      return Action::none;
    case Kind::spawn_failed:
      return after_end(now, event.text);
    case Kind::hello:
      return hello(event, now);
    case Kind::progress:
      progress(event);
      return Action::none;
    case Kind::ready:
      on_gpu_ = event.on_gpu;
      enter_ready(now);
      return Action::none;
    case Kind::device_failed:
      return device_failed(event.text, now);
    case Kind::load_failed:
      return load_failed(event, now);
    case Kind::pong:
      return pong(event, now);
    case Kind::broken:
      return end_process(now, event.text);
    case Kind::exited:
      count_gpu_crash(event);
      return after_end(now, why_.empty() ? "the engine " + event.text : why_);
  }
  return Action::none;
}

SupervisorAction EngineSupervisorFsm::spawn(TimePoint now) {
  const bool again = status_.restarts > 0 || failures_ > 0;
  become(Phase::starting, again ? BackendState::restarting : BackendState::starting,
         "the engine is starting");
  phase_since_ = now;
  wake_at_ = now + options_.hello_timeout;
  status_.progress = 0;
  why_.clear();
  permanent_ = false;
  silent_ = false;
  terminated_ = false;
  return Action::spawn;
}

SupervisorAction EngineSupervisorFsm::hello(const SupervisorEvent& event, TimePoint now) {
  if (phase_ != Phase::starting) return Action::none;
  if (event.number != protocol_version_) {
    permanent_ = true;
    return end_process(now, "the engine speaks version " + std::to_string(event.number) +
                                " of the protocol, this server version " +
                                std::to_string(protocol_version_) +
                                "; install both programs from one build");
  }
  become(Phase::loading, BackendState::loading, "loading the model");
  begin_watching(now);
  return Action::none;
}

SupervisorAction EngineSupervisorFsm::device_failed(const std::string& why, TimePoint now) {
  if (phase_ != Phase::loading && phase_ != Phase::ready) return Action::none;
  status_.degraded = "the GPU failed (" + why + "); the model runs on the processor";
  return end_process(now, "the GPU failed: " + why);
}

// A driver that fails takes the process with it. Once may be anything; then the GPU is left alone.
void EngineSupervisorFsm::count_gpu_crash(const SupervisorEvent& event) {
  const bool crashed = on_gpu_ && !event.killed && why_.empty() &&
                       (phase_ == Phase::ready || phase_ == Phase::ending);
  on_gpu_ = false;
  if (!crashed) return;
  if (failures_ == 0) gpu_crashes_ = 0;
  if (++gpu_crashes_ < kGpuCrashesMax || !status_.degraded.empty()) return;
  status_.degraded = "the engine " + event.text + " " + std::to_string(gpu_crashes_) +
                     " times on the GPU; the model runs on the processor";
}

void EngineSupervisorFsm::progress(const SupervisorEvent& event) {
  if (phase_ != Phase::loading) return;
  status_.progress = std::clamp(event.fraction, 0.0, 1.0);
  status_.reason =
      "loading the model, " + std::to_string(std::lround(status_.progress * 100)) + " %";
  if (!event.text.empty()) status_.reason += " (" + event.text + ")";
}

void EngineSupervisorFsm::enter_ready(TimePoint now) {
  if (phase_ != Phase::loading) return;
  become(Phase::ready, BackendState::ready, "");
  status_.progress = 1;
  phase_since_ = now;
  wake_at_.reset();
  if (busy_) begin_watching(now);
}

SupervisorAction EngineSupervisorFsm::load_failed(const SupervisorEvent& event, TimePoint now) {
  if (phase_ == Phase::draining) return Action::none;
  permanent_ = event.permanent;
  return end_process(now, "the model could not be loaded: " + event.text);
}

// Kills the process; what happens next is decided when it has ended.
SupervisorAction EngineSupervisorFsm::end_process(TimePoint now, std::string why) {
  if (!has_process() || phase_ == Phase::ending) return Action::none;
  if (phase_ == Phase::draining) return Action::none;  // it closes its end when it is done
  if (phase_ == Phase::ready && now - phase_since_ >= options_.restart_reset) failures_ = 0;
  why_ = std::move(why);
  become(Phase::ending, BackendState::restarting, why_.empty() ? "the engine is ending" : why_);
  wake_at_.reset();
  return Action::kill;
}

SupervisorAction EngineSupervisorFsm::after_end(TimePoint now, const std::string& why) {
  status_.pid = 0;
  status_.progress = 0;
  unanswered_since_.reset();
  wake_at_.reset();
  busy_ = false;
  if (phase_ == Phase::draining && evicted_) {
    evicted_ = false;
    failures_ = 0;
    become(Phase::idle, BackendState::unloaded, kMadeRoom);
    return Action::none;
  }
  if (phase_ == Phase::draining || phase_ == Phase::stopped) {
    become(Phase::stopped, BackendState::stopped, "the server is shutting down");
    return Action::none;
  }
  if (phase_ == Phase::ready && now - phase_since_ >= options_.restart_reset) failures_ = 0;
  if (permanent_) {
    become(Phase::failed, BackendState::failed, why);
    return Action::none;
  }
  ++status_.restarts;
  ++failures_;
  if (failures_ == 1) return spawn(now);
  const milliseconds pause =
      restart_pause(failures_, options_.restart_backoff_min, options_.restart_backoff_max);
  become(Phase::waiting, BackendState::restarting, why + "; restart in " + in_seconds(pause));
  wake_at_ = now + pause;
  return Action::none;
}

SupervisorAction EngineSupervisorFsm::stop(TimePoint now) {
  const bool leaves = phase_ == Phase::draining && evicted_;
  evicted_ = false;
  if (leaves) status_.state = BackendState::stopped;
  if (phase_ == Phase::draining || phase_ == Phase::stopped) return Action::none;
  const bool process = has_process();
  const Action action = process ? drain(now) : Action::none;
  become(process ? Phase::draining : Phase::stopped, BackendState::stopped,
         "the server is shutting down");
  if (!process) wake_at_.reset();
  return action;
}

SupervisorAction EngineSupervisorFsm::evict(TimePoint now) {
  if (phase_ != Phase::ready && phase_ != Phase::loading && phase_ != Phase::starting) {
    if (phase_ != Phase::waiting) return Action::none;  // it has no process
    wake_at_.reset();
    become(Phase::idle, BackendState::unloaded, kMadeRoom);
    return Action::none;
  }
  const Action action = drain(now);
  evicted_ = true;
  become(Phase::draining, BackendState::restarting, "the model makes room for another");
  return action;
}

// How the process is asked to end.
SupervisorAction EngineSupervisorFsm::drain(TimePoint now) {
  const bool ready = phase_ == Phase::ready;
  phase_since_ = now;
  unanswered_since_.reset();
  wake_at_ = now + options_.shutdown_timeout / 2;
  // While it loads there is nothing to finish, and it may not even listen yet.
  return ready ? Action::shutdown : Action::kill;
}

SupervisorAction EngineSupervisorFsm::tick(TimePoint now) {
  if (!wake_at_ || now < *wake_at_) return Action::none;
  switch (phase_) {
    case Phase::waiting:
      return spawn(now);
    case Phase::starting:
      return end_process(now,
                         "the engine did not say Hello for " + in_seconds(options_.hello_timeout));
    case Phase::loading:
    case Phase::ready:
      return watch(now);
    case Phase::draining:
      if (!terminated_) {
        terminated_ = true;
        wake_at_ = phase_since_ + options_.shutdown_timeout;
        return Action::terminate;
      }
      wake_at_.reset();
      return Action::kill;
    default:
      wake_at_.reset();
      return Action::none;
  }
}

void EngineSupervisorFsm::begin_watching(TimePoint now) {
  unanswered_since_.reset();
  wake_at_ = now + options_.ping_interval;
}

SupervisorAction EngineSupervisorFsm::watch(TimePoint now) {
  if (!watching()) {
    wake_at_.reset();
    return Action::none;
  }
  // It may have died just after its last answer, an interval before it was asked again.
  const auto patience =
      std::max(options_.silence_timeout - options_.ping_interval, options_.silence_timeout / 2);
  if (unanswered_since_ && now >= *unanswered_since_ + patience) {
    silent_ = true;
    return end_process(now, "the engine did not answer for " +
                                in_seconds(options_.silence_timeout) + " and was killed");
  }
  const bool ping = !unanswered_since_;
  if (ping) {
    ++ping_sent_;
    unanswered_since_ = now;
  }
  wake_at_ = std::min(now + options_.ping_interval, *unanswered_since_ + patience);
  return ping ? Action::ping : Action::none;
}

SupervisorAction EngineSupervisorFsm::pong(const SupervisorEvent& event, TimePoint now) {
  if (event.number != ping_sent_) return Action::none;
  unanswered_since_.reset();
  auto limit = options_.wedge_timeout;
  if (event.expected_step.count() > 0) {
    limit = std::min(limit, std::max(kStepTimes * event.expected_step, kStepMin));
  }
  if (!watching() || event.step < limit) return Action::none;
  return end_process(
      now, "a step of the engine took more than " + in_seconds(limit) + " and it was killed");
}

void EngineSupervisorFsm::set_busy(bool busy, TimePoint now) {
  if (busy == busy_) return;
  busy_ = busy;
  if (phase_ != Phase::ready) return;
  if (busy) {
    begin_watching(now);
  } else {
    wake_at_.reset();
  }
}

std::chrono::milliseconds EngineSupervisorFsm::retry_after(TimePoint now) const {
  return retry_after_restart(phase_ == Phase::waiting ? wake_at_ : std::nullopt,
                             phase_ == Phase::failed, now);
}

}  // namespace deepseek::gateway
