#include "gateway/resilience/health_check.hpp"

#include "gateway/resilience/random.hpp"

#include <algorithm>

namespace deepseek::gateway {

namespace {

base::Clock::duration share(base::Milliseconds time, double factor) {
  const double us = static_cast<double>(std::chrono::microseconds(time).count()) * factor;
  return std::chrono::microseconds(static_cast<std::int64_t>(us));
}

}  // namespace

std::string_view to_string(ActiveHealth health) {
  switch (health) {
    case ActiveHealth::unknown:
      return "unknown";
    case ActiveHealth::healthy:
      return "healthy";
    case ActiveHealth::unhealthy:
      return "unhealthy";
  }
  return "unknown";
}

void HealthCheck::begin(base::TimePoint now, std::uint64_t random) {
  running_ = false;
  next_probe_at_ = now + share(options_.interval_failing, unit_interval(random));
}

bool HealthCheck::finished(bool alive, base::TimePoint now, std::uint64_t random) {
  running_ = false;
  failures_ = alive ? 0 : failures_ + 1;
  successes_ = alive ? successes_ + 1 : 0;
  const bool quiet = alive && health_ != ActiveHealth::unhealthy;
  next_probe_at_ = now + share(quiet ? options_.interval : options_.interval_failing,
                               1 + options_.jitter * (2 * unit_interval(random) - 1));
  const ActiveHealth before = health_;
  if (failures_ >= std::max(options_.failures_max, 1u)) health_ = ActiveHealth::unhealthy;
  if (alive && (health_ == ActiveHealth::unknown || successes_ >= options_.successes_min)) {
    health_ = ActiveHealth::healthy;
  }
  return health_ != before;
}

}  // namespace deepseek::gateway
