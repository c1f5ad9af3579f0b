// Decides what to do with an engine process: start it, ping it, kill it, wait, give up.
//
// Pure: events and times go in, one action and a time to be woken come out. The shell
// (EngineBackend) does what it says and tells what happened. `exited` follows every spawned process
// exactly once.
#pragma once

#include "base/clock.hpp"
#include "gateway/backend.hpp"

#include <cstdint>
#include <optional>
#include <string>

namespace deepseek::gateway {

struct SupervisorOptions {
  using Duration = std::chrono::milliseconds;
  Duration restart_backoff_min{250};
  Duration restart_backoff_max{10'000};
  Duration restart_reset{10'000};
  Duration hello_timeout{60'000};
  Duration ping_interval{1'000};
  Duration wedge_timeout{30'000};
  Duration shutdown_timeout{5'000};
};

struct SupervisorEvent {
  enum class Kind {
    start,         // begin
    retry,         // after a permanent failure, begin again
    stop,          // end for good
    tick,          // the time asked for has come (early ticks do no harm)
    busy,          // requests run
    idle,          // none runs
    spawned,       // the process exists: `number` is its pid
    spawn_failed,  // it could not be started: `text` says why
    hello,         // `number` is its protocol version
    progress,      // `fraction` of loading, stage in `text`
    ready,
    load_failed,  // `text` says why; `permanent`
    pong,         // the answer to ping `number`
    broken,       // the link closed, or carried what no engine of ours says: `text`, if we know
    exited,       // the process has ended: `text` says how
  };
  Kind kind;
  std::uint64_t number = 0;
  double fraction = 0;
  bool permanent = false;
  std::string text{};
};

enum class SupervisorAction { none, spawn, ping, shutdown, terminate, kill };

class EngineSupervisorFsm {
 public:
  EngineSupervisorFsm(const SupervisorOptions& options, std::uint32_t protocol_version);

  SupervisorAction resume(const SupervisorEvent& event, base::TimePoint now);

  std::optional<base::TimePoint> wake_at() const { return wake_at_; }
  std::uint64_t ping_number() const { return ping_sent_; }
  const BackendStatus& status() const { return status_; }
  // Why we ended the process or its model was not loaded; empty when it ended by itself.
  const std::string& end_reason() const { return why_; }
  // When a refused client may come again.
  std::chrono::milliseconds retry_after(base::TimePoint now) const;
  // True when there is no process and there will be none.
  bool stopped() const { return status_.state == BackendState::stopped; }

 private:
  enum class Phase { idle, starting, loading, ready, ending, waiting, failed, draining, stopped };

  SupervisorAction spawn(base::TimePoint now);
  SupervisorAction stop(base::TimePoint now);
  SupervisorAction tick(base::TimePoint now);
  SupervisorAction watch(base::TimePoint now);
  SupervisorAction end_process(base::TimePoint now, std::string why);
  SupervisorAction after_end(base::TimePoint now, const std::string& why);
  SupervisorAction hello(const SupervisorEvent& event, base::TimePoint now);
  SupervisorAction load_failed(const SupervisorEvent& event, base::TimePoint now);
  void progress(const SupervisorEvent& event);
  void enter_ready(base::TimePoint now);
  void set_busy(bool busy, base::TimePoint now);
  void begin_watching(base::TimePoint now);
  bool has_process() const;
  bool watching() const;
  void become(Phase phase, BackendState state, std::string reason);

  SupervisorOptions options_;
  std::uint32_t protocol_version_;
  Phase phase_ = Phase::idle;
  BackendStatus status_;
  std::optional<base::TimePoint> wake_at_;
  base::TimePoint phase_since_{};
  std::uint64_t ping_sent_ = 0;
  std::optional<base::TimePoint> unanswered_since_;
  std::uint32_t failures_ = 0;  // restarts in a row
  bool busy_ = false;
  bool permanent_ = false;
  bool terminated_ = false;  // SIGTERM was sent
  std::string why_;          // why we end the process, or why its load failed
};

}  // namespace deepseek::gateway
