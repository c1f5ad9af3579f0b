#include "io/http_client.hpp"

#include "io/chunked_decoder.hpp"
#include "io/http_answer_head.hpp"
#include "io/http_connection.hpp"
#include "io/http_head.hpp"

#include <algorithm>
#include <array>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/system/system_error.hpp>
#include <charconv>
#include <optional>

namespace deepseek::io {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using base::Error;
using base::ErrorCode;
using base::make_error;
using base::Result;
using boost::system::error_code;

constexpr int interim_heads_max = 8;
constexpr std::size_t idle_watch_max = 4096;  // unasked bytes that are read while nobody asks

bool allowed_request(const HttpClientRequest& request) {
  if (!is_token(request.method) || !request.target.starts_with('/')) return false;
  for (const char c : request.target) {
    if (static_cast<unsigned char>(c) <= 0x20 || c == 0x7f) return false;
  }
  for (const auto& [name, value] : request.fields) {
    if (!is_token(name) || !is_field_value(value)) return false;
    for (const std::string_view ours :
         {"host", "content-length", "transfer-encoding", "connection"}) {
      if (equal_names(name, ours)) return false;
    }
  }
  return true;
}

Error bad_request(const HttpUrl& url) {
  return make_error(ErrorCode::invalid_request,
                    url.authority() + ": the request's method, target or fields cannot be sent");
}

std::string head_begin(const HttpClientRequest& request, const HttpUrl& url) {
  std::string head = request.method + " " + request.target + " HTTP/1.1\r\nHost: ";
  head += url.authority() + "\r\n";
  for (const auto& [name, value] : request.fields) {
    head.append(name).append(": ").append(value).append("\r\n");
  }
  return head;
}

std::string request_head(const HttpClientRequest& request, const HttpUrl& url) {
  std::string head = head_begin(request, url);
  if (!request.body.empty() || (request.method != "GET" && request.method != "HEAD")) {
    head += "Content-Length: " + std::to_string(request.body.size()) + "\r\n";
  }
  head += request.keep_alive ? "\r\n" : "Connection: close\r\n\r\n";
  return head;
}

}  // namespace

Result<HttpRequestHead> HttpRequestHead::make(const HttpClientRequest& request,
                                              const HttpUrl& url) {
  if (!allowed_request(request)) return bad_request(url);
  HttpRequestHead head;
  head.text_ = head_begin(request, url);
  return head;
}

struct HttpClient::State {
  State(HttpUrl where, HttpClientOptions settings)
      : url(std::move(where)), options(std::move(settings)) {}
  ~State() {
    if (connection) connection->close();
  }

  // The error of a finished step; the connection is of no use after it.
  Error fail(ErrorCode code, std::string_view step, std::string_view why) {
    broken = true;
    if (connection) connection->cut();
    return make_error(code, url.authority() + ": " + std::string(step) + std::string(why));
  }

  Error fail(InputStatus status, std::string_view step) {
    if (closed) return fail(ErrorCode::cancelled, step, " was cancelled");
    if (status == InputStatus::timed_out) {
      return fail(ErrorCode::deadline_exceeded, step, " took longer than its deadline");
    }
    return fail(ErrorCode::upstream_failed, step,
                ": the server closed the connection before the end");
  }

  Error unusable(std::string_view step) const {
    return make_error(closed ? ErrorCode::cancelled : ErrorCode::upstream_failed,
                      url.authority() + ": " + std::string(step) + ": the connection is closed");
  }

  // Waits for more bytes. A task that is cancelled meanwhile sees `closed` set.
  asio::awaitable<InputStatus> read_more(base::TimePoint deadline) {
    connection->set_deadline(deadline);
    InputStatus status = InputStatus::closed;
    try {
      status = co_await connection->read();
    } catch (const boost::system::system_error&) {
      closed = true;
    }
    connection->clear_deadline();
    co_return status;
  }

  asio::awaitable<Result<void>> write(base::TimePoint deadline) {
    if (base::now() >= deadline) co_return fail(InputStatus::timed_out, "sending the request");
    const auto left = std::chrono::duration_cast<base::Milliseconds>(deadline - base::now()) +
                      base::Milliseconds(1);
    try {
      auto written = co_await connection->write(left);
      if (!written.has_error()) co_return Result<void>{};
    } catch (const boost::system::system_error&) {
      closed = true;
    }
    const bool late = base::now() >= deadline;
    co_return fail(late ? InputStatus::timed_out : InputStatus::closed, "sending the request");
  }

