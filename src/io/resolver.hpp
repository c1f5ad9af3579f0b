// From a host's name to addresses, with a deadline and a memory.
//
// Belongs to one I/O thread. The system's resolver works on a thread of its own and knows no
// deadline; a lookup that is given up goes on there, and its result is remembered. A name that can
// no longer be resolved keeps its last addresses: a broken name server must not stop a working
// upstream.
#pragma once

#include "base/clock.hpp"
#include "base/result.hpp"
#include "io/connect_stop.hpp"
#include "io/http_url.hpp"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <memory>
#include <vector>

namespace deepseek::io {

class Resolver {
 public:
  using Addresses = std::vector<boost::asio::ip::tcp::endpoint>;

  // `fresh_for`: addresses of that age are taken without asking again.
  explicit Resolver(boost::asio::any_io_executor executor,
                    base::Milliseconds fresh_for = base::Milliseconds(10'000));
  ~Resolver();
  Resolver(const Resolver&) = delete;
  Resolver& operator=(const Resolver&) = delete;

  // At least one address. Errors: unavailable, deadline_exceeded, cancelled.
  boost::asio::awaitable<base::Result<Addresses>> resolve(HttpUrl url, base::TimePoint deadline,
                                                          std::shared_ptr<ConnectStop> stop);

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace deepseek::io
