// What is known of one backend's health: breaker, pause after a limit, active checks, ejection and
// recent times, behind one mutex.
//
// Thread-safe: one per backend, shared by all I/O threads. The lock is held for tens of nanoseconds
// and never across I/O. Every ticket from start() or force() is given back by exactly one of
// succeeded(), failed() and cancelled(), or a half-open backend waits `probe_time_max` for nothing.
#pragma once

#include "gateway/resilience/circuit_breaker.hpp"
#include "gateway/resilience/cooldown.hpp"
#include "gateway/resilience/failure.hpp"
#include "gateway/resilience/health_check.hpp"
#include "gateway/resilience/latency_window.hpp"
#include "gateway/resilience/outlier_detector.hpp"

#include <mutex>
#include <optional>

namespace deepseek::gateway {

struct HealthOptions {
  BreakerOptions breaker{};
  CooldownOptions cooldown{};
  HealthCheckOptions check{};
};

enum class Availability : std::uint8_t {
  usable,
  probe,         // usable: the next request is a half-open breaker's probe
  breaker_open,  // or half-open with its probe under way
  cooling_down,  // it answered 429, or 503 with a time
  unhealthy,     // its active checks fail
  ejected,       // it does worse than its peers
};

// Plain words for the status page and `deepseek route explain`.
std::string_view to_string(Availability availability);

struct Usable {
  Availability availability = Availability::usable;
  // Moving average, of streams if there were any, else of whole answers; 0: unknown.
  std::chrono::microseconds first_token{};

  explicit operator bool() const { return availability <= Availability::probe; }
};

struct HealthTicket {
  CircuitBreaker::Permit permit{};
  bool first_token_seen = false;
  bool counted = false;  // a probe that has succeeded with its first token
  bool whole = false;    // nothing is seen of the answer before its end
};

struct HealthView {
  Availability availability = Availability::usable;
  base::Milliseconds back_in{};  // until the named pause ends; 0 if none or unknown
  BreakerState breaker = BreakerState::closed;
  std::uint64_t failures = 0;  // that count, within the breaker's window
  ActiveHealth active = ActiveHealth::unknown;
  std::uint32_t check_failures = 0;
  LatencyQuantiles first_token;
  std::chrono::microseconds first_token_average{};
  LatencyQuantiles total;
  std::optional<FailureKind> last_failure;
  std::string_view eject_reason;  // of the last ejection
};

class BackendHealth {
 public:
  explicit BackendHealth(const HealthOptions& options = {});

  // For the choice among candidates. Reserves nothing.
  Usable usable(base::TimePoint now) const;
  // An attempt begins; nothing if the backend is not usable (any more): choose another.
  std::optional<HealthTicket> start(base::TimePoint now);
  // An attempt begins whatever is known, because there is no other backend.
  HealthTicket force(base::TimePoint now);

  // The answer begins, `since_start` after the attempt began. Optional. For a stream it is worth
  // telling: a probe has succeeded with it, so a half-open backend need not wait for long answers.
  void first_token(HealthTicket& ticket, base::TimePoint now,
                   std::chrono::microseconds since_start);
  // `first_token` is not counted again if first_token() told it.
  void succeeded(HealthTicket& ticket, base::TimePoint now, std::chrono::microseconds first_token,
                 std::chrono::microseconds total);
  // `retry_after`: what the backend said, for the kinds that cool down (failure_table).
  void failed(HealthTicket& ticket, base::TimePoint now, FailureKind kind,
              std::optional<base::Milliseconds> retry_after = std::nullopt);
  void cancelled(HealthTicket& ticket, base::TimePoint now);

  // Active checks: HealthCheck under this lock. A backend whose check has never begun is not judged
  // by it. A backend that becomes healthy may be probed at once, however long its breaker was to
  // stay open.
  void begin_checks(base::TimePoint now, std::uint64_t random);
  base::TimePoint next_check_at() const;
  void check_started();
  void check_finished(bool alive, base::TimePoint now, std::uint64_t random);

  // For the OutlierDetector's owner: what happened since the last call; and its verdict.
  OutlierSample take_sample();
  void eject(const Ejection& ejection);

  HealthView view(base::TimePoint now);

 private:
  Availability availability(base::TimePoint now) const;
  void note_first_token(HealthTicket& ticket, base::TimePoint now,
                        std::chrono::microseconds since_start);

  mutable std::mutex mutex_;
  CircuitBreaker breaker_;
  Cooldown cooldown_;
  HealthCheck check_;
  base::TimePoint ejected_until_{};
  std::string_view eject_reason_;
  LatencyWindow first_token_;
  std::chrono::microseconds whole_average_{};  // of whole answers
  LatencyWindow total_;
  OutlierSample sample_;
  std::optional<FailureKind> last_failure_;
};

}  // namespace deepseek::gateway
