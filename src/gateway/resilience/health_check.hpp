// Decides when to ask a backend for a sign of life, and what the answers mean.
//
// Pure; one owner. The shell sends the probe at next_probe_at(), tells started(), and then
// finished(). Nothing is held against a backend before the first `failures_max` failures.
#pragma once

#include "base/clock.hpp"

#include <cstdint>
#include <string_view>

namespace deepseek::gateway {

struct HealthCheckOptions {
  base::Milliseconds interval{10'000};
  base::Milliseconds interval_failing{2'000};  // after a failure: to be sure, and to see it return
  double jitter = 0.2;                         // ± share, so that gateways do not probe in step
  std::uint32_t failures_max = 3;              // in a row, to become unhealthy
  std::uint32_t successes_min = 2;             // in a row, to become healthy again
};

enum class ActiveHealth : std::uint8_t { unknown, healthy, unhealthy };

std::string_view to_string(ActiveHealth health);

class HealthCheck {
 public:
  explicit HealthCheck(const HealthCheckOptions& options) : options_(options) {}

  // The first probe comes within `interval_failing`, spread by `random`.
  void begin(base::TimePoint now, std::uint64_t random);
  void started() { running_ = true; }
  // True if the verdict changed.
  bool finished(bool alive, base::TimePoint now, std::uint64_t random);
  // Never while a probe runs, and before begin().
  base::TimePoint next_probe_at() const {
    return running_ ? base::TimePoint::max() : next_probe_at_;
  }
  ActiveHealth health() const { return health_; }
  std::uint32_t failures_in_a_row() const { return failures_; }

 private:
  HealthCheckOptions options_;
  ActiveHealth health_ = ActiveHealth::unknown;
  std::uint32_t failures_ = 0;
  std::uint32_t successes_ = 0;
  bool running_ = false;
  base::TimePoint next_probe_at_ = base::TimePoint::max();
};

}  // namespace deepseek::gateway
