// Where an answer_run takes time and chance from, if not from the system: a simulation has both in
// its hands.
//
// Lives on the run's thread and outlives it.
#pragma once

#include "base/clock.hpp"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cstdint>
#include <memory>

namespace deepseek::gateway {

// What a run waits with. Shared with wakers on other threads, which post to the run's thread and
// find it gone or not. A waiter may be woken for nothing: it looks again.
struct RunAlarm {
  explicit RunAlarm(const boost::asio::any_io_executor& executor) : timer(executor) {}
  boost::asio::steady_timer timer;
  bool called = false;  // by a wait room
};

class RunClock {
 public:
  virtual ~RunClock() = default;
  virtual base::TimePoint now() = 0;
  virtual std::uint64_t random_bits() = 0;
  // Sets the timer so that its waiters are woken at `time`.
  virtual void set(const std::shared_ptr<RunAlarm>& alarm, base::TimePoint time) = 0;
};

}  // namespace deepseek::gateway
