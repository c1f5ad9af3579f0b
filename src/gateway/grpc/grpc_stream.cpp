#include "gateway/grpc/grpc_stream.hpp"

#include "protocol/continuation.hpp"

#include <algorithm>
#include <utility>

namespace deepseek::gateway {

namespace asio = boost::asio;
using base::ErrorCode;
using base::Result;
using protocol::Event;

namespace {

constexpr base::Milliseconds end_time{2'000};  // between the last piece and the call's status

}  // namespace

GrpcStream::GrpcStream(GrpcBackend& backend, const Attempt& attempt)
    : backend_(backend), attempt_(attempt), reader_(attempt.request.sequence_count()) {}

base::Error GrpcStream::fail(FailureKind kind, base::Error error) {
  failure_.kind = kind;
  error.message = backend_.options().name + ": " + error.message;
  return error;
}

base::TimePoint GrpcStream::next_by() const {
  if (!answering_) return std::min(attempt_.first_token_by, attempt_.end_by);
  return std::min(last_piece_ + backend_.options().gap_timeout, attempt_.end_by);
}

Result<void> GrpcStream::begin() {
  const protocol::Request& request = attempt_.request;
  if (attempt_.spoken != nullptr) {
    protocol::AnswerSoFar so_far;
    so_far.content = attempt_.spoken->content;
    so_far.reasoning = attempt_.spoken->reasoning;
    so_far.tokens = attempt_.spoken->tokens;
    const std::string_view why =
        protocol::why_not_continued(request, so_far, backend_.options().continuation);
    if (!why.empty()) {
      return fail(
          FailureKind::status_4xx_there,
          base::make_error(ErrorCode::upstream_failed, "cannot continue: " + std::string(why)));
    }
  }
  auto bytes = protocol::rpc_request_bytes(request, backend_.options().name_there(request.model),
                                           attempt_.spoken);
  if (bytes.has_error()) return fail(FailureKind::status_4xx_there, bytes.error());
  call_ = backend_.call(attempt_.executor, protocol::rpc_stream_path(request), request.id,
                        std::move(*bytes), attempt_.end_by);
  return {};
}

asio::awaitable<Result<std::vector<Event>>> GrpcStream::read() {
  std::vector<Event> events;
  if (cancelled_) co_return fail(FailureKind::client_cancelled, request_cancelled());
  if (reader_.finished()) co_return events;
  if (!call_) {
    auto begun = begin();
    if (begun.has_error()) co_return begun.error();
  }
  while (events.empty()) {
    auto piece = co_await call_->read(next_by());
    if (piece.has_error()) {
      const bool left = cancelled_ || piece.error().code == ErrorCode::cancelled;
      const FailureKind late =
          answering_ ? FailureKind::timeout_gap : FailureKind::timeout_first_token;
      co_return fail(left ? FailureKind::client_cancelled : late, piece.error());
    }
    if (!piece->has_value()) co_return word_end();
    auto pushed = reader_.push(**piece, events);
    if (pushed.has_error()) co_return fail(FailureKind::bad_answer, pushed.error());
    if (!events.empty()) {
      answering_ = true;
      last_piece_ = base::now();
    }
  }
  if (reader_.finished()) co_await take_end();
  co_return events;
}

// The rest of a call whose answer is whole: nobody needs it, but a call that is let go before its
// end looks to the other server like a client that left.
asio::awaitable<void> GrpcStream::take_end() {
  const base::TimePoint by = base::now() + end_time;
  while (!cancelled_) {
    auto piece = co_await call_->read(by);
    if (piece.has_error() || !piece->has_value()) co_return;
  }
}

base::Error GrpcStream::word_end() {
  if (call_->end().code == 0) {
    return fail(FailureKind::broken,
                base::make_error(ErrorCode::upstream_failed, "the answer ended before its end"));
  }
  GrpcFailure told = describe_grpc_end(call_->end(), backend_.options().name, answering_);
  failure_ = told.failure;
  return std::move(told.error);
}

void GrpcStream::cancel() {
  cancelled_ = true;
  if (call_) call_->cancel();
}

}  // namespace deepseek::gateway
