// One HTTP/1.1 connection to a server, plain or TLS: connect, send a request, read the head, read
// the body piece by piece. Each step has a deadline.
//
// Belongs to one coroutine on one I/O thread. It keeps no pool, follows no redirect and retries
// nothing: those are decisions of its owner. After any error but `invalid_request` the connection
// is closed and only good for destruction.
//
// Errors: unavailable (no address, refused, unreachable), deadline_exceeded, cancelled (the task
// was cancelled or close() called), upstream_failed (TLS, broken HTTP, cut off, over a limit),
// invalid_request (a request that must not be sent, a URL that is none).
#pragma once

#include "base/clock.hpp"
#include "base/result.hpp"
#include "io/http_message.hpp"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace deepseek::io {

struct HttpUrl {
  bool secure = false;
  std::string host;  // without brackets
  std::uint16_t port = 0;
  std::string path;  // what follows; empty or begins with '/', without a '/' at the end

  std::string authority() const;  // for the Host field; the port only if it is not the usual one
};
// "http://host[:port][/path]" or https; no user, query or fragment.
base::Result<HttpUrl> parse_url(std::string_view text);

// What a TLS client trusts: the system's certificates, or one PEM file. TLS 1.2 and 1.3, the host's
// name is verified. Immutable; shared by connections of any thread.
class TlsClientContext {
 public:
  static base::Result<std::shared_ptr<const TlsClientContext>> load(const std::string& trust_file);
  ~TlsClientContext();

 private:
  friend class HttpClient;
  struct State;
  explicit TlsClientContext(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

struct HttpClientOptions {
  std::uint32_t head_max = 64u << 10;               // bytes of status line and fields
  std::uint64_t body_max = 1ull << 30;              // bytes of one body
  std::size_t piece_max = 16u << 10;                // bytes that one read_piece() gives
  std::shared_ptr<const TlsClientContext> trust{};  // needed for secure URLs
};

struct HttpClientRequest {
  std::string method = "GET";
  std::string target;  // origin form, as "/v1/models"
  HttpFields fields;   // without Host, Content-Length, Transfer-Encoding, Connection
  std::string body;
  bool keep_alive = false;
};

struct HttpClientHead {
  int status = 0;
  HttpFields fields;
};

class HttpClient {
 public:
  // Resolves the name and connects to its first address that answers. The system's resolver has a
  // time-out of its own, which may pass the deadline.
  static boost::asio::awaitable<base::Result<std::unique_ptr<HttpClient>>> connect(
      boost::asio::any_io_executor executor, HttpUrl url, HttpClientOptions options,
      base::TimePoint deadline);
  ~HttpClient();
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;

  // Writes head and body; the request must live until it returns.
  boost::asio::awaitable<base::Result<void>> send(const HttpClientRequest& request,
                                                  base::TimePoint deadline);
  // The head of the final answer; interim ones (1xx) are skipped.
  boost::asio::awaitable<base::Result<HttpClientHead>> read_head(base::TimePoint deadline);
  // What has arrived of the body, at least one byte; empty at its end.
  boost::asio::awaitable<base::Result<std::string>> read_piece(base::TimePoint deadline);

  // The body was read to its end and the server keeps the connection: send() may be called again.
  bool reusable() const;
  // Pending calls return `cancelled`. Idempotent; from the connection's thread.
  void close();

 private:
  struct State;
  explicit HttpClient(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace deepseek::io
