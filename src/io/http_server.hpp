// HTTP/1.1 server over IoThreads: one acceptor, and sessions that live on one I/O thread each.
//
// Owned by main(); one object per listener (API, metrics). Made, listened, started and destroyed on
// main's thread while nothing else uses it; stop_accepting(), close_all() and connections() may be
// called from any thread. Once started, drain() must have returned before it is destroyed. It
// parses strictly and never routes: what a request means is the handler's business.
//
// End of file from the client while its request is being answered counts as gone (also a half
// close), unless the whole answer was already produced: the answer's reader has left, so stop the
// work.
#pragma once

#include "base/log.hpp"
#include "base/result.hpp"
#include "io/http_handler.hpp"
#include "io/io_threads.hpp"
#include "io/tls_context.hpp"

#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace deepseek::io {

struct HttpServerOptions {
  using Duration = std::chrono::milliseconds;

  // Refusals name a limit as `limit_prefix` + "head_max".
  std::string limit_prefix = "http.";
  std::size_t connections_max = 10'000;  // over it: a short 503
  std::size_t head_max = 32u << 10;  // bytes of request line and fields; also of pipelined input
  std::size_t fields_max = 100;
  Duration head_timeout{10'000};       // the whole head, from its first byte: 408
  Duration idle_timeout{75'000};       // between requests, and before the first: silent close
  Duration body_timeout{30'000};       // no progress in the body: 408
  std::uint64_t body_rate_min = 1024;  // bytes/s of a body after body_timeout; slower: 408
  Duration write_timeout{30'000};      // the client takes nothing for so long: cut
  Duration handshake_timeout{10'000};  // TLS
  Duration linger_timeout{2'000};      // reading on after a refusal, so that it is not reset away
  Duration drain_grace{250};           // how long idle connections stay when draining
  std::shared_ptr<const TlsContext> tls;  // null: plain
};

class HttpServer {
 public:
  HttpServer(IoThreads& threads, HttpHandler& handler, HttpServerOptions options,
             base::Logger logger);
  ~HttpServer();
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  // Binds and listens; port 0 lets the system choose. Returns the port. The error is one line that
  // names address, cause and fix (in use, no permission, bad address). Once, before start().
  base::Result<std::uint16_t> listen(const std::string& host, std::uint16_t port);

  // Begins to accept. Before or after IoThreads::start().
  void start();

  // Takes what already waits in the backlog, then closes the listening socket. Idempotent.
  void stop_accepting();

  // stop_accepting(), then finishes running requests (answers say `Connection: close`) and closes
  // idle connections. After `limit` it is close_all() and cancellation of what still runs. True if
  // everything ended by itself. Once; from a coroutine on any executor, with the I/O threads
  // running.
  boost::asio::awaitable<bool> drain(std::chrono::milliseconds limit);

  // Cuts every connection; handlers hear it as a client gone.
  void close_all();

  // Open connections right now.
  std::size_t connections() const;

 private:
  struct Core;
  std::shared_ptr<Core> core_;
};

}  // namespace deepseek::io
