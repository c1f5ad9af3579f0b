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

EngineSupervisorFsm::EngineSupervisorFsm(const SupervisorOptions& options,
                                         std::uint32_t protocol_version)
    : options_(options), protocol_version_(protocol_version) {
  status_.reason = "the engine has not been started yet";
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
      enter_ready(now);
      return Action::none;
    case Kind::load_failed:
      return load_failed(event, now);
    case Kind::pong:
      if (event.number == ping_sent_) unanswered_since_.reset();
      return Action::none;
    case Kind::broken:
      return end_process(now, event.text);
    case Kind::exited:
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
  if (phase_ == Phase::draining || phase_ == Phase::stopped) return Action::none;
  const bool process = has_process();
  const bool ready = phase_ == Phase::ready;
  become(process ? Phase::draining : Phase::stopped, BackendState::stopped,
         "the server is shutting down");
  wake_at_.reset();
  if (!process) return Action::none;
  phase_since_ = now;
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
  if (unanswered_since_ && now >= *unanswered_since_ + options_.wedge_timeout) {
    return end_process(now, "the engine did not answer for " + in_seconds(options_.wedge_timeout) +
                                " and was killed");
  }
  const bool ping = !unanswered_since_;
  if (ping) {
    ++ping_sent_;
    unanswered_since_ = now;
  }
  wake_at_ = std::min(now + options_.ping_interval, *unanswered_since_ + options_.wedge_timeout);
  return ping ? Action::ping : Action::none;
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
