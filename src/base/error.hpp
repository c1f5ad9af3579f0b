// Errors as values, and the one table that says how each error code looks to every kind of client.
//
// Pure. Anyone may use it from any thread. It does not log and knows nothing of HTTP libraries.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

namespace deepseek::base {

enum class ErrorCode {
  invalid_request,       // malformed or out of range; `param` names the field
  context_length,        // prompt and answer do not fit the model; both numbers are in the message
  unauthenticated,       // no key, or one that is not known
  permission_denied,     // known, but not allowed
  insufficient_balance,  // money or quota is spent
  model_not_found,       // the model is not configured here
  not_found,             // no such path or object
  method_not_allowed,    // the path exists, the method does not
  request_timeout,       // the client was too slow
  conflict,              // the same idempotency key is in use
  payload_too_large,     // a body or head over its limit
  unsupported_media_type,  // a body that cannot be JSON
  unprocessable,           // only relayed from an upstream
  rate_limited,            // too many requests, tokens or connections
  queue_full,              // the engine's queue is full
  header_too_large,        // request head over its limit
  cancelled,               // the client left or the caller gave up
  internal,                // our own mistake
  not_implemented,         // a documented gap of this backend
  upstream_failed,         // a backend broke while it answered
  unavailable,             // loading, draining or restarting
  deadline_exceeded,       // the request's own deadline passed
};

struct ErrorCodeInfo {
  ErrorCode code;
  std::string_view name;  // `error.code` in bodies and logs
  int http_status;
  std::string_view openai_type;
  std::string_view anthropic_type;
  int grpc_code;
};

// The row of `code` in the table of error.cpp. Never fails.
const ErrorCodeInfo& describe(ErrorCode code);

struct Error {
  ErrorCode code = ErrorCode::internal;
  std::string message;  // What was wrong, where, and what to do. Holds no secret and no prompt.
  std::string param;    // The field of the request, as "messages[2].content"; empty if none.
  std::optional<std::chrono::milliseconds> retry_after{};
};

// `Result<T>` calls this when value() is asked of an error: a bug of ours, so it throws
// std::logic_error.
[[noreturn]] void throw_exception_from_error(const Error& error, const void* location);

inline Error make_error(ErrorCode code, std::string message, std::string param = {}) {
  return Error{code, std::move(message), std::move(param), std::nullopt};
}

}  // namespace deepseek::base
