// One HTTP/1.1 connection to a server, plain or TLS: connect, send a request, read the head, read
// the body piece by piece. Each step has a deadline.
//
// Belongs to one coroutine at a time, on one I/O thread. It keeps no pool, follows no redirect and
// retries nothing: those are decisions of its owner. After any error but `invalid_request` the
// connection is closed and only good for destruction.
//
// Errors: unavailable (no address, refused, unreachable), deadline_exceeded, cancelled (the task
// was cancelled or close() called), upstream_failed (TLS, broken HTTP, cut off, over a limit),
// invalid_request (a request that must not be sent).
#pragma once

#include "base/clock.hpp"
#include "base/result.hpp"
#include "io/connect_stop.hpp"
#include "io/http_message.hpp"
#include "io/http_url.hpp"
#include "io/resolver.hpp"
#include "io/tls_client_context.hpp"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/address.hpp>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

namespace deepseek::io {

struct HttpClientOptions {
  std::uint32_t head_max = 64u << 10;               // bytes of status line and fields
  std::uint64_t body_max = 1ull << 30;              // bytes of one body
  std::size_t piece_max = 16u << 10;                // bytes that one read_piece() gives
  std::shared_ptr<const TlsClientContext> trust{};  // needed for secure URLs
  // Which of the host's addresses may be connected to; null: all. Those it was asked of are the
  // ones that are used. With none left, connect() fails with `unavailable`.
  bool (*may_connect)(const boost::asio::ip::address&) = nullptr;
};

struct HttpClientRequest {
  std::string method = "GET";
  std::string target;  // origin form, as "/v1/models"
  HttpFields fields;   // without Host, Content-Length, Transfer-Encoding, Connection
  std::string body;
  bool keep_alive = false;
};

// A head that is sent many times with other bodies, checked and put together once.
class HttpRequestHead {
 public:
  // Of `request` without its body; it asks to keep the connection. Error: invalid_request.
  static base::Result<HttpRequestHead> make(const HttpClientRequest& request, const HttpUrl& url);
  const std::string& text() const { return text_; }  // up to Content-Length, which follows

 private:
  std::string text_;
};

struct HttpClientHead {
  int status = 0;
  HttpFields fields;
};

class HttpClient {
 public:
  // Connects to the first address that answers. `resolver` may be null: then a name is looked up
  // for this connection alone.
  static boost::asio::awaitable<base::Result<std::unique_ptr<HttpClient>>> connect(
      boost::asio::any_io_executor executor, HttpUrl url, HttpClientOptions options,
      base::TimePoint deadline, Resolver* resolver = nullptr,
      std::shared_ptr<ConnectStop> stop = nullptr);
  ~HttpClient();
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;

  // Writes head and body; the request must live until it returns.
  boost::asio::awaitable<base::Result<void>> send(const HttpClientRequest& request,
                                                  base::TimePoint deadline);
  boost::asio::awaitable<base::Result<void>> send(const HttpRequestHead& head,
                                                  std::string_view extra_fields,
                                                  std::string_view body, base::TimePoint deadline);
  // The head of the final answer; interim ones (1xx) are skipped.
  boost::asio::awaitable<base::Result<HttpClientHead>> read_head(base::TimePoint deadline);
  // What has arrived of the body, at least one byte; empty at its end.
  boost::asio::awaitable<base::Result<std::string>> read_piece(base::TimePoint deadline);

  // What has arrived of the body, without waiting; perhaps nothing.
  base::Result<std::string> take_ready();
  bool body_done() const;

  // The body was read to its end and the server keeps the connection: send() may be called again.
  bool reusable() const;
  // No byte of the current answer has arrived.
  bool untouched() const;
  // While the connection is kept unused: `on_end` is called once when the server ends it, perhaps
  // before this returns. It may destroy the client.
  void watch_idle(std::function<void()> on_end);
  // Ends the watch. False when the connection is of no use any more.
  bool wake();
  // Pending calls return `cancelled`. Idempotent; from the connection's thread.
  void close();

 private:
  struct State;
  explicit HttpClient(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace deepseek::io
