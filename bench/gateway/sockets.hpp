// Loopback sockets, epoll and the clock for the two programs of this benchmark, without a library
// in between: what they cost themselves limits what they can measure.
#pragma once

#include <sys/epoll.h>

#include <array>
#include <cstdint>
#include <span>
#include <string_view>

namespace bench {

/// CLOCK_MONOTONIC, in nanoseconds; the same for every process of the machine.
std::int64_t now_ns();

/// A listening socket on 127.0.0.1; port 0 lets the system choose. Ends the program on failure.
int listen_on(int port);
int port_of(int socket);

/// The next waiting connection, or -1.
int accept_from(int listener);

/// A connection that is being made, or -1.
int connect_to(int port);

/// What send() took; 0 when the socket is full, -1 when it is broken.
std::int64_t send_some(int socket, std::string_view data);

/// Sets timers to wake as late as they say and no later; without it Linux adds 50 µs.
void wake_exactly();

/// Counts a socket's readiness under its number. One owner, one thread.
class Poller {
 public:
  Poller();
  ~Poller();
  Poller(const Poller&) = delete;
  Poller& operator=(const Poller&) = delete;

  void add(int socket, std::uint32_t events);
  void change(int socket, std::uint32_t events);

  /// Waits until a socket is ready or `until_ns` has come (negative: for ever).
  std::span<const epoll_event> wait(std::int64_t until_ns);

 private:
  int epoll_;
  std::array<epoll_event, 1024> ready_{};
};

}  // namespace bench
