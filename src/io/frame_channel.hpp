// Length-prefixed frames over a connected Unix stream socket: 4 bytes of length, big endian, then
// the payload.
//
// Belongs to one I/O thread; one reader and any number of writers there. Writes are queued up to a
// bound and written in order, several frames in one system call.
#pragma once

#include "base/result.hpp"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <cstddef>
#include <memory>
#include <string>
#include <utility>

namespace deepseek::io {

class FrameChannel {
 public:
  struct Options {
    std::size_t frame_max = 64u << 20;  // bytes of one frame; a longer one is an error of the peer
    std::size_t write_queue_max = 64u << 20;  // bytes waiting to be written
  };
  // Takes ownership of `descriptor`.
  FrameChannel(boost::asio::any_io_executor executor, int descriptor, Options options);
  ~FrameChannel();  // close() must have been called and its writer ended, or the executor be
                    // stopped

  // The next frame. `cancelled` after the peer closed or close() was called; `invalid_request` for
  // an oversized frame.
  boost::asio::awaitable<base::Result<std::string>> read();

  // Queues a frame; `queue_full` when write_queue_max would be passed, `cancelled` after close.
  // Never waits.
  base::Result<void> send(std::string payload);

  // Closes the socket; pending reads return. Idempotent.
  void close();

 private:
  struct State;
  std::shared_ptr<State> state_;
};

// Two connected Unix stream sockets (close-on-exec): first for us, second for the child.
base::Result<std::pair<int, int>> make_socket_pair();

}  // namespace deepseek::io
