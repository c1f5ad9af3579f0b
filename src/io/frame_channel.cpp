#include "io/frame_channel.hpp"

#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>
#include <array>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cerrno>
#include <cstring>
#include <deque>
#include <limits>
#include <vector>

namespace deepseek::io {

namespace asio = boost::asio;
using base::ErrorCode;

namespace {

constexpr std::size_t header_size = 4;
constexpr std::size_t read_size = 64u << 10;
constexpr std::size_t parts_max = 64;  // pieces in one system call

std::array<char, header_size> encode_length(std::size_t length) {
  return {static_cast<char>(length >> 24), static_cast<char>(length >> 16),
          static_cast<char>(length >> 8), static_cast<char>(length)};
}

std::size_t decode_length(const char* bytes) {
  std::size_t length = 0;
  for (std::size_t i = 0; i < header_size; ++i) {
    length = length << 8 | static_cast<unsigned char>(bytes[i]);
  }
  return length;
}

struct Frame {
  std::array<char, header_size> header;
  std::string payload;
  std::size_t size() const { return header_size + payload.size(); }
};

}  // namespace

struct FrameChannel::State : std::enable_shared_from_this<State> {
  State(asio::any_io_executor executor, int descriptor, Options given) : options(given) {
    socket.emplace(executor);
    boost::system::error_code error;
    socket->assign(asio::local::stream_protocol(), descriptor, error);
    if (!error) socket->non_blocking(true, error);
    if (error) {
      ::close(descriptor);
      closed = true;
    }
  }

  // The frame at the front of the buffer, if it is complete.
  std::optional<base::Result<std::string>> take_frame() {
    const std::size_t available = input_end - input_begin;
    if (available < header_size) return std::nullopt;
    const std::size_t length = decode_length(input.data() + input_begin);
    if (length > options.frame_max) {
      return base::make_error(ErrorCode::invalid_request,
                              "the peer sent a frame of " + std::to_string(length) +
                                  " bytes; at most " + std::to_string(options.frame_max) +
                                  " are allowed");
    }
    if (available < header_size + length) return std::nullopt;
    std::string payload(input.data() + input_begin + header_size, length);
    input_begin += header_size + length;
    return payload;
  }

  // Makes room behind the bytes that are there; grows towards the frame that is being read, but
  // only as its bytes arrive.
  void make_room() {
    if (input_begin == input_end) input_begin = input_end = 0;
    if (input_begin == 0 && input_end == 0 && input.size() > 4 * read_size) {
      input.resize(read_size);
      input.shrink_to_fit();
    }
    if (input.size() - input_end >= read_size / 2) return;
    if (input_begin > 0) {
      std::memmove(input.data(), input.data() + input_begin, input_end - input_begin);
      input_end -= input_begin;
      input_begin = 0;
    }
    if (input.size() - input_end < read_size / 2) {
      input.resize(std::max(read_size, input.size() * 2));
    }
  }

