#include "gateway/grpc/grpc_failure.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <string>

namespace deepseek::gateway {
namespace {

using base::ErrorCode;

constexpr std::size_t words_max = 1024;
constexpr base::Milliseconds pause_max{24 * 60 * 60 * 1'000};

// The codes that gRPC documents, as ours.
constexpr std::array<ErrorCode, 17> by_number{
    ErrorCode::upstream_failed,    // 0 ok, without a whole answer
    ErrorCode::cancelled,          // 1 cancelled, though nobody here did
    ErrorCode::upstream_failed,    // 2 unknown
    ErrorCode::invalid_request,    // 3
    ErrorCode::deadline_exceeded,  // 4
    ErrorCode::not_found,          // 5
    ErrorCode::conflict,           // 6 already exists
    ErrorCode::permission_denied,  // 7
    ErrorCode::rate_limited,       // 8 exhausted
    ErrorCode::invalid_request,    // 9 failed precondition
    ErrorCode::conflict,           // 10 aborted
    ErrorCode::invalid_request,    // 11 out of range
    ErrorCode::not_implemented,    // 12
    ErrorCode::internal,           // 13
    ErrorCode::unavailable,        // 14
    ErrorCode::upstream_failed,    // 15 data loss
    ErrorCode::unauthenticated,    // 16
};

ErrorCode code_of(const io::GrpcEnd& end) {
  if (const auto name = end.trailers.find("deepseek-error")) {
    for (int i = 0; i <= static_cast<int>(ErrorCode::deadline_exceeded); ++i) {
      const auto code = static_cast<ErrorCode>(i);
      if (base::describe(code).name == *name) return code;
    }
  }
  const bool known = end.code >= 0 && end.code < static_cast<int>(by_number.size());
  return known ? by_number[static_cast<std::size_t>(end.code)] : ErrorCode::upstream_failed;
}

FailureKind kind_of(const io::GrpcEnd& end, ErrorCode code, bool answering) {
  // The other server's words, or nobody's: a connection that broke or was never there.
  const bool told = end.trailers.find("deepseek-error").has_value();
  if (!told && (end.code == 14 || end.code == 2 || end.code == 1)) {
    return answering || end.answered ? FailureKind::broken : FailureKind::connect;
  }
  if (code == ErrorCode::deadline_exceeded) {
    return answering ? FailureKind::timeout_gap : FailureKind::timeout_first_token;
  }
  if (code == ErrorCode::cancelled) return FailureKind::broken;
  if (answering) return FailureKind::stream_error;
  // Not served there, but perhaps elsewhere.
  if (code == ErrorCode::not_implemented) return FailureKind::status_4xx_there;
  return failure_of_status(base::describe(code).http_status);
}

std::optional<base::Milliseconds> retry_after(const io::GrpcEnd& end) {
  const auto text = end.trailers.find("retry-after-ms");
  if (!text) return std::nullopt;
  std::int64_t value = 0;
  const auto read = std::from_chars(text->data(), text->data() + text->size(), value);
  if (read.ec != std::errc() || read.ptr != text->data() + text->size() || value < 0) {
    return std::nullopt;
  }
  return std::min(base::Milliseconds(value), pause_max);
}

}  // namespace

GrpcFailure describe_grpc_end(const io::GrpcEnd& end, std::string_view backend, bool answering) {
  GrpcFailure out;
  const ErrorCode code = code_of(end);
  out.failure.kind = kind_of(end, code, answering);
  out.failure.status = base::describe(code).http_status;
  out.failure.retry_after = retry_after(end);
  out.error.code = code;
  std::string words = end.message.substr(0, words_max);
  if (words.empty()) words = "the call ended with gRPC's code " + std::to_string(end.code);
  switch (code) {
    case ErrorCode::unauthenticated:
    case ErrorCode::insufficient_balance:
      // Our key there is no business of the client's.
      out.error.code = ErrorCode::upstream_failed;
      words = "it did not take this server's key";
      break;
    case ErrorCode::cancelled:
    case ErrorCode::unavailable:
      out.error.code = ErrorCode::upstream_failed;
      break;
    default:
      break;
  }
  out.error.message = std::string(backend) + ": " + words;
  out.error.param = end.trailers.find("deepseek-param").value_or("");
  out.error.retry_after = out.failure.retry_after;
  return out;
}

}  // namespace deepseek::gateway
