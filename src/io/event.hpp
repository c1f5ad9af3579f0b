// A wake-up between coroutines of one thread: wait() returns after the next notify().
//
// Lives on one executor's thread. It remembers nothing: whoever waits checks its own condition in a
// loop. It is a timer that never expires, so a context that is destroyed takes its waiters along.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <tuple>

namespace deepseek::io {

class Event {
 public:
  explicit Event(const boost::asio::any_io_executor& executor)
      : timer_(executor, boost::asio::steady_timer::time_point::max()) {}

  // Returns after notify(), and after cancellation of the waiting task.
  boost::asio::awaitable<std::tuple<boost::system::error_code>> wait() {
    return timer_.async_wait(boost::asio::as_tuple(boost::asio::use_awaitable));
  }
  void notify() { timer_.cancel(); }

 private:
  boost::asio::steady_timer timer_;
};

}  // namespace deepseek::io
