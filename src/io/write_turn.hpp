// The end of a thread's turn: all events that were ready have been handled, and the small writes
// that they made are sent, one after the other.
//
// A send wakes the process that reads, and waking a processor that sleeps is the dearest part of
// it. What is sent together wakes it once. In a long turn, as of many streams, writes do not wait
// for its end but for a batch of their like.
//
// A service of the execution context, so it lives as long as that; used by its thread alone.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/execution_context.hpp>
#include <cstddef>
#include <memory>
#include <vector>

namespace deepseek::io {

class HttpConnection;

class WriteTurn final : public boost::asio::execution_context::service {
 public:
  using key_type = WriteTurn;
  static inline boost::asio::execution_context::id id;

  explicit WriteTurn(boost::asio::execution_context& context) : service(context) {}
  static WriteTurn& of(const boost::asio::any_io_executor& executor);

  // end_turn() of the connection is called when this turn ends, if it lives until then.
  void join(std::weak_ptr<HttpConnection> connection);

 private:
  static constexpr std::size_t batch = 16;
  void shutdown() override { joined_.clear(); }
  void send_batch();
  void end();

  std::vector<std::weak_ptr<HttpConnection>> joined_;
  std::vector<std::weak_ptr<HttpConnection>> ending_;  // keeps its memory
};

}  // namespace deepseek::io
