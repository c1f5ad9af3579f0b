// One backend with what the gateway knows of it: what it serves and costs, how it does, and how
// much of it is in use.
//
// Made by main() with its backend, which outlives it; shared by all I/O threads and by every
// configuration that names it. Thread-safe.
#pragma once

#include "gateway/backend.hpp"
#include "gateway/balance/strategy.hpp"
#include "gateway/resilience/backend_health.hpp"
#include "gateway/wait_room.hpp"

#include <atomic>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace deepseek::gateway {

struct TargetOptions {
  std::string name;
  std::string zone{};
  std::vector<std::string> models{};  // it serves; empty: any
  std::uint32_t weight = 1;
  std::uint32_t in_flight_max = 1000;
  bool continues = false;  // can go on behind a text that is there already
  bool local = false;      // an engine of ours: only its own scheduler queues
  base::Milliseconds first_token_timeout{60'000};
  HealthOptions health{};
};

class Target {
 public:
  Target(TargetOptions options, Backend& backend);
  Target(const Target&) = delete;
  Target& operator=(const Target&) = delete;

  const TargetOptions& options() const { return options_; }
  const std::string& name() const { return options_.name; }
  Backend& backend() const { return backend_; }
  BackendHealth& health() { return health_; }
  const BackendHealth& health() const { return health_; }
  bool serves(std::string_view model) const;
  // The models that it said it has, for the list of models; as of its last health check.
  void set_listed(std::vector<std::string> models);
  std::vector<std::string> listed() const;

  // Takes one of the `in_flight_max` places; false when all are taken.
  bool enter();
  // Gives it back, and calls one of those that wait for it.
  void leave();
  // The rooms in which requests wait for a place here. A room stays until remove_room() returns.
  void add_room(WaitRoom& room);
  void remove_room(WaitRoom& room);
  // Somebody has begun to wait in one of them: the next leave() looks there.
  void expect_calls();
  // Called on any thread whenever the last request in flight has ended; null ends that. Who sets it
  // looks at in_flight() afterwards.
  void set_idle_hook(std::function<void()> hook);
  std::uint32_t in_flight() const { return in_flight_.load(std::memory_order_relaxed); }
  bool full() const { return in_flight() >= options_.in_flight_max; }

  void add_work(std::int64_t tokens) { work_tokens_ += tokens; }
  // A finished request: its tokens over its time, for the throughput that least_work needs.
  void note_speed(std::int64_t tokens, std::chrono::microseconds took);

  // For a strategy; `usable` is the caller's to decide.
  ReplicaView view(const Usable& usable, double price) const;

 private:
  const TargetOptions options_;
  Backend& backend_;
  BackendHealth health_;
  mutable std::mutex listed_mutex_;
  std::vector<std::string> listed_;
  std::mutex rooms_mutex_;
  std::vector<WaitRoom*> rooms_;
  std::size_t next_room_ = 0;
  std::mutex hook_mutex_;
  std::function<void()> idle_hook_;
  std::atomic<bool> has_idle_hook_{false};
  std::atomic<std::uint32_t> calls_pending_{0};  // rooms with somebody in them, or more
  std::atomic<std::uint32_t> in_flight_{0};
  std::atomic<std::int64_t> work_tokens_{0};
  std::atomic<double> tokens_per_second_{0};
};

// One request's use of a target: place, work and health ticket, given back exactly once.
class TargetUse {
 public:
  TargetUse() = default;
  // The place was taken with enter().
  TargetUse(Target& target, HealthTicket ticket, std::int64_t tokens, base::TimePoint began);
  TargetUse(TargetUse&& other) noexcept;
  TargetUse& operator=(TargetUse&& other) noexcept;
  ~TargetUse();  // without a verdict: as cancelled

  Target* target() const { return target_; }
  base::TimePoint began() const { return began_; }
  void first_token(base::TimePoint now);
  void succeeded(base::TimePoint now, std::int64_t tokens);
  void failed(base::TimePoint now, const AttemptFailure& failure);
  void cancelled(base::TimePoint now);

 private:
  void release();

  Target* target_ = nullptr;
  HealthTicket ticket_{};
  std::int64_t tokens_ = 0;
  base::TimePoint began_{};
  std::optional<base::TimePoint> first_token_{};
};

}  // namespace deepseek::gateway
