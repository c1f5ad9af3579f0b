#include "io/http_connection.hpp"

#include "io/tls_context.hpp"

#include <poll.h>
#include <sys/socket.h>
#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cassert>
#include <utility>

namespace deepseek::io {

namespace asio = boost::asio;
using Kind = TransportOutcome::Kind;

namespace {

constexpr std::size_t read_size = 64u << 10;
constexpr std::size_t idle_capacity_max = 4096;
constexpr std::size_t deferred_max = 16u << 10;  // larger writes are sent at once

base::Error client_gone() {
  return base::make_error(base::ErrorCode::cancelled, "the client has gone");
}

}  // namespace

HttpConnection::HttpConnection(Socket socket, SSL_CTX* tls, std::size_t watch_max)
    : HttpConnection(std::move(socket), std::unique_ptr<Transport>{}, watch_max) {
  const int descriptor = socket_.native_handle();
  transport_ =
      tls == nullptr ? make_plain_transport(descriptor) : make_tls_transport(descriptor, tls);
  ended_ = gone_ = transport_ == nullptr;
}

HttpConnection::HttpConnection(Socket socket, std::unique_ptr<Transport> transport,
                               std::size_t watch_max)
    : socket_(std::move(socket)),
      transport_(std::move(transport)),
      watch_max_(watch_max),
      turn_(WriteTurn::of(socket_.get_executor())),
      input_event_(socket_.get_executor()),
      timer_(socket_.get_executor()) {
  if (!transport_) ended_ = gone_ = true;
}

asio::awaitable<InputStatus> HttpConnection::handshake() {
  while (!ended_ && !timed_out_) {
    const TransportOutcome outcome = transport_->handshake();
    if (outcome.kind == Kind::done) co_return InputStatus::data;
    if (outcome.kind == Kind::want_write) {
      co_await socket_.async_wait(Socket::wait_write, asio::as_tuple(asio::use_awaitable));
    } else if (outcome.kind == Kind::want_read) {
      arm_read_wait();
      co_await input_event_.wait();
    } else {
      ended_ = gone_ = true;
    }
  }
  co_return ended_ ? InputStatus::closed : InputStatus::timed_out;
}

asio::awaitable<InputStatus> HttpConnection::read() {
  while (true) {
    if (std::exchange(received_, false)) co_return InputStatus::data;
    if (readable_ && !ended_ && read_some(read_size)) co_return InputStatus::data;
    if (ended_) co_return InputStatus::closed;
    if (timed_out_) co_return InputStatus::timed_out;
    if (readable_) continue;
    arm_read_wait();
    co_await input_event_.wait();
  }
}

bool HttpConnection::read_some(std::size_t size_max) {
  // Shared by the connections of a thread: an idle one holds no buffer.
  static thread_local char scratch[read_size];
  bool drained = false;
  if (target_ != nullptr) size_max = std::min(size_max, target_left_);
  const TransportOutcome outcome =
      transport_->read(std::span(scratch, std::min(size_max, read_size)), drained);
  readable_ = !drained;
  if (outcome.kind == Kind::done) {
    take({scratch, outcome.size});
    return true;
  }
  if (outcome.kind == Kind::closed) ended_ = true;
  if (outcome.kind == Kind::failed || outcome.kind == Kind::want_write) ended_ = gone_ = true;
  return false;
}

void HttpConnection::take(std::string_view bytes) {
  if (target_ != nullptr) {
    const std::size_t size = std::min(bytes.size(), target_left_);
    target_->append(bytes.substr(0, size));
    target_left_ -= size;
    bytes.remove_prefix(size);
  }
  if (bytes.empty()) return;
  if (input_begin_ > 0) {
    input_.erase(0, input_begin_);
    input_begin_ = 0;
  }
  input_.append(bytes);
}

void HttpConnection::consume(std::size_t size) {
  assert(input_begin_ + size <= input_.size());
  input_begin_ += size;
  if (input_begin_ < input_.size()) return;
  input_begin_ = 0;
  input_.clear();
  if (input_.capacity() > idle_capacity_max) input_.shrink_to_fit();
}

void HttpConnection::read_into(std::string* target, std::size_t size_max) {
  target_ = target;
  target_left_ = size_max;
}

void HttpConnection::set_parts(std::initializer_list<std::string_view> parts) {
  parts_begin_ = parts_end_ = 0;
  for (std::string_view part : parts) {
    if (!part.empty()) parts_[parts_end_++] = {const_cast<char*>(part.data()), part.size()};
  }
}

void HttpConnection::drop_written(std::size_t written) {
  while (written > 0) {
    iovec& part = parts_[parts_begin_];
    const std::size_t taken = std::min(written, part.iov_len);
    part.iov_base = static_cast<char*>(part.iov_base) + taken;
    part.iov_len -= taken;
    written -= taken;
    if (part.iov_len == 0) ++parts_begin_;
  }
}

bool HttpConnection::write_now() {
  write_blocked_ = false;
  if (gone_) return false;
  if (defer_parts()) return true;
  write_blocked_ = !send_deferred();
  while (!gone_ && !write_blocked_ && parts_begin_ < parts_end_) {
    const TransportOutcome outcome =
        transport_->write(std::span(parts_).subspan(parts_begin_, parts_end_ - parts_begin_));
    if (outcome.kind == Kind::done) {
      drop_written(outcome.size);
    } else if (outcome.kind == Kind::want_write) {
      write_blocked_ = true;
    } else {
      end();
    }
  }
  if (gone_) write_blocked_ = false;
  return !gone_ && !write_blocked_;
}

// Small writes wait for the end of the turn, where those of all connections follow each other: the
// first wakes the processes that read them, and the others find them awake.
bool HttpConnection::defer_parts() {
  std::size_t size = deferred_.size();
  for (std::size_t i = parts_begin_; i < parts_end_; ++i) size += parts_[i].iov_len;
  if (size > deferred_max || deferred_wait_armed_) return false;
  for (; parts_begin_ < parts_end_; ++parts_begin_) {
    const iovec& part = parts_[parts_begin_];
    deferred_.append(static_cast<const char*>(part.iov_base), part.iov_len);
  }
  if (!deferred_.empty() && !std::exchange(turn_joined_, true)) turn_.join(weak_from_this());
  return true;
}

void HttpConnection::end_turn() {
  turn_joined_ = false;
  if (!gone_ && socket_.is_open() && !send_deferred()) arm_deferred_wait();
}

void HttpConnection::send_early() {
  while (!gone_ && deferred_begin_ < deferred_.size()) {
    iovec rest{deferred_.data() + deferred_begin_, deferred_.size() - deferred_begin_};
    const TransportOutcome outcome = transport_->write(std::span(&rest, 1));
    if (outcome.kind != Kind::done) return;
    deferred_begin_ += outcome.size;
  }
}

// False when the peer does not take all of it now, or has gone.
bool HttpConnection::send_deferred() {
  while (!gone_ && deferred_begin_ < deferred_.size()) {
    iovec rest{deferred_.data() + deferred_begin_, deferred_.size() - deferred_begin_};
    const TransportOutcome outcome = transport_->write(std::span(&rest, 1));
    if (outcome.kind == Kind::want_write) return false;
    if (outcome.kind != Kind::done) {
      end();
      return false;
    }
    deferred_begin_ += outcome.size;
  }
  if (gone_) return false;
  deferred_begin_ = 0;
  deferred_.clear();
  if (deferred_.capacity() > idle_capacity_max) deferred_.shrink_to_fit();
  if (std::exchange(shutdown_due_, false)) transport_->shutdown_write();
  return true;
}

void HttpConnection::arm_deferred_wait() {
  if (gone_ || deferred_wait_armed_ || !socket_.is_open()) return;
  deferred_wait_armed_ = true;
  socket_.async_wait(Socket::wait_write,
                     [self = shared_from_this()](boost::system::error_code error) {
                       self->deferred_wait_armed_ = false;
                       if (!error) self->end_turn();
                     });
}

asio::awaitable<base::Result<void>> HttpConnection::write(base::Milliseconds timeout) {
  while (!write_now()) {
    if (!write_blocked_) co_return client_gone();
    set_deadline(base::now() + timeout);
    co_await socket_.async_wait(Socket::wait_write, asio::as_tuple(asio::use_awaitable));
    clear_deadline();
    // Too slow: nothing more is said to this client.
    if (timed_out_) end();
  }
  co_return base::Result<void>();
}

void HttpConnection::set_deadline(base::TimePoint deadline) {
  deadline_ = deadline;
  timed_out_ = false;
  if (deadline < timer_at_) arm_timer();
}

// A deadline that moves away costs nothing: the timer looks again when it fires.
void HttpConnection::arm_timer() {
  timer_at_ = deadline_;
  timer_.expires_at(deadline_);
  timer_.async_wait([self = shared_from_this()](boost::system::error_code error) {
    if (!error) self->on_timer();
  });
}

void HttpConnection::on_timer() {
  timer_at_ = base::TimePoint::max();
  if (deadline_ == base::TimePoint::max()) return;
  if (base::now() < deadline_) {
    arm_timer();
    return;
  }
  timed_out_ = true;
  input_event_.notify();
  boost::system::error_code ignored;
  socket_.cancel(ignored);
}

void HttpConnection::arm_read_wait() {
  if (read_wait_armed_ || ended_ || !socket_.is_open()) return;
  read_wait_armed_ = true;
  // A large body is read in larger pieces, straight into its place.
  if (transport_->is_plain() && target_ == nullptr) {
    arm_receive();
    return;
  }
  socket_.async_wait(Socket::wait_read,
                     [self = shared_from_this()](boost::system::error_code error) {
                       self->read_wait_armed_ = false;
                       self->on_readable(error);
                     });
}

// A wait that takes what arrives: one call to the system less than a wait and a read. Longer input
// is read on from the socket at once, so that a large body's size is known by its first piece.
void HttpConnection::arm_receive() {
  socket_.async_receive(
      boost::asio::buffer(arrival_),
      [self = shared_from_this()](boost::system::error_code error, std::size_t size) {
        self->read_wait_armed_ = false;
        self->on_received(error, size);
      });
}

void HttpConnection::on_received(boost::system::error_code error, std::size_t size) {
  if (size > 0) {
    take({arrival_.data(), size});
    received_ = !watching_;  // pump() has no reader to tell
    readable_ = size == arrival_.size();
    if (readable_ && !watching_) read_some(read_size);
  } else if (error == asio::error::eof) {
    ended_ = true;
  } else if (error && error != asio::error::operation_aborted) {
    ended_ = gone_ = true;
  }
  wake_reader();
}

// With a full buffer only a broken connection is of interest. Not armed again when it wakes for
// another reason (urgent data), since that reason would stay.
void HttpConnection::arm_error_wait() {
  if (error_wait_armed_ || ended_ || !socket_.is_open()) return;
  error_wait_armed_ = true;
  socket_.async_wait(Socket::wait_error,
                     [self = shared_from_this()](boost::system::error_code error) {
                       self->error_wait_armed_ = false;
                       if (error || !self->watching_ || self->ended_) return;
                       if (self->is_broken()) self->end();
                     });
}

bool HttpConnection::is_broken() const {
  pollfd state{const_cast<Socket&>(socket_).native_handle(), 0, 0};
  return ::poll(&state, 1, 0) > 0 && (state.revents & (POLLERR | POLLHUP)) != 0;
}

void HttpConnection::on_readable(boost::system::error_code error) {
  if (!error) readable_ = true;
  wake_reader();
}

void HttpConnection::wake_reader() {
  if (watching_) {
    pump();
  } else {
    input_event_.notify();
  }
}

void HttpConnection::watch(std::function<void()> on_end) {
  on_end_ = std::move(on_end);
  watching_ = true;
  pump();
}

void HttpConnection::unwatch() {
  watching_ = false;
  on_end_ = {};
}

void HttpConnection::pump() {
  while (readable_ && !ended_ && input().size() < watch_max_) {
    read_some(watch_max_ - input().size());
  }
  if (ended_) {
    std::function<void()> callback = std::exchange(on_end_, {});
    if (callback) callback();
    return;
  }
  if (input().size() < watch_max_) {
    arm_read_wait();
  } else {
    arm_error_wait();
  }
}

void HttpConnection::mark_gone() {
  gone_ = true;
  boost::system::error_code ignored;
  socket_.cancel(ignored);
}

void HttpConnection::end() {
  ended_ = true;
  deferred_.clear();
  deferred_begin_ = 0;
  mark_gone();
  input_event_.notify();
  std::function<void()> callback = std::exchange(on_end_, {});
  if (callback) callback();
}

std::string HttpConnection::transport_problem() const {
  const std::string problem = transport_ ? transport_->problem() : "OpenSSL is out of memory";
  return problem.empty() ? "the server closed the connection" : problem;
}

void HttpConnection::shutdown_write() {
  if (gone_ || !socket_.is_open()) return;
  shutdown_due_ = true;
  if (!send_deferred()) arm_deferred_wait();
}

void HttpConnection::cut() {
  if (!socket_.is_open()) return;
  ::shutdown(socket_.native_handle(), SHUT_RDWR);
  end();
}

void HttpConnection::close() {
  unwatch();
  clear_deadline();
  timer_.cancel();
  if (!gone_ && socket_.is_open()) send_deferred();
  gone_ = true;  // the descriptor may soon be another connection's
  boost::system::error_code ignored;
  socket_.close(ignored);
}

}  // namespace deepseek::io
