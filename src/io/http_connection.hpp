// One connection as bytes, accepted or made: a buffer of what arrived, writes with back-pressure,
// one deadline, and the watch for a peer that leaves while nothing is read from it.
//
// Made by shared_ptr (its pending waits hold it), lives on one I/O thread, used by one HttpSession
// or HttpClient. It knows nothing of HTTP.
#pragma once

#include "base/clock.hpp"
#include "base/result.hpp"
#include "io/event.hpp"
#include "io/transport.hpp"
#include "io/write_turn.hpp"

#include <array>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace deepseek::io {

enum class InputStatus { data, closed, timed_out };

class HttpConnection : public std::enable_shared_from_this<HttpConnection> {
 public:
  using Socket = boost::asio::ip::tcp::socket;

  // A server's side; `tls` may be null.
  HttpConnection(Socket socket, SSL_CTX* tls, std::size_t watch_max);
  // Either side; without a transport the connection is gone from the start.
  HttpConnection(Socket socket, std::unique_ptr<Transport> transport, std::size_t watch_max);

  boost::asio::awaitable<InputStatus> handshake();

  // Waits for bytes and appends them to input(). timed_out when the deadline passed.
  boost::asio::awaitable<InputStatus> read();
  std::string_view input() const { return std::string_view(input_).substr(input_begin_); }
  void consume(std::size_t size);
  // What arrives from now on is appended to `target` instead, at most `size_max` bytes; null ends
  // that. For a large body, which would be copied once more.
  void read_into(std::string* target, std::size_t size_max);

  // Writes all parts, gathered. Fails with `cancelled` when the client is gone, or takes nothing
  // for `timeout`. One at a time; what the parts point to stays until it returns. A small write has
  // returned before it is sent: it goes out at the end of this turn of the thread.
  void set_parts(std::initializer_list<std::string_view> parts);
  boost::asio::awaitable<base::Result<void>> write(base::Milliseconds timeout);
  // As much of that as goes without waiting; true when all is written. write() does the rest, and
  // tells what is wrong.
  bool write_now();
  // WriteTurn's: sends what small writes have left, at the end of a turn, or before it. Before it
  // nobody is told when the peer has gone, since somebody else's event is being handled.
  void end_turn();
  void send_early();

  // For waits in read() and handshake(). A write that waits sets its own.
  void set_deadline(base::TimePoint deadline);
  void clear_deadline() { deadline_ = base::TimePoint::max(); }

  // While watched, input is read on, up to watch_max bytes, and `on_end` is called once when the
  // connection ends. With a full buffer only a reset is noticed.
  void watch(std::function<void()> on_end);
  void unwatch();
  bool watching() const { return watching_; }

  // Why the last handshake failed, in words.
  std::string transport_problem() const;
  // The peer has closed or broken its side.
  bool ended() const { return ended_; }
  // Nothing more can be written.
  bool gone() const { return gone_; }
  // From now on writes fail and a writer that waits is woken.
  void mark_gone();

  void shutdown_write();
  // Ends everything at once, hard.
  void cut();
  // The last call of its user: drops timers and waits.
  void close();

  boost::asio::any_io_executor executor() { return socket_.get_executor(); }

 private:
  // Reads once into input_. False when there was nothing to read.
  bool read_some(std::size_t size_max);
  void pump();
  void arm_read_wait();
  void arm_error_wait();
  void arm_receive();
  void on_received(boost::system::error_code error, std::size_t size);
  void on_readable(boost::system::error_code error);
  void wake_reader();
  void take(std::string_view bytes);
  bool is_broken() const;
  void arm_timer();
  void on_timer();
  void end();
  bool defer_parts();
  bool send_deferred();
  void arm_deferred_wait();
  void drop_written(std::size_t written);

  Socket socket_;
  std::unique_ptr<Transport> transport_;
  std::size_t watch_max_;
  std::string input_;
  std::size_t input_begin_ = 0;
  std::array<char, 1024> arrival_;  // what a wait for bytes has received
  std::string* target_ = nullptr;
  std::size_t target_left_ = 0;
  std::array<iovec, 4> parts_{};
  std::size_t parts_begin_ = 0;
  std::size_t parts_end_ = 0;
  WriteTurn& turn_;
  std::string deferred_;  // small writes of this turn, or what the peer does not take yet
  std::size_t deferred_begin_ = 0;
  Event input_event_;
  boost::asio::steady_timer timer_;
  base::TimePoint deadline_ = base::TimePoint::max();
  base::TimePoint timer_at_ = base::TimePoint::max();  // what the timer is armed for
  std::function<void()> on_end_;
  bool watching_ = false;
  bool readable_ = true;   // a read may find something
  bool received_ = false;  // a wait has put something into input_ that read() has not told
  bool read_wait_armed_ = false;
  bool error_wait_armed_ = false;
  bool timed_out_ = false;
  bool write_blocked_ = false;  // the last write_now() would have had to wait
  bool turn_joined_ = false;
  bool deferred_wait_armed_ = false;
  bool shutdown_due_ = false;  // once deferred_ is sent
  bool ended_ = false;
  bool gone_ = false;
};

}  // namespace deepseek::io
