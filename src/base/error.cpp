#include "base/error.hpp"

#include "base/result.hpp"

#include <array>
#include <stdexcept>

namespace deepseek::base {
namespace {

// gRPC codes: 1 cancelled, 3 invalid argument, 4 deadline, 5 not found, 6 already exists, 7
// permission, 8 exhausted, 12 unimplemented, 13 internal, 14 unavailable, 16 unauthenticated.
constexpr std::array table{
    ErrorCodeInfo{ErrorCode::invalid_request, "invalid_request", 400, "invalid_request_error",
                  "invalid_request_error", 3},
    ErrorCodeInfo{ErrorCode::context_length, "context_length_exceeded", 400,
                  "invalid_request_error", "invalid_request_error", 3},
    ErrorCodeInfo{ErrorCode::unauthenticated, "invalid_api_key", 401, "authentication_error",
                  "authentication_error", 16},
    ErrorCodeInfo{ErrorCode::permission_denied, "permission_denied", 403, "permission_error",
                  "permission_error", 7},
    ErrorCodeInfo{ErrorCode::insufficient_balance, "insufficient_balance", 402,
                  "insufficient_quota", "billing_error", 8},
    ErrorCodeInfo{ErrorCode::model_not_found, "model_not_found", 404, "invalid_request_error",
                  "not_found_error", 5},
    ErrorCodeInfo{ErrorCode::not_found, "not_found", 404, "invalid_request_error",
                  "not_found_error", 5},
    ErrorCodeInfo{ErrorCode::method_not_allowed, "method_not_allowed", 405, "invalid_request_error",
                  "invalid_request_error", 12},
    ErrorCodeInfo{ErrorCode::request_timeout, "request_timeout", 408, "invalid_request_error",
                  "invalid_request_error", 4},
    ErrorCodeInfo{ErrorCode::conflict, "conflict", 409, "invalid_request_error",
                  "invalid_request_error", 6},
    ErrorCodeInfo{ErrorCode::payload_too_large, "payload_too_large", 413, "invalid_request_error",
                  "request_too_large", 3},
    ErrorCodeInfo{ErrorCode::unsupported_media_type, "unsupported_media_type", 415,
                  "invalid_request_error", "invalid_request_error", 3},
    ErrorCodeInfo{ErrorCode::unprocessable, "unprocessable", 422, "invalid_request_error",
                  "invalid_request_error", 3},
    ErrorCodeInfo{ErrorCode::rate_limited, "rate_limit_exceeded", 429, "rate_limit_error",
                  "rate_limit_error", 8},
    ErrorCodeInfo{ErrorCode::queue_full, "queue_full", 429, "rate_limit_error", "rate_limit_error",
                  8},
    ErrorCodeInfo{ErrorCode::header_too_large, "header_too_large", 431, "invalid_request_error",
                  "invalid_request_error", 3},
    ErrorCodeInfo{ErrorCode::cancelled, "cancelled", 499, "invalid_request_error",
                  "invalid_request_error", 1},
    ErrorCodeInfo{ErrorCode::internal, "internal_error", 500, "server_error", "api_error", 13},
    ErrorCodeInfo{ErrorCode::not_implemented, "not_implemented", 400, "invalid_request_error",
                  "invalid_request_error", 12},
    ErrorCodeInfo{ErrorCode::upstream_failed, "upstream_failed", 502, "server_error", "api_error",
                  14},
    ErrorCodeInfo{ErrorCode::unavailable, "unavailable", 503, "server_error", "overloaded_error",
                  14},
    ErrorCodeInfo{ErrorCode::deadline_exceeded, "deadline_exceeded", 504, "server_error",
                  "api_error", 4},
};

}  // namespace

const ErrorCodeInfo& describe(ErrorCode code) {
  for (const ErrorCodeInfo& row : table) {
    if (row.code == code) return row;
  }
  return describe(ErrorCode::internal);
}

void throw_exception_from_error(const Error& error, const void* location) {
  const auto& where = *static_cast<const boost::source_location*>(location);
  throw std::logic_error("the value of a failed result was used at " +
                         std::string(where.file_name()) + ":" + std::to_string(where.line()) +
                         ": " + error.message);
}

}  // namespace deepseek::base