  void begin_exchange(bool head_answer, bool keep) {
    head_only = head_answer;
    kept = keep;
    head_seen = false;
    body_done = false;
    touched = false;
    body_size = 0;
    scanner = {};
    chunks.reset();
  }

  void take_head(HttpAnswerHead& head) {
    head_seen = true;
    framing = head.framing;
    remaining = head.content_length;
    kept = kept && head.keep_alive;
    body_done = framing == AnswerFraming::none;
    if (framing == AnswerFraming::chunked) chunks.emplace(options.body_max);
  }

  Result<std::string> take_piece();
  Result<std::string> take_chunks();
  Error body_too_large() {
    return fail(ErrorCode::upstream_failed, "reading the answer",
                ": the body is larger than " + std::to_string(options.body_max) + " bytes");
  }

  HttpUrl url;
  HttpClientOptions options;
  std::shared_ptr<HttpConnection> connection;
  std::string head_text;
  HeadScanner scanner;
  AnswerFraming framing = AnswerFraming::none;
  std::uint64_t remaining = 0;  // of a body with a length
  std::uint64_t body_size = 0;  // seen of a body that ends with the connection
  std::optional<ChunkedDecoder> chunks;
  bool head_only = false;  // the answer to HEAD has no body
  bool kept = false;       // both sides keep the connection
  bool head_seen = false;
  bool body_done = true;
  bool touched = false;
  bool broken = false;
  bool closed = false;
};

HttpClient::HttpClient(std::unique_ptr<State> state) : state_(std::move(state)) {}
HttpClient::~HttpClient() = default;

namespace {

// A socket that is being connected, closed by its timer when that takes too long.
struct Attempt {
  explicit Attempt(const asio::any_io_executor& executor) : socket(executor), timer(executor) {}
  tcp::socket socket;
  asio::steady_timer timer;
  bool late = false;
};

asio::awaitable<error_code> connect_one(std::shared_ptr<Attempt> attempt, tcp::endpoint address,
                                        base::TimePoint deadline) {
  attempt->timer.expires_at(deadline);
  attempt->timer.async_wait([weak = std::weak_ptr(attempt)](const error_code& error) {
    const auto late = weak.lock();
    if (error || !late) return;
    late->late = true;
    error_code ignored;
    late->socket.close(ignored);
  });
  auto [code] =
      co_await attempt->socket.async_connect(address, asio::as_tuple(asio::use_awaitable));
  attempt->timer.cancel();
  if (code && attempt->late) code = asio::error::timed_out;
  co_return code;
}

// No single address may use up the time of the others.
base::TimePoint share_of(base::TimePoint deadline, std::size_t addresses_left) {
  const base::TimePoint now = base::now();
  return addresses_left <= 1 || now >= deadline ? deadline : now + (deadline - now) / 2;
}

asio::awaitable<Result<tcp::socket>> connect_any(asio::any_io_executor executor, std::string name,
                                                 Resolver::Addresses addresses,
                                                 base::TimePoint deadline,
                                                 std::shared_ptr<ConnectStop> stop) {
  error_code last = asio::error::host_not_found;
  for (std::size_t i = 0; i < addresses.size() && !stop->pulled(); ++i) {
    const auto attempt = std::make_shared<Attempt>(executor);
    const base::TimePoint until = share_of(deadline, addresses.size() - i);
    stop->arm([weak = std::weak_ptr(attempt)] {
      error_code ignored;
      if (const auto pending = weak.lock()) pending->socket.close(ignored);
    });
    last = co_await connect_one(attempt, addresses[i], until);
    stop->arm({});
    if (!last && !stop->pulled()) co_return std::move(attempt->socket);
    if (last == asio::error::operation_aborted) break;
  }
  if (stop->pulled()) last = asio::error::operation_aborted;
  if (last == asio::error::operation_aborted) {
    co_return make_error(ErrorCode::cancelled, name + ": connecting was cancelled");
  }
  if (last == asio::error::timed_out && base::now() >= deadline) {
    co_return make_error(ErrorCode::deadline_exceeded,
                         name + ": connecting took longer than its deadline");
  }
  co_return make_error(ErrorCode::unavailable, name + ": cannot connect: " + last.message());
}

}  // namespace

