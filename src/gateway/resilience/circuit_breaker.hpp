// Decides whether a backend may be asked at all: closed (yes), open (no, for a while), half-open
// (one request at a time, to see).
//
// Pure; one owner. It opens after `failures_max` failures within the window that came either in a
// row or as at least `failure_percent_min` of all results. Both are needed. A bare count would shut
// a backend that fails 10 of 100,000 requests. A bare share would notice the death of a busy
// backend only once the dead half of the window outweighs the living one.
#pragma once

#include "base/clock.hpp"
#include "gateway/resilience/sliding_counts.hpp"

#include <cstdint>
#include <optional>
#include <string_view>

namespace deepseek::gateway {

struct BreakerOptions {
  std::uint32_t failures_max = 10;
  base::Milliseconds window{120'000};
  std::uint32_t failure_percent_min = 50;
  base::Milliseconds open_time{60'000};
  std::uint32_t successes_min = 3;            // of probes in a row, to close again
  base::Milliseconds probe_time_max{60'000};  // then another probe may go; the first still counts
};

enum class BreakerState : std::uint8_t { closed, open, half_open };

std::string_view to_string(BreakerState state);

class CircuitBreaker {
 public:
  // The leave to make one attempt. Each granted one is reported by exactly one of succeeded(),
  // failed() and cancelled(). Results of attempts from before the last change of state are ignored:
  // they say nothing of now.
  struct Permit {
    std::uint32_t period = 0;  // the number of the change of state before it
    std::uint32_t probe = 0;   // 0: none
  };

  explicit CircuitBreaker(const BreakerOptions& options)
      : options_(options), counts_(options.window) {}

  // Whether allow() would grant now. Reserves nothing.
  bool would_allow(base::TimePoint now) const;
  // Half-open, the permit reserves the one probe until its result.
  std::optional<Permit> allow(base::TimePoint now);
  // A permit in any state, for when no backend is left that could be asked instead. Its success
  // while open begins the half-open time at once.
  Permit force(base::TimePoint now);

  void succeeded(Permit permit, base::TimePoint now);
  void failed(Permit permit, base::TimePoint now);
  // Neither: the client left, or the answer says nothing of the backend. Frees the probe.
  void cancelled(Permit permit);
  // Something else saw the backend alive (an active check): an open breaker tries it now.
  void hasten(base::TimePoint now);

  BreakerState state(base::TimePoint now) const;
  // When an open breaker becomes half-open; meaningless in other states.
  base::TimePoint open_until() const { return open_until_; }
  std::uint64_t failures(base::TimePoint now) { return counts_.total(bad, now); }

 private:
  enum Kind : std::size_t { good, bad };

  void become(BreakerState state);
  void open(base::TimePoint now);
  void probe_succeeded(Permit permit);
  void release(Permit permit);
  bool probe_runs(base::TimePoint now) const;

  BreakerOptions options_;
  SlidingCounts<2> counts_;
  BreakerState state_ = BreakerState::closed;
  std::uint32_t period_ = 0;
  std::uint32_t in_a_row_ = 0;  // closed: failures; half-open: successes
  base::TimePoint last_failure_{};
  base::TimePoint open_until_{};
  std::uint32_t probe_ = 0;  // the running one; 0: none
  std::uint32_t probes_sent_ = 0;
  base::TimePoint probe_since_{};
};

}  // namespace deepseek::gateway
