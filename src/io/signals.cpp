#include "io/signals.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <csignal>

namespace deepseek::io {

namespace asio = boost::asio;

Signals::Signals(const asio::any_io_executor& executor) : set_(executor, SIGTERM, SIGINT, SIGHUP) {}

asio::awaitable<int> Signals::next() {
  const auto [error, number] = co_await set_.async_wait(asio::as_tuple(asio::use_awaitable));
  if (error) co_return 0;
  co_return number;
}

}  // namespace deepseek::io