asio::awaitable<Result<std::unique_ptr<HttpClient>>> HttpClient::connect(
    asio::any_io_executor executor, HttpUrl url, HttpClientOptions options,
    base::TimePoint deadline, Resolver* resolver, std::shared_ptr<ConnectStop> stop) {
  if (!stop) stop = std::make_shared<ConnectStop>();
  if (url.secure && !options.trust) {
    co_return make_error(ErrorCode::invalid_request,
                         url.authority() + ": https needs trusted certificates");
  }
  std::optional<Resolver> own;
  if (resolver == nullptr) resolver = &own.emplace(executor);
  auto addresses = co_await resolver->resolve(url, deadline, stop);
  if (addresses.has_error()) co_return addresses.error();
  if (options.may_connect != nullptr) {
    std::erase_if(*addresses, [&options](const tcp::endpoint& address) {
      return !options.may_connect(address.address());
    });
    if (addresses->empty()) {
      co_return make_error(ErrorCode::unavailable,
                           url.authority() + ": has no address that may be connected to");
    }
  }
  auto socket = co_await connect_any(executor, url.authority(), *addresses, deadline, stop);
  if (socket.has_error()) co_return socket.error();
  error_code ignored;
  socket->set_option(tcp::no_delay(true), ignored);
  const int descriptor = socket->native_handle();
  auto transport = url.secure ? options.trust->make_transport(descriptor, url.host)
                              : make_plain_transport(descriptor);
  const bool secure = url.secure;
  auto state = std::make_unique<State>(std::move(url), std::move(options));
  state->connection =
      std::make_shared<HttpConnection>(std::move(*socket), std::move(transport), idle_watch_max);
  if (secure) {
    state->connection->set_deadline(deadline);
    stop->arm([connection = state->connection] { connection->cut(); });
    auto status = co_await state->connection->handshake();
    stop->arm({});
    state->connection->clear_deadline();
    if (status != InputStatus::data) {
      if (stop->pulled())
        co_return state->fail(ErrorCode::cancelled, "connecting", " was cancelled");
      if (status == InputStatus::timed_out) co_return state->fail(status, "the TLS handshake");
      co_return state->fail(ErrorCode::upstream_failed, "the TLS handshake",
                            " failed: " + state->connection->transport_problem());
    }
  }
  co_return std::unique_ptr<HttpClient>(new HttpClient(std::move(state)));
}

asio::awaitable<Result<void>> HttpClient::send(const HttpClientRequest& request,
                                               base::TimePoint deadline) {
  if (!allowed_request(request)) co_return bad_request(state_->url);
  if (state_->broken || state_->closed) co_return state_->unusable("sending the request");
  state_->begin_exchange(request.method == "HEAD", request.keep_alive);
  state_->head_text = request_head(request, state_->url);
  state_->connection->set_parts({state_->head_text, request.body});
  if (base::now() < deadline && state_->connection->write_now()) co_return Result<void>{};
  auto sent = co_await state_->write(deadline);
  co_return sent;
}

asio::awaitable<Result<void>> HttpClient::send(const HttpRequestHead& head,
                                               std::string_view extra_fields, std::string_view body,
                                               base::TimePoint deadline) {
  if (state_->broken || state_->closed) co_return state_->unusable("sending the request");
  state_->begin_exchange(false, true);
  std::array<char, 24> digits{};
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), body.size()).ptr;
  std::string& text = state_->head_text;
  text.assign(extra_fields).append("Content-Length: ");
  text.append(digits.data(), end).append("\r\n\r\n");
  state_->connection->set_parts({head.text(), text, body});
  if (base::now() < deadline && state_->connection->write_now()) co_return Result<void>{};
  auto sent = co_await state_->write(deadline);
  co_return sent;
}

