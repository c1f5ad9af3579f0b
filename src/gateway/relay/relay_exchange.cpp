#include "gateway/relay/relay_exchange.hpp"

#include "gateway/resilience/retry_policy.hpp"
#include "io/io_threads.hpp"
#include "protocol/upstream_error.hpp"

#include <algorithm>
#include <utility>

namespace deepseek::gateway {

namespace asio = boost::asio;
using base::ErrorCode;
using base::Result;
using base::TimePoint;

namespace {

constexpr std::size_t error_body_max = 64u << 10;  // of an answer that is not 200
constexpr base::Milliseconds error_body_time{2'000};
// A server that had closed a kept connection says so within a round trip. What takes longer died
// with this request, and whether it is asked again is the plan's affair.
constexpr base::Milliseconds stale_time_max{500};

TimePoint after(TimePoint time, base::Milliseconds span) {
  return time >= TimePoint::max() - span ? TimePoint::max() : time + span;
}

}  // namespace

RelayExchange::RelayExchange(RelayBackend& backend, Limits limits)
    : backend_(backend), limits_(limits), stop_(std::make_shared<io::ConnectStop>()) {}

RelayExchange::~RelayExchange() = default;

io::HttpPool& RelayExchange::pool() const {
  return *backend_.pools_[std::min(io::IoThreads::current(), backend_.pools_.size() - 1)];
}

TimePoint RelayExchange::next_by() const {
  if (!answering_) return std::min(limits_.first_by, limits_.end_by);
  return std::min(after(last_progress_, backend_.options().gap_timeout), limits_.end_by);
}

void RelayExchange::progressed(TimePoint now) {
  answering_ = true;
  last_progress_ = now;
}

void RelayExchange::cancel() {
  cancelled_ = true;
  stop_->pull();
  if (client_) client_->close();
}

// What an error of the connection means for the plan.
base::Error RelayExchange::fail(base::Error error) {
  if (cancelled_ || error.code == ErrorCode::cancelled) {
    failure_.kind = FailureKind::client_cancelled;
  } else if (error.code == ErrorCode::deadline_exceeded) {
    failure_.kind = answering_ ? FailureKind::timeout_gap : FailureKind::timeout_first_token;
  } else {
    failure_.kind = FailureKind::broken;
  }
  if (error.code == ErrorCode::unavailable) error.code = ErrorCode::upstream_failed;
  error.message = backend_.options().name + ": " + error.message;
  return error;
}

base::Error RelayExchange::refuse(FailureKind kind, std::string what) {
  failure_.kind = kind;
  return base::make_error(ErrorCode::upstream_failed,
                          backend_.options().name + ": " + std::move(what));
}

asio::awaitable<Result<void>> RelayExchange::connect() {
  const TimePoint by = std::min(after(base::now(), backend_.options().connect_timeout), next_by());
  auto connected = co_await pool().connect(by, stop_);
  if (!connected.has_error()) {
    client_ = std::move(*connected);
    co_return Result<void>{};
  }
  base::Error error = fail(connected.error());
  const bool late = connected.error().code == ErrorCode::deadline_exceeded;
  if (failure_.kind != FailureKind::client_cancelled) {
    failure_.kind = late ? FailureKind::timeout_connect : FailureKind::connect;
  }
  co_return error;
}

asio::awaitable<Result<void>> RelayExchange::begin(std::string_view path, std::string_view model,
                                                   std::string_view request_id,
                                                   std::string_view body) {
  std::optional<io::HttpRequestHead> made;
  const io::HttpRequestHead* head = nullptr;
  if (const auto known = backend_.heads_.find(path); known != backend_.heads_.end()) {
    head = &known->second;
  } else {
    auto fresh = backend_.make_head(path, model);
    if (fresh.has_error()) co_return refuse(FailureKind::status_4xx_there, fresh.error().message);
    head = &made.emplace(std::move(*fresh));
  }
  client_ = pool().take_kept();
  bool stale = client_ != nullptr;
  if (client_) {
    auto exchanged = co_await exchange(*head, request_id, body, stale);
    if (!exchanged.has_error() || !stale) co_return exchanged;
  }
  // The server had closed the kept connection before this request: it has seen nothing of it.
  stale = false;
  auto connected = co_await connect();
  if (connected.has_error()) co_return connected.error();
  auto exchanged = co_await exchange(*head, request_id, body, stale);
  co_return exchanged;
}

// `stale`: in, whether the connection was kept; out, whether its failure may only mean that.
asio::awaitable<Result<void>> RelayExchange::exchange(const io::HttpRequestHead& head,
                                                      std::string_view request_id,
                                                      std::string_view body, bool& stale) {
  const bool kept = std::exchange(stale, false);
  const TimePoint began = base::now();
  std::string extra = "X-Request-Id: ";
  extra.append(request_id).append("\r\n");
  auto sent = co_await client_->send(head, extra, body, next_by());
  if (sent.has_error()) {
    stale = kept && !cancelled_ && sent.error().code == ErrorCode::upstream_failed &&
            base::now() - began < stale_time_max;
    co_return fail(sent.error());
  }
  auto answered = co_await client_->read_head(next_by());
  if (answered.has_error()) {
    stale = kept && client_->untouched() && !cancelled_ &&
            answered.error().code == ErrorCode::upstream_failed &&
            base::now() - began < stale_time_max;
    co_return fail(answered.error());
  }
  if (answered->status != 200) {
    auto text = co_await read_error_body();
    co_return word_status(*answered, text.has_error() ? std::string{} : std::move(*text));
  }
  content_type_ = answered->fields.find("content-type").value_or("");
  const auto coding = answered->fields.find("content-encoding");
  if (coding && !coding->empty() && *coding != "identity") {
    co_return refuse(FailureKind::bad_answer,
                     "the answer is compressed, although that was not asked for");
  }
  co_return Result<void>{};
}

// Bounded in size and time: an error is not worth waiting for.
asio::awaitable<Result<std::string>> RelayExchange::read_error_body() {
  const TimePoint by = std::min(after(base::now(), error_body_time), limits_.end_by);
  std::string text;
  while (true) {
    auto piece = co_await client_->read_piece(by);
    if (piece.has_error()) co_return text;
    if (piece->empty()) break;
    text += *piece;
    if (text.size() > error_body_max) co_return text;
  }
  pool().give_back(std::move(client_));
  co_return text;
}

base::Error RelayExchange::word_status(const io::HttpClientHead& head, std::string body) {
  failure_.status = head.status;
  failure_.kind = backend_.form().failure_of(head.status, body, limits_.continues);
  failure_.retry_after =
      parse_retry_after(head.fields.find("retry-after").value_or(""),
                        head.fields.find("retry-after-ms").value_or(""), base::unix_seconds());
  base::Error error = protocol::parse_upstream_error(head.status, body, failure_.retry_after,
                                                     backend_.options().api_key);
  error.message = backend_.options().name + ": " + error.message;
  return error;
}

asio::awaitable<Result<std::string>> RelayExchange::read_piece() {
  if (!client_) co_return std::string{};
  auto piece = co_await client_->read_piece(next_by());
  if (piece.has_error()) co_return fail(piece.error());
  if (piece->empty()) pool().give_back(std::move(client_));
  co_return piece;
}

void RelayExchange::finish() {
  if (client_) pool().give_back_soon(std::move(client_));
}

asio::awaitable<Result<std::string>> RelayExchange::read_whole() {
  std::string whole;
  while (true) {
    // A short answer comes with its head.
    auto piece = client_ ? client_->take_ready() : Result<std::string>(std::string{});
    if (piece.has_error()) co_return fail(piece.error());
    if (piece->empty()) {
      if (client_ && client_->body_done()) pool().give_back(std::move(client_));
      if (!client_) co_return whole;
      piece = co_await read_piece();
      if (piece.has_error()) co_return piece.error();
    }
    if (whole.size() + piece->size() > backend_.options().answer_bytes_max) {
      co_return refuse(FailureKind::bad_answer, "the answer is larger than answer_bytes_max");
    }
    if (whole.empty()) {
      whole = std::move(*piece);
    } else {
      whole += *piece;
    }
  }
}

}  // namespace deepseek::gateway
