// Decides what to do with a managed program: start it, wait until it is well, end it, start it
// again, give up.
//
// Pure: events and times go in, one action and a time to be woken come out. ManagedProcess does
// what it says and tells what happened; `exited` follows every `spawned` exactly once.
#pragma once

#include "base/clock.hpp"
#include "gateway/backend.hpp"

#include <cstdint>
#include <optional>
#include <string>

namespace deepseek::gateway {

struct ManagedFsmOptions {
  base::Milliseconds start_timeout{600'000};  // from its start until it is well
  base::Milliseconds stop_timeout{10'000};    // from SIGTERM to SIGKILL
  base::Milliseconds kill_timeout{15'000};    // from SIGKILL until it is left to the kernel
  base::Milliseconds unwell_max{60'000};      // checks fail for so long: killed
  base::Milliseconds backoff_min{500};  // of the second restart in a row; the first is at once
  base::Milliseconds backoff_max{60'000};
  base::Milliseconds steady{60'000};     // well for so long: the next restart is a first one
  std::uint32_t check_failures_max = 3;  // in a row, until it counts as not well
  std::uint32_t deaths_max = 10;         // in a row without a steady time: given up
};

struct ManagedEvent {
  enum class Kind {
    start,         // begin
    retry,         // given up before: begin again
    stop,          // end for good
    tick,          // the time asked for has come (early ticks do no harm)
    spawned,       // it runs: `number` is a process id
    spawn_failed,  // it could not be started: `text` says why
    check,         // its health was asked for: `well` or not
    exited,        // it has ended: `text` says how
  };
  Kind kind;
  bool well = false;
  std::uint32_t number = 0;
  std::string text{};
};

enum class ManagedAction { none, spawn, terminate, kill, abandon };

class ManagedFsm {
 public:
  explicit ManagedFsm(const ManagedFsmOptions& options);

  ManagedAction resume(const ManagedEvent& event, base::TimePoint now);

  std::optional<base::TimePoint> wake_at() const { return wake_at_; }
  const BackendStatus& status() const { return status_; }
  bool has_process() const;
  // When a refused client may come again.
  base::Milliseconds retry_after(base::TimePoint now) const;

 private:
  enum class Phase { idle, starting, well, unwell, ending, waiting, failed, stopping, stopped };

  ManagedAction spawn(base::TimePoint now);
  ManagedAction stop(base::TimePoint now);
  ManagedAction tick(base::TimePoint now);
  ManagedAction check(bool well, base::TimePoint now);
  ManagedAction end_process(base::TimePoint now, std::string why);
  ManagedAction after_end(base::TimePoint now, const std::string& why);
  void become(Phase phase, BackendState state, std::string reason);

  ManagedFsmOptions options_;
  Phase phase_ = Phase::idle;
  BackendStatus status_;
  std::optional<base::TimePoint> wake_at_;
  base::TimePoint since_{};       // of the phase
  base::TimePoint well_since_{};  // of this life; zero: never
  std::uint32_t check_failures_ = 0;
  std::uint32_t deaths_ = 0;  // in a row
  bool killed_ = false;       // while it stops
  std::string why_;           // why we ended it
};

}  // namespace deepseek::gateway
