#include "io/http_session.hpp"

#include <algorithm>
#include <boost/asio/error.hpp>
#include <boost/asio/post.hpp>
#include <boost/system/system_error.hpp>
#include <exception>
#include <utility>

namespace deepseek::io {

namespace asio = boost::asio;
using base::ErrorCode;
using base::Result;

namespace {

constexpr std::size_t body_reserve = 256u << 10;
constexpr std::uint64_t drain_body_max = 64u << 10;    // of a refused request: the connection lives
constexpr std::uint64_t linger_bytes_max = 64u << 20;  // read and thrown away before closing

// Made once a second per thread.
std::string_view date_now() {
  static thread_local std::int64_t second = -1;
  static thread_local std::string text;
  const std::int64_t current = base::unix_seconds();
  if (current != second) {
    second = current;
    text = http_date(current);
  }
  return text;
}

// Adds one to a thread's load for as long as it lives.
class LoadCount {
 public:
  explicit LoadCount(std::atomic<std::size_t>& load) : load_(load) { ++load_; }
  ~LoadCount() { --load_; }
  LoadCount(const LoadCount&) = delete;
  LoadCount& operator=(const LoadCount&) = delete;

 private:
  std::atomic<std::size_t>& load_;
};

std::string describe(const std::exception_ptr& exception) {
  try {
    std::rethrow_exception(exception);
  } catch (const std::exception& error) {
    return error.what();
  } catch (...) {
    return "unknown exception";
  }
}

bool is_cancellation(const std::exception_ptr& exception) {
  try {
    std::rethrow_exception(exception);
  } catch (const boost::system::system_error& error) {
    return error.code() == asio::error::operation_aborted;
  } catch (...) {
    return false;
  }
}

HttpRefusal too_slow(std::string_view what, const std::string& limit, base::Milliseconds timeout) {
  return {base::make_error(ErrorCode::request_timeout,
                           std::string(what) + " did not arrive in time (" + limit + " = " +
                               std::to_string(timeout.count()) + "ms)"),
          limit};
}

}  // namespace

HttpSessionContext::HttpSessionContext(HttpHandler& given_handler, HttpServerOptions given_options,
                                       base::Logger given_logger)
    : handler(given_handler),
      options(std::move(given_options)),
      logger(given_logger),
      head_max(options.limit_prefix + "head_max"),
      fields_max(options.limit_prefix + "fields_max"),
      body_max(options.limit_prefix + "body_max"),
      head_timeout(options.limit_prefix + "head_timeout"),
      body_timeout(options.limit_prefix + "body_timeout"),
      connections_max(options.limit_prefix + "connections_max") {}

HttpSession::HttpSession(HttpSessionContext& context, std::shared_ptr<HttpConnection> connection,
                         std::string peer_address, std::atomic<std::size_t>& load)
    : context_(context),
      connection_(std::move(connection)),
      peer_address_(std::move(peer_address)),
      load_(load) {
  ++load_;
}

HttpSession::~HttpSession() {
  connection_->close();
  --load_;
}

asio::awaitable<void> HttpSession::run() {
  if (context_.options.tls) {
    connection_->set_deadline(base::now() + context_.options.handshake_timeout);
    auto status = co_await connection_->handshake();
    if (status != InputStatus::data) co_return;
  }
  Next next = Next::request;
  while (next == Next::request) {
    next = co_await serve_one();
  }
}

asio::awaitable<void> HttpSession::run_refused() {
  if (context_.options.tls) co_return;  // not worth a handshake
  begin_answer();
  close_after_ = true;
  HttpRefusal refusal{
      base::make_error(ErrorCode::unavailable,
                       "too many connections; " + context_.connections_max + " is " +
                           std::to_string(context_.options.connections_max)),
      context_.connections_max};
  co_await refuse(std::move(refusal));
  co_await linger();
}

void HttpSession::drain() {
  if (idle_) connection_->set_deadline(base::now() + context_.options.drain_grace);
}

asio::awaitable<HttpSession::Next> HttpSession::serve_one() {
  Reading reading = co_await read_head();
  begin_answer();
  if (reading.kind == Reading::Kind::closed) co_return Next::close;
  if (reading.kind == Reading::Kind::refused) {
    head_ = {};
    close_after_ = true;
    co_await refuse(std::move(reading.refusal));
    co_await linger();
    co_return Next::close;
  }
  close_after_ = !head_.keep_alive || context_.draining;
  head_.request.peer_address = peer_address_;
  head_.request.secure = context_.options.tls != nullptr;
  auto body_max = context_.handler.accept_head(head_.request);
  if (!body_max) {
    HttpRefusal refusal{body_max.error(), {}};
    Next next = co_await refuse_head(std::move(refusal));
    co_return next;
  }
  if (head_.framing != BodyFraming::none && !take_arrived_body(*body_max)) {
    reading = co_await read_body(*body_max);
    if (reading.kind == Reading::Kind::closed) co_return Next::close;
    if (reading.kind == Reading::Kind::refused) {
      close_after_ = true;
      co_await refuse(std::move(reading.refusal));
      co_await linger();
      co_return Next::close;
    }
  }
  Next next = co_await answer();
  co_return next;
}

asio::awaitable<HttpSession::Reading> HttpSession::read_head() {
  const HttpServerOptions& options = context_.options;
  scanner_ = {};
  head_ = {};
  empty_line_seen_ = false;
  head_deadline_ = base::TimePoint::max();
  while (true) {
    auto taken = take_head();
    if (taken) co_return std::move(*taken);
    idle_ = connection_->input().empty() && !empty_line_seen_;
    if (idle_) {
      const base::Milliseconds timeout = context_.draining
                                             ? std::min(options.drain_grace, options.idle_timeout)
                                             : options.idle_timeout;
      connection_->set_deadline(base::now() + timeout);
    } else {
      if (head_deadline_ == base::TimePoint::max()) {
        head_deadline_ = base::now() + options.head_timeout;
      }
      connection_->set_deadline(head_deadline_);
    }
    const bool was_idle = idle_;
    auto status = co_await connection_->read();
    idle_ = false;
    connection_->clear_deadline();
    if (status == InputStatus::closed) co_return closed();
    if (status == InputStatus::timed_out) {
      if (was_idle) co_return closed();
      co_return refused(too_slow("the request head", context_.head_timeout, options.head_timeout));
    }
  }
}

// The outcome, once the buffer holds a whole head or something that cannot become one.
std::optional<HttpSession::Reading> HttpSession::take_head() {
  std::string_view input = connection_->input();
  if (!empty_line_seen_ && input.substr(0, 2) == "\r\n") {
    // Some old clients send an empty line after a body; one is forgiven.
    empty_line_seen_ = true;
    connection_->consume(2);
    input = connection_->input();
  }
  if (!empty_line_seen_ && input == "\r") return std::nullopt;
  const std::size_t head_max = context_.options.head_max;
  const HeadScanner::Status status = scanner_.scan(input.substr(0, head_max));
  if (status == HeadScanner::Status::incomplete && input.size() < head_max) return std::nullopt;
  if (status == HeadScanner::Status::incomplete) {
    return refused({base::make_error(ErrorCode::header_too_large,
                                     "the request head is longer than " + context_.head_max + " (" +
                                         std::to_string(head_max) + " bytes)"),
                    context_.head_max});
  }
  if (status == HeadScanner::Status::invalid) {
    return refused({base::make_error(ErrorCode::invalid_request,
                                     "the request head holds a byte that HTTP does not allow: a "
                                     "control character, or a line that does not end in CR LF"),
                    {}});
  }
  HeadResult parsed = parse_head(input.substr(0, scanner_.size()), context_.options.fields_max);
  if (!parsed) {
    HttpRefusal refusal = std::move(parsed).error();
    if (!refusal.limit.empty()) refusal.limit = context_.fields_max;
    return refused(std::move(refusal));
  }
  head_ = std::move(*parsed);
  connection_->consume(scanner_.size());
  return Reading{};
}

HttpSession::Reading HttpSession::closed() {
  return {Reading::Kind::closed, {}};
}

HttpSession::Reading HttpSession::refused(HttpRefusal refusal) {
  return {Reading::Kind::refused, std::move(refusal)};
}

HttpRefusal HttpSession::body_too_large(std::uint64_t body_max) const {
  return {base::make_error(ErrorCode::payload_too_large,
                           "the body is too large; at most " + std::to_string(body_max) +
                               " bytes are taken here (" + context_.body_max + ")"),
          context_.body_max};
}

// The usual case: the body came with its head.
bool HttpSession::take_arrived_body(std::uint64_t body_max) {
  const std::string_view input = connection_->input();
  const std::uint64_t size = head_.content_length;
  if (head_.framing != BodyFraming::length || size > body_max || size > input.size()) return false;
  head_.request.body = input.substr(0, static_cast<std::size_t>(size));
  connection_->consume(static_cast<std::size_t>(size));
  return true;
}

asio::awaitable<HttpSession::Reading> HttpSession::read_body(std::uint64_t body_max) {
  const HttpServerOptions& options = context_.options;
  ChunkedDecoder decoder(body_max);
  if (head_.framing == BodyFraming::length && head_.content_length > body_max) {
    co_return refused(body_too_large(body_max));
  }
  if (head_.expect_continue && connection_->input().empty()) {
    connection_->set_parts({"HTTP/1.1 100 Continue\r\n\r\n"});
    auto written = co_await connection_->write(options.write_timeout);
    if (!written) co_return closed();
  }
  const base::TimePoint began = base::now();
  std::uint64_t received = 0;
  while (true) {
    received += connection_->input().size();
    bool complete = false;
    Reading taken = take_body(decoder, complete);
    if (complete || taken.kind != Reading::Kind::done) co_return taken;
    // The next bytes within body_timeout, and all of them at body_rate_min on the whole.
    const auto rate_allows =
        base::Milliseconds(received * 1000 / std::max<std::uint64_t>(options.body_rate_min, 1));
    connection_->set_deadline(
        std::min(base::now() + options.body_timeout, began + options.body_timeout + rate_allows));
    const std::size_t before = head_.request.body.size();
    if (head_.framing == BodyFraming::length) expect_body();
    auto status = co_await connection_->read();
    connection_->read_into(nullptr, 0);
    connection_->clear_deadline();
    received += head_.request.body.size() - before;
    if (status == InputStatus::closed) co_return closed();
    if (status == InputStatus::timed_out) {
      co_return refused(too_slow("the body", context_.body_timeout, options.body_timeout));
    }
  }
}

// The rest of the body is read into its place. A length that is only claimed takes no memory yet.
void HttpSession::expect_body() {
  std::string& body = head_.request.body;
  const auto size = static_cast<std::size_t>(head_.content_length);
  if (body.capacity() < size) body.reserve(std::min(size, std::max(body_reserve, 2 * body.size())));
  connection_->read_into(&body, size - body.size());
}

HttpSession::Reading HttpSession::take_body(ChunkedDecoder& decoder, bool& complete) {
  std::string_view input = connection_->input();
  std::string& body = head_.request.body;
  if (head_.framing == BodyFraming::length) {
    const std::size_t missing = static_cast<std::size_t>(head_.content_length) - body.size();
    const std::size_t taken = std::min(missing, input.size());
    body.append(input.substr(0, taken));
    connection_->consume(taken);
    complete = taken == missing;
    return {};
  }
  const std::size_t before = input.size();
  const ChunkedDecoder::Status status = decoder.decode(input, body);
  connection_->consume(before - input.size());
  complete = status == ChunkedDecoder::Status::done;
  if (status == ChunkedDecoder::Status::invalid) {
    return refused({base::make_error(ErrorCode::invalid_request,
                                     "bad chunked body: " + std::string(decoder.reason())),
                    {}});
  }
  if (status == ChunkedDecoder::Status::too_large) {
    return refused(body_too_large(decoder.body_max()));
  }
  return {};
}

void HttpSession::begin_answer() {
  started_ = false;
  produced_ = false;
  framing_ = ResponseFraming::length;
  on_gone_ = {};
}

asio::awaitable<HttpSession::Next> HttpSession::answer() {
  const LoadCount running(load_);
  std::exception_ptr thrown;
  connection_->watch([this] { client_left(); });
  try {
    // The method outlives the request: HEAD has no body in its answer.
    HttpRequest request = std::move(head_.request);
    head_.request.method = request.method;
    co_await context_.handler.handle(std::move(request), *this);
  } catch (...) {
    thrown = std::current_exception();
  }
  connection_->unwatch();
  on_gone_ = {};
  if (thrown && !(connection_->gone() && is_cancellation(thrown))) {
    context_.logger.error("request handler threw", {{"what", describe(thrown)}});
  }
  if (connection_->gone()) co_return Next::close;
  if (!started_) {
    close_after_ = true;
    HttpRefusal refusal{
        base::make_error(ErrorCode::internal, "the server made a mistake with this request"), {}};
    co_await refuse(std::move(refusal));
  } else if (!produced_) {
    // An answer that has begun cannot become an error: the missing end says it.
    connection_->cut();
    co_return Next::close;
  }
  response_ = {};
  if (close_after_ || connection_->gone()) {
    co_await linger();
    co_return Next::close;
  }
  co_return Next::request;
}

// The handler refused the head: a small body is skipped and the connection lives on.
asio::awaitable<HttpSession::Next> HttpSession::refuse_head(HttpRefusal refusal) {
  const bool skip = head_.framing == BodyFraming::length && !head_.expect_continue &&
                    head_.content_length <= drain_body_max;
  if (head_.framing != BodyFraming::none && !skip) close_after_ = true;
  co_await refuse(std::move(refusal));
  if (close_after_) {
    co_await linger();
    co_return Next::close;
  }
  if (skip) {
    Reading reading = co_await read_body(drain_body_max);
    if (reading.kind != Reading::Kind::done) co_return Next::close;
  }
  co_return connection_->gone() ? Next::close : Next::request;
}

HttpResponse HttpSession::word_refusal(const HttpRefusal& refusal) {
  HttpResponse response;
  try {
    response = context_.handler.refuse(refusal, head_.request);
  } catch (const std::exception& error) {
    context_.logger.error("wording a refusal threw", {{"what", error.what()}});
    response.status = base::describe(refusal.error.code).http_status;
  }
  if (refusal.status != 0) response.status = refusal.status;
  return response;
}

asio::awaitable<void> HttpSession::refuse(HttpRefusal refusal) {
  HttpResponse response = word_refusal(refusal);
  std::int64_t suppressed = 0;
  if (context_.refusal_limit.allow(base::now(), suppressed)) {
    context_.logger.info("refused", {{"status", response.status},
                                     {"peer", peer_address_},
                                     {"limit", refusal.limit},
                                     {"reason", refusal.error.message},
                                     {"suppressed", suppressed}});
  }
  co_await send(std::move(response));
}

// Closing with unread input would reset the connection, and the client might lose the answer: so
// say that no more comes, and read on for a bounded while.
asio::awaitable<void> HttpSession::linger() {
  connection_->shutdown_write();
  connection_->set_deadline(base::now() + context_.options.linger_timeout);
  std::uint64_t discarded = 0;
  while (!connection_->gone() && discarded < linger_bytes_max) {
    discarded += connection_->input().size();
    connection_->consume(connection_->input().size());
    auto status = co_await connection_->read();
    if (status != InputStatus::data) co_return;
  }
}

Result<void> HttpSession::make_head(const HttpResponse& response, ResponseFraming framing) {
  head_text_.clear();
  ResponseHeadOptions options;
  options.framing = framing;
  options.content_length = response.body.size();
  options.close = close_after_;
  options.keep_alive_10 = head_.minor_version == 0;
  options.date = date_now();
  return append_response_head(response, options, head_text_);
}

asio::awaitable<Result<void>> HttpSession::write_parts() {
  return connection_->write(context_.options.write_timeout);
}

asio::awaitable<Result<void>> HttpSession::send(HttpResponse response) {
  if (started_) {
    co_return base::make_error(ErrorCode::internal, "this request was answered already");
  }
  close_after_ = close_after_ || context_.draining;
  const bool has_body = status_has_body(response.status);
  const bool has_length = has_body || response.status == 304;
  auto made = make_head(response, has_length ? ResponseFraming::length : ResponseFraming::none);
  if (!made) {
    context_.logger.error("bad response", {{"reason", made.error().message}});
    co_return made.error();
  }
  started_ = true;
  produced_ = true;
  response_ = std::move(response);
  const bool with_body = has_body && !head_only();
  connection_->set_parts({head_text_, with_body ? std::string_view(response_.body) : ""});
  if (connection_->write_now()) co_return Result<void>{};
  auto written = co_await write_parts();
  co_return written;
}

asio::awaitable<Result<void>> HttpSession::start(HttpResponse head) {
  if (started_) {
    co_return base::make_error(ErrorCode::internal, "this request was answered already");
  }
  const bool old = head_.minor_version == 0;
  close_after_ = close_after_ || old || context_.draining;
  framing_ = old ? ResponseFraming::until_close : ResponseFraming::chunked;
  auto made = make_head(head, framing_);
  if (!made) {
    context_.logger.error("bad response", {{"reason", made.error().message}});
    co_return made.error();
  }
  started_ = true;
  connection_->set_parts({head_text_});
  if (connection_->write_now()) co_return Result<void>{};
  auto written = co_await write_parts();
  co_return written;
}

asio::awaitable<Result<void>> HttpSession::write(std::string_view piece) {
  if (piece.empty() || head_only() || produced_) {
    connection_->set_parts({});
  } else if (framing_ == ResponseFraming::chunked) {
    chunk_.emplace(piece.size());
    connection_->set_parts({chunk_->text(), piece, "\r\n"});
  } else {
    connection_->set_parts({piece});
  }
  return write_parts();
}

asio::awaitable<Result<void>> HttpSession::finish() {
  const bool chunked = framing_ == ResponseFraming::chunked && !head_only() && !produced_;
  produced_ = true;
  connection_->set_parts({chunked ? "0\r\n\r\n" : ""});
  return write_parts();
}

void HttpSession::on_client_gone(std::function<void()> callback) {
  on_gone_ = std::move(callback);
  if (!on_gone_ || !connection_->gone()) return;
  // It left before anyone listened. Posted, since the caller is in the middle of something; while
  // the connection is watched, handle() runs and this session lives.
  asio::post(executor(), [this, connection = connection_] {
    if (connection->watching()) client_left();
  });
}

// The connection ended while the request was being answered. A whole answer may still reach a
// client that closed only its own side.
void HttpSession::client_left() {
  if (produced_ && !connection_->gone()) return;
  connection_->mark_gone();
  std::function<void()> callback = std::exchange(on_gone_, {});
  if (callback) callback();
}

}  // namespace deepseek::io
