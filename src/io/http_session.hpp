// One HTTP/1 connection: reads requests one after the other, gives each to the handler, writes its
// answer.
//
// Owned by the server's task for the connection; lives on one I/O thread.
#pragma once

#include "base/log.hpp"
#include "io/chunked_decoder.hpp"
#include "io/http_connection.hpp"
#include "io/http_handler.hpp"
#include "io/http_head.hpp"
#include "io/http_response_writer.hpp"
#include "io/http_server.hpp"

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string>

namespace deepseek::io {

// What the sessions of one server share. Outlives them.
struct HttpSessionContext {
  HttpSessionContext(HttpHandler& given_handler, HttpServerOptions given_options,
                     base::Logger given_logger);

  HttpHandler& handler;
  const HttpServerOptions options;
  const base::Logger logger;
  // Names as refusals give them.
  const std::string head_max, fields_max, body_max, head_timeout, body_timeout, connections_max;
  std::atomic<bool> draining{false};
  base::LogLimit refusal_limit;
  base::LogLimit accept_limit;
};

class HttpSession final : public HttpResponder {
 public:
  // `load` is the thread's count of connections and running requests.
  HttpSession(HttpSessionContext& context, std::shared_ptr<HttpConnection> connection,
              std::string peer_address, std::atomic<std::size_t>& load);
  ~HttpSession() override;
  HttpSession(const HttpSession&) = delete;
  HttpSession& operator=(const HttpSession&) = delete;

  // Serves requests until the connection ends.
  boost::asio::awaitable<void> run();
  // Says that there are too many connections.
  boost::asio::awaitable<void> run_refused();

  // An idle connection ends after the grace; a running request is the last.
  void drain();
  void cut() { connection_->cut(); }

  boost::asio::awaitable<base::Result<void>> send(HttpResponse response) override;
  boost::asio::awaitable<base::Result<void>> start(HttpResponse head) override;
  boost::asio::awaitable<base::Result<void>> write(std::string_view piece) override;
  boost::asio::awaitable<base::Result<void>> finish() override;
  bool started() const override { return started_; }
  void on_client_gone(std::function<void()> callback) override;
  boost::asio::any_io_executor executor() const override { return connection_->executor(); }

 private:
  enum class Next { request, close };
  // What became of reading a head or a body.
  struct Reading {
    enum class Kind { done, closed, refused } kind = Kind::done;
    HttpRefusal refusal{};
  };

  boost::asio::awaitable<Next> serve_one();
  boost::asio::awaitable<Reading> read_head();
  std::optional<Reading> take_head();
  static Reading closed();
  static Reading refused(HttpRefusal refusal);
  HttpRefusal body_too_large(std::uint64_t body_max) const;
  bool take_arrived_body(std::uint64_t body_max);
  void expect_body();
  boost::asio::awaitable<Reading> read_body(std::uint64_t body_max);
  Reading take_body(ChunkedDecoder& decoder, bool& complete);
  boost::asio::awaitable<Next> answer();
  boost::asio::awaitable<Next> refuse_head(HttpRefusal refusal);
  boost::asio::awaitable<void> refuse(HttpRefusal refusal);
  boost::asio::awaitable<void> linger();
  HttpResponse word_refusal(const HttpRefusal& refusal);
  boost::asio::awaitable<base::Result<void>> write_parts();
  base::Result<void> make_head(const HttpResponse& response, ResponseFraming framing);
  void begin_answer();
  void client_left();
  bool head_only() const { return head_.request.method == "HEAD"; }

  HttpSessionContext& context_;
  std::shared_ptr<HttpConnection> connection_;
  const std::string peer_address_;
  std::atomic<std::size_t>& load_;

  // The request that is being read or answered.
  HttpHead head_;
  HeadScanner scanner_;
  base::TimePoint head_deadline_{};
  bool empty_line_seen_ = false;
  bool idle_ = true;
  bool close_after_ = false;

  // Its answer.
  HttpResponse response_;
  std::string head_text_;
  std::optional<ChunkHeader> chunk_;
  ResponseFraming framing_ = ResponseFraming::length;
  bool started_ = false;
  bool produced_ = false;  // send() or finish() was called
  std::function<void()> on_gone_;
};

}  // namespace deepseek::io
