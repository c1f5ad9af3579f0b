// What a room gives the HTTP server: it decides on a head, answers a request, and words the
// refusals.
//
// All calls for one connection come from that connection's I/O thread, one at a time. The handler
// outlives the server.
#pragma once

#include "base/result.hpp"
#include "io/http_message.hpp"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string_view>

namespace deepseek::io {

// Where an answer goes. Owned by the session; valid during handle(). Every call returns an error of
// code `cancelled` when the client has gone or is slower than the write time-out; the handler then
// just returns.
class HttpResponder {
 public:
  virtual ~HttpResponder() = default;

  // A whole answer with its length. Once per request.
  virtual boost::asio::awaitable<base::Result<void>> send(HttpResponse response) = 0;

  // A chunked answer: head first, then pieces, then the end. Each piece is one write to the socket,
  // and is not accepted before the kernel has taken the one before: a slow client slows the caller.
  virtual boost::asio::awaitable<base::Result<void>> start(HttpResponse head) = 0;
  virtual boost::asio::awaitable<base::Result<void>> write(std::string_view piece) = 0;
  virtual boost::asio::awaitable<base::Result<void>> finish() = 0;
  // In place of finish(), when the answer broke and its last piece has said so: for transports that
  // have a status at the end.
  virtual boost::asio::awaitable<base::Result<void>> fail(const base::Error& error) {
    (void)error;
    return finish();
  }

  // True once send() or start() was called.
  virtual bool started() const = 0;

  // `callback` runs on this connection's thread, at most once, when the client closes or resets the
  // connection while the request is being answered, or when the server shuts down hard. Pass {} to
  // clear it. It must not destroy the responder.
  virtual void on_client_gone(std::function<void()> callback) = 0;

  // When the client will have given up, if it said so.
  virtual std::optional<std::chrono::steady_clock::time_point> deadline() const {
    return std::nullopt;
  }

  // The executor of the connection's I/O thread.
  virtual boost::asio::any_io_executor executor() const = 0;
};

class HttpHandler {
 public:
  virtual ~HttpHandler() = default;

  // Called when the head is complete, before the body is read (request.body is empty). An error
  // here is answered through refuse() and the body is not read; the connection closes unless the
  // body is small enough to drain. On success, the largest body to accept.
  virtual base::Result<std::uint64_t> accept_head(const HttpRequest& request) = 0;

  // Answers one request. Exceptions are caught by the session, logged, and answered through
  // refuse() with `internal`.
  virtual boost::asio::awaitable<void> handle(HttpRequest request, HttpResponder& responder) = 0;

  // Words a refusal (bad head, body too large, time-out, too many connections, failed accept_head
  // …) as a response.
  virtual HttpResponse refuse(const HttpRefusal& refusal, const HttpRequest& request) = 0;
};

}  // namespace deepseek::io
