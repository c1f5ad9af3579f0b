#include "gateway/resilience/backend_health.hpp"

#include <algorithm>
#include <utility>

namespace deepseek::gateway {

using base::TimePoint;
using std::chrono::microseconds;

std::string_view to_string(Availability availability) {
  switch (availability) {
    case Availability::usable:
      return "usable";
    case Availability::probe:
      return "being tried again after failures";
    case Availability::breaker_open:
      return "switched off for a while after failures";
    case Availability::cooling_down:
      return "waiting because it said it is limited";
    case Availability::unhealthy:
      return "not answering health checks";
    case Availability::ejected:
      return "switched off for a while because others do better";
  }
  return "usable";
}

BackendHealth::BackendHealth(const HealthOptions& options)
    : breaker_(options.breaker), cooldown_(options.cooldown), check_(options.check) {}

Availability BackendHealth::availability(TimePoint now) const {
  if (check_.health() == ActiveHealth::unhealthy) return Availability::unhealthy;
  if (now < ejected_until_) return Availability::ejected;
  if (cooldown_.active(now)) return Availability::cooling_down;
  if (!breaker_.would_allow(now)) return Availability::breaker_open;
  return breaker_.state(now) == BreakerState::closed ? Availability::usable : Availability::probe;
}

Usable BackendHealth::usable(TimePoint now) const {
  const std::lock_guard lock(mutex_);
  const bool streamed = first_token_.average().count() > 0;
  return {availability(now), streamed ? first_token_.average() : whole_average_};
}

std::optional<HealthTicket> BackendHealth::start(TimePoint now) {
  const std::lock_guard lock(mutex_);
  if (availability(now) > Availability::probe) return std::nullopt;
  return HealthTicket{breaker_.force(now)};
}

HealthTicket BackendHealth::force(TimePoint now) {
  const std::lock_guard lock(mutex_);
  return HealthTicket{breaker_.force(now)};
}

void BackendHealth::note_first_token(HealthTicket& ticket, TimePoint now,
                                     microseconds since_start) {
  if (ticket.first_token_seen) return;
  ticket.first_token_seen = true;
  if (!ticket.whole) {
    first_token_.record(since_start, now);
  } else if (whole_average_.count() == 0) {
    whole_average_ = since_start;
  } else {
    whole_average_ += (since_start - whole_average_) / 8;
  }
  ++sample_.first_tokens;
  sample_.first_token_sum += since_start;
  cooldown_.succeeded(now);
}

void BackendHealth::first_token(HealthTicket& ticket, TimePoint now, microseconds since_start) {
  const std::lock_guard lock(mutex_);
  note_first_token(ticket, now, since_start);
  if (ticket.permit.probe == 0 || ticket.counted) return;
  ticket.counted = true;
  breaker_.succeeded(ticket.permit, now);
}

void BackendHealth::succeeded(HealthTicket& ticket, TimePoint now, microseconds first_token,
                              microseconds total) {
  const std::lock_guard lock(mutex_);
  note_first_token(ticket, now, first_token);
  total_.record(total, now);
  ++sample_.successes;
  if (!ticket.counted) breaker_.succeeded(ticket.permit, now);
}

void BackendHealth::failed(HealthTicket& ticket, TimePoint now, FailureKind kind,
                           std::optional<base::Milliseconds> retry_after) {
  const FailureInfo& info = describe(kind);
  const std::lock_guard lock(mutex_);
  if (kind == FailureKind::status_429 || (info.cools_down && retry_after)) {
    cooldown_.limited(now, retry_after);
  }
  if (kind != FailureKind::client_cancelled) last_failure_ = kind;
  if (!info.counts) return breaker_.cancelled(ticket.permit);
  ++sample_.failures;
  breaker_.failed(ticket.permit, now);
}

void BackendHealth::cancelled(HealthTicket& ticket, TimePoint) {
  const std::lock_guard lock(mutex_);
  breaker_.cancelled(ticket.permit);
}

void BackendHealth::begin_checks(TimePoint now, std::uint64_t random) {
  const std::lock_guard lock(mutex_);
  check_.begin(now, random);
}

TimePoint BackendHealth::next_check_at() const {
  const std::lock_guard lock(mutex_);
  return check_.next_probe_at();
}

void BackendHealth::check_started() {
  const std::lock_guard lock(mutex_);
  check_.started();
}

void BackendHealth::check_finished(bool alive, TimePoint now, std::uint64_t random) {
  const std::lock_guard lock(mutex_);
  const bool changed = check_.finished(alive, now, random);
  if (changed && check_.health() == ActiveHealth::healthy) breaker_.hasten(now);
}

OutlierSample BackendHealth::take_sample() {
  const std::lock_guard lock(mutex_);
  return std::exchange(sample_, OutlierSample{});
}

void BackendHealth::eject(const Ejection& ejection) {
  const std::lock_guard lock(mutex_);
  ejected_until_ = ejection.until;
  eject_reason_ = ejection.reason;
}

HealthView BackendHealth::view(TimePoint now) {
  const std::lock_guard lock(mutex_);
  HealthView out;
  out.availability = availability(now);
  TimePoint back = now;
  if (now < ejected_until_) back = std::max(back, ejected_until_);
  if (cooldown_.active(now)) back = std::max(back, cooldown_.until());
  if (breaker_.state(now) == BreakerState::open) back = std::max(back, breaker_.open_until());
  out.back_in = std::chrono::ceil<base::Milliseconds>(back - now);
  out.breaker = breaker_.state(now);
  out.failures = breaker_.failures(now);
  out.active = check_.health();
  out.check_failures = check_.failures_in_a_row();
  out.first_token = first_token_.quantiles(now);
  out.first_token_average = first_token_.average();
  out.total = total_.quantiles(now);
  out.last_failure = last_failure_;
  out.eject_reason = eject_reason_;
  return out;
}

}  // namespace deepseek::gateway
