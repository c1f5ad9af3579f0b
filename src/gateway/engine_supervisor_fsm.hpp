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
  Duration ping_interval{500};
  Duration silence_timeout{2'000};  // of the process
  Duration wedge_timeout{30'000};   // of one step
  Duration shutdown_timeout{5'000};
};

struct SupervisorEvent {
  enum class Kind {
    start,             // begin
    retry,             // after a permanent failure, begin again
    waits_for_memory,  // it is wanted, but others have the memory: `text` says who
    evict,             // end until it is wanted again: others need the memory
    stop,              // end for good
    tick,              // the time asked for has come (early ticks do no harm)
    busy,              // requests run
    idle,              // none runs
    spawned,           // the process exists: `number` is its pid
    spawn_failed,      // it could not be started: `text` says why
    hello,             // `number` is its protocol version
    progress,          // `fraction` of loading, stage in `text`
    ready,             // `on_gpu`
    device_failed,     // the GPU does not load the model, or does not compute: `text`
    load_failed,       // `text` says why; `permanent`
    pong,              // the answer to ping `number`: how long the running `step` takes by now
    broken,  // the link closed, or carried what no engine of ours says: `text`, if we know
    exited,  // the process has ended: `text` says how, and whether by SIGKILL (`killed`)
  };
  Kind kind;
  std::uint64_t number = 0;
  double fraction = 0;
  bool permanent = false;
  std::string text{};
  bool killed = false;
  bool on_gpu = false;
  base::Milliseconds step{0};
  base::Milliseconds expected_step{0};  // at the slowest speed so far; 0: not known
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
  // Its GPU has failed: the process is started without.
  bool without_gpu() const { return !status_.degraded.empty(); }
  // The process was ended because it did not answer at all.
  bool was_silent() const { return silent_; }
  // When a refused client may come again.
  std::chrono::milliseconds retry_after(base::TimePoint now) const;
  // A process exists, or will without anybody asking for it.
  bool keeps_memory() const;
  // True when there is no process and there will be none.
  bool stopped() const { return status_.state == BackendState::stopped; }

 private:
  enum class Phase { idle, starting, loading, ready, ending, waiting, failed, draining, stopped };

  SupervisorAction spawn(base::TimePoint now);
  SupervisorAction stop(base::TimePoint now);
  SupervisorAction evict(base::TimePoint now);
  SupervisorAction drain(base::TimePoint now);
  SupervisorAction tick(base::TimePoint now);
  SupervisorAction watch(base::TimePoint now);
  SupervisorAction pong(const SupervisorEvent& event, base::TimePoint now);
  SupervisorAction end_process(base::TimePoint now, std::string why);
  SupervisorAction after_end(base::TimePoint now, const std::string& why);
  SupervisorAction device_failed(const std::string& why, base::TimePoint now);
  void count_gpu_crash(const SupervisorEvent& event);
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
  bool silent_ = false;
  bool on_gpu_ = false;            // the process that runs
  std::uint32_t gpu_crashes_ = 0;  // in a row
  bool evicted_ = false;           // draining, and then idle again
  std::string why_;                // why we end the process, or why its load failed
};

}  // namespace deepseek::gateway
