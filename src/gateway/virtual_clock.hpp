// For tests: time and chance of answer runs in the test's hands. Nobody waits; time jumps to the
// next thing that happens. One thread.
//
// Not linked into any program.
#pragma once

#include "gateway/run_clock.hpp"

#include <boost/asio/io_context.hpp>
#include <functional>
#include <map>
#include <memory>
#include <random>
#include <utility>

namespace deepseek::gateway::testing {

class VirtualClock final : public RunClock {
 public:
  explicit VirtualClock(std::uint64_t seed = 1) : random_(seed) {}

  base::TimePoint now() override { return now_; }
  std::uint64_t random_bits() override { return random_(); }
  void set(const std::shared_ptr<RunAlarm>& alarm, base::TimePoint time) override {
    alarm->timer.expires_at(base::TimePoint::max());
    if (time == base::TimePoint::max()) return;
    at(time, [weak = std::weak_ptr(alarm)] {
      if (const auto woken = weak.lock()) woken->timer.cancel();
    });
  }

  // `what` happens when `time` has come; at once if it is past.
  void at(base::TimePoint time, std::function<void()> what) {
    agenda_.emplace(std::max(time, now_), std::move(what));
  }
  void after(base::Milliseconds span, std::function<void()> what) {
    at(now_ + span, std::move(what));
  }

  // Until nothing is left to happen, or `enough` says so between two points in time.
  void run(boost::asio::io_context& context, const std::function<bool()>& enough = {}) {
    settle(context);
    while (!agenda_.empty() && !(enough && enough())) {
      now_ = agenda_.begin()->first;
      while (!agenda_.empty() && agenda_.begin()->first == now_) {
        const auto what = agenda_.extract(agenda_.begin());
        what.mapped()();
      }
      settle(context);
    }
  }

 private:
  static void settle(boost::asio::io_context& context) {
    do {
      context.restart();
    } while (context.poll() > 0);
  }

  base::TimePoint now_{std::chrono::hours(1)};
  std::mt19937_64 random_;
  std::multimap<base::TimePoint, std::function<void()>> agenda_;  // equal times in their order
};

}  // namespace deepseek::gateway::testing
