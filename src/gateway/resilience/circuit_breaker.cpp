#include "gateway/resilience/circuit_breaker.hpp"

#include <algorithm>

namespace deepseek::gateway {

using base::TimePoint;

std::string_view to_string(BreakerState state) {
  switch (state) {
    case BreakerState::closed:
      return "closed";
    case BreakerState::open:
      return "open";
    case BreakerState::half_open:
      return "half-open";
  }
  return "closed";
}

BreakerState CircuitBreaker::state(TimePoint now) const {
  return state_ == BreakerState::open && now >= open_until_ ? BreakerState::half_open : state_;
}

bool CircuitBreaker::probe_runs(TimePoint now) const {
  return probe_ != 0 && now - probe_since_ < options_.probe_time_max;
}

bool CircuitBreaker::would_allow(TimePoint now) const {
  if (state_ == BreakerState::closed) return true;
  return state(now) == BreakerState::half_open && !probe_runs(now);
}

std::optional<CircuitBreaker::Permit> CircuitBreaker::allow(TimePoint now) {
  if (!would_allow(now)) return std::nullopt;
  return force(now);
}

CircuitBreaker::Permit CircuitBreaker::force(TimePoint now) {
  if (state_ == BreakerState::open && now >= open_until_) become(BreakerState::half_open);
  if (state_ != BreakerState::half_open || probe_runs(now)) return {period_, 0};
  probes_sent_ = std::max(probes_sent_ + 1, 1u);  // never 0, which means none
  probe_ = probes_sent_;
  probe_since_ = now;
  return {period_, probe_};
}

void CircuitBreaker::become(BreakerState state) {
  state_ = state;
  ++period_;
  in_a_row_ = 0;
  probe_ = 0;
}

void CircuitBreaker::open(TimePoint now) {
  become(BreakerState::open);
  open_until_ = now + options_.open_time;
}

void CircuitBreaker::release(Permit permit) {
  if (permit.period == period_ && permit.probe == probe_) probe_ = 0;
}

void CircuitBreaker::succeeded(Permit permit, TimePoint now) {
  if (permit.period != period_) return;
  if (state_ == BreakerState::closed) {
    in_a_row_ = 0;
    counts_.add(good, now);
    return;
  }
  if (state_ == BreakerState::open)
    become(BreakerState::half_open);  // a forced one
  else
    release(permit);
  if (++in_a_row_ < options_.successes_min) return;
  become(BreakerState::closed);
  counts_.clear();
}

void CircuitBreaker::failed(Permit permit, TimePoint now) {
  if (permit.period != period_) return;
  if (state_ != BreakerState::closed) {
    // A forced attempt that fails while open shows nothing new, and must not keep it open for ever.
    if (state_ == BreakerState::half_open) open(now);
    return;
  }
  in_a_row_ = now - last_failure_ > options_.window ? 1 : in_a_row_ + 1;
  last_failure_ = now;
  counts_.add(bad, now);
  const std::uint64_t failures = counts_.total(bad, now);
  const std::uint64_t results = failures + counts_.total(good, now);
  const bool in_a_row = in_a_row_ >= options_.failures_max;
  const bool share =
      failures >= options_.failures_max && failures * 100 >= results * options_.failure_percent_min;
  if (in_a_row || share) open(now);
}

void CircuitBreaker::cancelled(Permit permit) {
  release(permit);
}

void CircuitBreaker::hasten(TimePoint now) {
  if (state_ == BreakerState::open) open_until_ = std::min(open_until_, now);
}

}  // namespace deepseek::gateway