  // Writes as much as the kernel takes now. False when it takes no more at the moment.
  bool write_some() {
    while (!closed && !queue.empty()) {
      std::array<iovec, parts_max> parts{};
      std::size_t count = 0;
      std::size_t skip = front_written;
      const auto add = [&](char* data, std::size_t size) {
        const std::size_t skipped = std::min(skip, size);
        skip -= skipped;
        if (size > skipped) parts[count++] = {data + skipped, size - skipped};
      };
      for (auto frame = queue.begin(); frame != queue.end() && count + 2 <= parts_max; ++frame) {
        add(frame->header.data(), header_size);
        add(frame->payload.data(), frame->payload.size());
      }
      msghdr message{};
      message.msg_iov = parts.data();
      message.msg_iovlen = count;
      const ssize_t written =
          ::sendmsg(socket->native_handle(), &message, MSG_NOSIGNAL | MSG_DONTWAIT);
      if (written < 0 && errno == EINTR) continue;
      if (written < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return false;
      if (written < 0) {
        close();
        return true;
      }
      drop_written(static_cast<std::size_t>(written));
    }
    return true;
  }

  void drop_written(std::size_t written) {
    queued_bytes -= written;
    front_written += written;
    while (!queue.empty() && front_written >= queue.front().size()) {
      front_written -= queue.front().size();
      queue.pop_front();
    }
  }

  void flush() {
    if (closed || write_some()) {
      writing = false;
      return;
    }
    socket->async_wait(asio::socket_base::wait_write,
                       [self = shared_from_this()](boost::system::error_code error) {
                         if (error) {
                           self->writing = false;
                           self->close();
                         } else {
                           self->flush();
                         }
                       });
  }

  void close() {
    if (closed) return;
    closed = true;
    queue.clear();
    queued_bytes = 0;
    boost::system::error_code ignored;
    socket->close(ignored);
  }

  Options options;
  std::optional<asio::local::stream_protocol::socket> socket;
  std::vector<char> input;
  std::size_t input_begin = 0;
  std::size_t input_end = 0;
  std::deque<Frame> queue;
  std::size_t front_written = 0;  // bytes of the first frame that are out
  std::size_t queued_bytes = 0;
  bool writing = false;  // a flush is posted or waits for the socket
  bool closed = false;
};

FrameChannel::FrameChannel(asio::any_io_executor executor, int descriptor, Options options)
    : state_(std::make_shared<State>(std::move(executor), descriptor, options)) {}

FrameChannel::~FrameChannel() {
  state_->close();
}

asio::awaitable<base::Result<std::string>> FrameChannel::read() {
  const std::shared_ptr<State> state = state_;
  while (true) {
    std::optional<base::Result<std::string>> frame = state->take_frame();
    if (frame) co_return std::move(*frame);
    if (state->closed) {
      co_return base::make_error(ErrorCode::cancelled, "the channel was closed");
    }
    state->make_room();
    const auto room = asio::buffer(state->input.data() + state->input_end,
                                   state->input.size() - state->input_end);
    auto [error, size] =
        co_await state->socket->async_read_some(room, asio::as_tuple(asio::use_awaitable));
    if (error) {
      co_return base::make_error(ErrorCode::cancelled, "the channel ended: " + error.message());
    }
    state->input_end += size;
  }
}

base::Result<void> FrameChannel::send(std::string payload) {
  State& state = *state_;
  if (state.closed) return base::make_error(ErrorCode::cancelled, "the channel is closed");
  if (payload.size() > state.options.frame_max ||
      payload.size() > std::numeric_limits<std::uint32_t>::max()) {
    return base::make_error(ErrorCode::invalid_request,
                            "a frame of " + std::to_string(payload.size()) +
                                " bytes is too long; at most " +
                                std::to_string(state.options.frame_max) + " are allowed");
  }
  const std::size_t size = header_size + payload.size();
  if (state.queued_bytes + size > state.options.write_queue_max) {
    return base::make_error(ErrorCode::queue_full,
                            "the peer does not read: " + std::to_string(state.queued_bytes) +
                                " bytes wait to be written");
  }
  state.queued_bytes += size;
  state.queue.push_back({encode_length(payload.size()), std::move(payload)});
  if (!state.writing) {
    // Posted, so that what is sent in the same turn leaves in one system call.
    state.writing = true;
    asio::post(state.socket->get_executor(), [self = state.shared_from_this()] { self->flush(); });
  }
  return {};
}

void FrameChannel::close() {
  if (!state_->closed) state_->write_some();
  state_->close();
}

base::Result<std::pair<int, int>> make_socket_pair() {
  int pair[2] = {-1, -1};
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) {
    return base::make_error(ErrorCode::internal,
                            std::string("cannot make a socket pair: ") + std::strerror(errno));
  }
  return std::pair{pair[0], pair[1]};
}

}  // namespace deepseek::io
