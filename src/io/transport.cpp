#include "io/transport.hpp"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/socket.h>
#include <unistd.h>
#include <algorithm>
#include <cerrno>
#include <cstring>

namespace deepseek::io {

namespace {

using Kind = TransportOutcome::Kind;

bool would_block() {
  return errno == EAGAIN || errno == EWOULDBLOCK;
}

class PlainTransport final : public Transport {
 public:
  explicit PlainTransport(int descriptor) : descriptor_(descriptor) {}

  TransportOutcome handshake() override { return {}; }
  bool is_plain() const override { return true; }

  TransportOutcome read(std::span<char> room, bool& drained) override {
    ssize_t size = 0;
    do {
      size = ::recv(descriptor_, room.data(), room.size(), MSG_DONTWAIT);
    } while (size < 0 && errno == EINTR);
    drained = size < static_cast<ssize_t>(room.size());
    if (size > 0) return {Kind::done, static_cast<std::size_t>(size)};
    if (size == 0) return {Kind::closed, 0};
    return {would_block() ? Kind::want_read : Kind::failed, 0};
  }

  TransportOutcome write(std::span<const iovec> parts) override {
    msghdr message{};
    message.msg_iov = const_cast<iovec*>(parts.data());
    message.msg_iovlen = parts.size();
    ssize_t size = 0;
    do {
      size = ::sendmsg(descriptor_, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    } while (size < 0 && errno == EINTR);
    if (size >= 0) return {Kind::done, static_cast<std::size_t>(size)};
    return {would_block() ? Kind::want_write : Kind::failed, 0};
  }

  void shutdown_write() override { ::shutdown(descriptor_, SHUT_WR); }

 private:
  int descriptor_;
};

class TlsTransport final : public Transport {
 public:
  TlsTransport(int descriptor, SSL* ssl) : descriptor_(descriptor), ssl_(ssl) {
    SSL_set_fd(ssl_, descriptor);
  }
  ~TlsTransport() override { SSL_free(ssl_); }

  TransportOutcome handshake() override {
    ERR_clear_error();
    const int result = SSL_do_handshake(ssl_);
    if (result == 1) return {};
    note_problem();
    return outcome(result);
  }

  TransportOutcome read(std::span<char> room, bool& drained) override {
    ERR_clear_error();
    std::size_t size = 0;
    const int result = SSL_read_ex(ssl_, room.data(), room.size(), &size);
    drained = result != 1;  // OpenSSL may hold more than it gave
    return result == 1 ? TransportOutcome{Kind::done, size} : outcome(result);
  }

  // One record holds all parts that fit: they are copied together, since OpenSSL cannot gather.
  TransportOutcome write(std::span<const iovec> parts) override {
    static thread_local char record[SSL3_RT_MAX_PLAIN_LENGTH];
    std::size_t filled = 0;
    for (const iovec& part : parts) {
      const std::size_t taken = std::min(part.iov_len, sizeof record - filled);
      std::memcpy(record + filled, part.iov_base, taken);
      filled += taken;
    }
    ERR_clear_error();
    std::size_t written = 0;
    const int result = SSL_write_ex(ssl_, record, filled, &written);
    return result == 1 ? TransportOutcome{Kind::done, written} : outcome(result);
  }

  void shutdown_write() override {
    ERR_clear_error();
    if (SSL_is_init_finished(ssl_) == 1) SSL_shutdown(ssl_);
    ERR_clear_error();
    ::shutdown(descriptor_, SHUT_WR);
  }

  std::string problem() const override { return problem_; }

 private:
  void note_problem() {
    const long verified = SSL_get_verify_result(ssl_);
    const char* const reason = ERR_reason_error_string(ERR_peek_last_error());
    if (verified != X509_V_OK) {
      problem_ = X509_verify_cert_error_string(verified);
    } else if (reason != nullptr) {
      problem_ = reason;
    }
  }

  TransportOutcome outcome(int result) const {
    switch (SSL_get_error(ssl_, result)) {
      case SSL_ERROR_WANT_READ:
        return {Kind::want_read, 0};
      case SSL_ERROR_WANT_WRITE:
        return {Kind::want_write, 0};
      case SSL_ERROR_ZERO_RETURN:
        return {Kind::closed, 0};
      default:
        ERR_clear_error();
        return {Kind::failed, 0};
    }
  }

  int descriptor_;
  SSL* ssl_;
  std::string problem_;
};

}  // namespace

std::unique_ptr<Transport> make_plain_transport(int descriptor) {
  return std::make_unique<PlainTransport>(descriptor);
}

std::unique_ptr<Transport> make_tls_transport(int descriptor, SSL_CTX* context) {
  SSL* const ssl = SSL_new(context);
  if (ssl == nullptr) return nullptr;
  SSL_set_accept_state(ssl);
  return make_tls_transport(descriptor, ssl);
}

std::unique_ptr<Transport> make_tls_transport(int descriptor, SSL* ssl) {
  return std::make_unique<TlsTransport>(descriptor, ssl);
}

}  // namespace deepseek::io
