// Non-blocking bytes over one connected socket: plain, or TLS. No waiting and no coroutines here:
// who gets want_read or want_write waits for the socket and asks again.
//
// Belongs to one connection, on its I/O thread. Does not own the descriptor.
#pragma once

#include <sys/uio.h>
#include <cstddef>
#include <memory>
#include <span>
#include <string>

typedef struct ssl_ctx_st SSL_CTX;
typedef struct ssl_st SSL;

namespace deepseek::io {

struct TransportOutcome {
  enum class Kind { done, want_read, want_write, closed, failed };
  Kind kind = Kind::done;
  std::size_t size = 0;  // bytes read or written, with done
};

class Transport {
 public:
  virtual ~Transport() = default;
  virtual TransportOutcome handshake() = 0;
  // A short read that is not followed by more is told by `drained`: the next read would find
  // nothing until the socket is readable again.
  virtual TransportOutcome read(std::span<char> room, bool& drained) = 0;
  virtual TransportOutcome write(std::span<const iovec> parts) = 0;
  // Are the socket's bytes the peer's own? Then they may also be read from the socket directly.
  virtual bool is_plain() const { return false; }
  // Tells the peer that nothing more comes; reading goes on.
  virtual void shutdown_write() = 0;
  // Why the handshake failed, in words; empty when there is nothing to tell.
  virtual std::string problem() const { return {}; }
};

std::unique_ptr<Transport> make_plain_transport(int descriptor);
// The server's side. Null when OpenSSL is out of memory.
std::unique_ptr<Transport> make_tls_transport(int descriptor, SSL_CTX* context);
// Takes over `ssl`, whose side (connect or accept) is set.
std::unique_ptr<Transport> make_tls_transport(int descriptor, SSL* ssl);

}  // namespace deepseek::io