asio::awaitable<Result<HttpClientHead>> HttpClient::read_head(base::TimePoint deadline) {
  constexpr std::string_view step = "reading the head of the answer";
  State& state = *state_;
  for (int interim = 0; interim <= interim_heads_max;) {
    if (state.broken || state.closed) co_return state.unusable(step);
    const std::string_view input = state.connection->input().substr(0, state.options.head_max);
    const HeadScanner::Status scanned = state.scanner.scan(input);
    if (scanned == HeadScanner::Status::invalid) {
      co_return state.fail(ErrorCode::upstream_failed, step, ": this is not HTTP");
    }
    if (scanned == HeadScanner::Status::complete) {
      auto head = parse_answer_head(input.substr(0, state.scanner.size()), state.head_only);
      if (head.has_error()) {
        co_return state.fail(ErrorCode::upstream_failed, step, ": " + head.error().message);
      }
      state.connection->consume(state.scanner.size());
      state.scanner = {};
      if (head->interim()) {
        ++interim;
        continue;
      }
      state.take_head(*head);
      if (state.framing == AnswerFraming::length && state.remaining > state.options.body_max) {
        co_return state.body_too_large();
      }
      co_return HttpClientHead{head->status, std::move(head->fields)};
    }
    if (input.size() >= state.options.head_max) {
      co_return state.fail(
          ErrorCode::upstream_failed, step,
          ": the head is larger than " + std::to_string(state.options.head_max) + " bytes");
    }
    auto status = co_await state.read_more(deadline);
    if (status != InputStatus::data) co_return state.fail(status, step);
    state.touched = true;
  }
  co_return state.fail(ErrorCode::upstream_failed, step, ": too many interim answers");
}

// What the buffer holds of the body; empty when more must be read first.
Result<std::string> HttpClient::State::take_piece() {
  const std::string_view input = connection->input();
  if (input.empty()) return std::string{};
  if (framing == AnswerFraming::chunked) return take_chunks();
  std::size_t size = std::min(input.size(), options.piece_max);
  if (framing == AnswerFraming::length) {
    size = static_cast<std::size_t>(std::min<std::uint64_t>(size, remaining));
    remaining -= size;
    body_done = remaining == 0;
  } else {
    body_size += size;
    if (body_size > options.body_max) return body_too_large();
  }
  std::string piece(input.substr(0, size));
  connection->consume(size);
  return piece;
}

Result<std::string> HttpClient::State::take_chunks() {
  std::string piece;
  while (piece.empty() && !body_done && !connection->input().empty()) {
    std::string_view rest = connection->input().substr(0, options.piece_max);
    const std::size_t before = rest.size();
    const ChunkedDecoder::Status status = chunks->decode(rest, piece);
    connection->consume(before - rest.size());
    body_done = status == ChunkedDecoder::Status::done;
    if (status == ChunkedDecoder::Status::too_large) return body_too_large();
    if (status == ChunkedDecoder::Status::invalid) {
      return fail(ErrorCode::upstream_failed, "reading the answer",
                  ": bad chunked body: " + std::string(chunks->reason()));
    }
  }
  return piece;
}

asio::awaitable<Result<std::string>> HttpClient::read_piece(base::TimePoint deadline) {
  constexpr std::string_view step = "reading the answer";
  State& state = *state_;
  if (!state.head_seen) co_return state.unusable(step);
  while (true) {
    if (state.broken || state.closed) co_return state.unusable(step);
    if (state.body_done) co_return std::string{};
    auto piece = state.take_piece();
    if (piece.has_error() || !piece->empty()) co_return piece;
    if (state.body_done) continue;
    auto status = co_await state.read_more(deadline);
    if (status == InputStatus::data) continue;
    const bool ends = status == InputStatus::closed && !state.closed &&
                      state.framing == AnswerFraming::until_close;
    if (!ends) co_return state.fail(status, step);
    state.body_done = true;
  }
}

Result<std::string> HttpClient::take_ready() {
  State& state = *state_;
  if (!state.head_seen || state.broken || state.closed) {
    return state.unusable("reading the answer");
  }
  return state.body_done ? Result<std::string>(std::string{}) : state.take_piece();
}

bool HttpClient::body_done() const {
  return state_->body_done;
}

bool HttpClient::reusable() const {
  const State& state = *state_;
  return state.kept && state.head_seen && state.body_done && !state.broken && !state.closed &&
         !state.connection->ended() && state.connection->input().empty();
}

bool HttpClient::untouched() const {
  return !state_->touched;
}

void HttpClient::watch_idle(std::function<void()> on_end) {
  state_->connection->watch(std::move(on_end));
}

bool HttpClient::wake() {
  state_->connection->unwatch();
  return reusable();
}

void HttpClient::close() {
  if (state_->closed) return;
  state_->closed = true;
  state_->connection->cut();
}

}  // namespace deepseek::io
