#include "gateway/managed/managed_fsm.hpp"

#include "gateway/restart_timing.hpp"

#include <algorithm>
#include <utility>

namespace deepseek::gateway {

using base::Milliseconds;
using base::TimePoint;
using Action = ManagedAction;
using Kind = ManagedEvent::Kind;

ManagedFsm::ManagedFsm(const ManagedFsmOptions& options) : options_(options) {
  status_.reason = "it has not been started yet";
}

void ManagedFsm::become(Phase phase, BackendState state, std::string reason) {
  phase_ = phase;
  status_.state = state;
  status_.reason = std::move(reason);
}

bool ManagedFsm::has_process() const {
  switch (phase_) {
    case Phase::starting:
    case Phase::well:
    case Phase::unwell:
    case Phase::ending:
    case Phase::stopping:
      return true;
    default:
      return false;
  }
}

Action ManagedFsm::resume(const ManagedEvent& event, TimePoint now) {
  switch (event.kind) {
    case Kind::start:
      return phase_ == Phase::idle ? spawn(now) : Action::none;
    case Kind::retry:
      if (phase_ != Phase::failed && phase_ != Phase::waiting) return Action::none;
      deaths_ = 0;
      return spawn(now);
    case Kind::stop:
      return stop(now);
    case Kind::tick:
      return tick(now);
    case Kind::spawned:
      status_.pid = event.number;
      return Action::none;
    case Kind::check:
      return check(event.well, now);
    case Kind::spawn_failed:
      return after_end(now, event.text);
    case Kind::exited:
      return after_end(now, why_.empty() ? "it " + event.text : why_);
  }
  return Action::none;
}

Action ManagedFsm::spawn(TimePoint now) {
  const bool again = status_.restarts > 0;
  become(Phase::starting, again ? BackendState::restarting : BackendState::starting,
         "it is starting");
  since_ = now;
  well_since_ = {};
  check_failures_ = 0;
  why_.clear();
  wake_at_ = now + options_.start_timeout;
  return Action::spawn;
}

Action ManagedFsm::check(bool well, TimePoint now) {
  if (phase_ != Phase::starting && phase_ != Phase::well && phase_ != Phase::unwell) {
    return Action::none;
  }
  if (well) {
    check_failures_ = 0;
    if (phase_ == Phase::well) return Action::none;
    if (phase_ == Phase::starting) well_since_ = now;
    become(Phase::well, BackendState::ready, "");
    wake_at_.reset();
    return Action::none;
  }
  if (phase_ != Phase::well || ++check_failures_ < options_.check_failures_max) {
    return Action::none;
  }
  become(Phase::unwell, BackendState::restarting, "it runs but fails its health checks");
  since_ = now;
  wake_at_ = now + options_.unwell_max;
  return Action::none;
}

// Kills it; what happens next is decided when it has ended.
Action ManagedFsm::end_process(TimePoint now, std::string why) {
  why_ = std::move(why);
  become(Phase::ending, BackendState::restarting, why_);
  since_ = now;
  wake_at_ = now + options_.kill_timeout;
  return Action::kill;
}

Action ManagedFsm::after_end(TimePoint now, const std::string& why) {
  status_.pid = 0;
  wake_at_.reset();
  if (phase_ == Phase::stopping || phase_ == Phase::stopped) {
    become(Phase::stopped, BackendState::stopped, "it was stopped");
    return Action::none;
  }
  if (well_since_ != TimePoint{} && now - well_since_ >= options_.steady) deaths_ = 0;
  ++deaths_;
  if (deaths_ >= options_.deaths_max) {
    become(Phase::failed, BackendState::failed,
           why + "; given up after " + std::to_string(deaths_) +
               " starts that did not last, SIGHUP tries again");
    return Action::none;
  }
  ++status_.restarts;
  if (deaths_ == 1) return spawn(now);
  const Milliseconds pause = restart_pause(deaths_, options_.backoff_min, options_.backoff_max);
  become(Phase::waiting, BackendState::restarting, why + "; restart in " + in_seconds(pause));
  wake_at_ = now + pause;
  return Action::none;
}

Action ManagedFsm::stop(TimePoint now) {
  if (phase_ == Phase::stopping || phase_ == Phase::stopped) return Action::none;
  const bool process = has_process();
  const bool killed = phase_ == Phase::ending;
  become(process ? Phase::stopping : Phase::stopped, BackendState::stopped, "it is stopping");
  wake_at_.reset();
  if (!process) return Action::none;
  killed_ = killed;
  since_ = now;
  wake_at_ = now + (killed ? options_.kill_timeout : options_.stop_timeout);
  return killed ? Action::none : Action::terminate;
}

Action ManagedFsm::tick(TimePoint now) {
  if (!wake_at_ || now < *wake_at_) return Action::none;
  switch (phase_) {
    case Phase::waiting:
      return spawn(now);
    case Phase::starting:
      return end_process(now, "it was not well " + in_seconds(options_.start_timeout) +
                                  " after its start (start_timeout)");
    case Phase::unwell:
      return end_process(now, "its health checks failed for " + in_seconds(options_.unwell_max));
    case Phase::ending:
      wake_at_.reset();
      return Action::abandon;
    case Phase::stopping:
      if (std::exchange(killed_, true)) {
        wake_at_.reset();
        return Action::abandon;
      }
      wake_at_ = now + options_.kill_timeout;
      return Action::kill;
    default:
      wake_at_.reset();
      return Action::none;
  }
}

Milliseconds ManagedFsm::retry_after(TimePoint now) const {
  return retry_after_restart(phase_ == Phase::waiting ? wake_at_ : std::nullopt,
                             phase_ == Phase::failed, now);
}

}  // namespace deepseek::gateway
