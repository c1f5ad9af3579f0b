// When a second backend is asked beside a slow first one: after the time within which the route's
// attempts nearly always show their first token (Dean and Barroso: "The Tail at Scale", 2013).
//
// Pure; one per route, the caller locks. Whole answers show nothing before their end, so their
// times are kept apart.
#pragma once

#include "base/clock.hpp"
#include "gateway/resilience/latency_window.hpp"

#include <cstdint>
#include <optional>

namespace deepseek::gateway {

struct HedgeOptions {
  std::uint64_t answers_min = 20;    // of the last minute; with fewer nobody knows what is slow
  base::Milliseconds delay_min{10};  // less is noise
};

class HedgePolicy {
 public:
  explicit HedgePolicy(const HedgeOptions& options = {}) : options_(options) {}

  // An attempt showed its first token after `time`, or had not when it lost to another. The losers
  // belong to the picture: without them the slow end of it would fade, and ever more be hedged.
  void note(bool whole, std::chrono::microseconds time, base::TimePoint now) {
    (whole ? whole_ : streamed_).record(time, now);
  }
  // How long the first attempt is waited for; nothing while too little is known.
  std::optional<base::Milliseconds> delay(bool whole, base::TimePoint now);

 private:
  HedgeOptions options_;
  LatencyWindow streamed_;
  LatencyWindow whole_;
};

}  // namespace deepseek::gateway
