// Waits for SIGTERM, SIGINT and SIGHUP in a coroutine.
//
// Belongs to one executor's thread. While it lives these signals do not end the process; make one,
// in main().
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/signal_set.hpp>

namespace deepseek::io {

class Signals {
 public:
  explicit Signals(const boost::asio::any_io_executor& executor);

  // The number of the next signal. Signals that come between two calls are kept. 0 when the waiting
  // task was cancelled.
  boost::asio::awaitable<int> next();

 private:
  boost::asio::signal_set set_;
};

}  // namespace deepseek::io
