// The ways in which an attempt at a backend fails, and the one table that says what follows: does
// it count against the backend, may another one be asked, may the same one be asked again.
//
// Pure. An attempt that ends well has no FailureKind. Whether a retry is still sound once text was
// sent is the plan's affair, not this table's.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace deepseek::gateway {

enum class FailureKind : std::uint8_t {
  connect,              // no connection: refused, unreachable, DNS, TLS
  timeout_connect,      // no connection in time
  timeout_first_token,  // nothing of the answer in time
  timeout_gap,          // the answer began and stopped moving
  broken,               // the connection or the engine died
  status_408,
  status_429,
  status_4xx_ours,    // 401, 402: our key or our balance; every request would fail alike
  status_4xx_there,   // 403, 404 …: not served there; says nothing of other requests
  status_400_client,  // 400, 413, 422 …: the client's own mistake, the same everywhere
  status_500,
  status_502_503_504,
  stream_error,      // an error event inside an answer
  bad_answer,        // not what the form promises: no JSON, an endless line, a redirect
  client_cancelled,  // the client left or a hedge lost; nobody's failure
  refused_suspect,   // our own refusal: the request has killed engines before
};
inline constexpr std::size_t failure_kinds = 16;

struct FailureInfo {
  FailureKind kind;
  std::string_view name;  // in logs and metrics
  bool counts;            // against the breaker and in the comparison with other backends
  bool elsewhere;         // another backend may be tried
  bool same_again;        // the same backend may be tried again
  bool cools_down;        // Retry-After keeps the backend unused until then
};

// `same_again` is false where asking again would meet the same end (a wrong key, a bug that the
// request sets off) or double the work of a backend that is merely slow (timeout_first_token).
inline constexpr std::array<FailureInfo, failure_kinds> failure_table{{
    // kind, name, counts, elsewhere, same_again, cools_down
    {FailureKind::connect, "connect", true, true, true, false},
    {FailureKind::timeout_connect, "timeout_connect", true, true, true, false},
    {FailureKind::timeout_first_token, "timeout_first_token", true, true, false, false},
    {FailureKind::timeout_gap, "timeout_gap", true, true, true, false},
    {FailureKind::broken, "broken", true, true, true, false},
    {FailureKind::status_408, "status_408", true, true, true, false},
    {FailureKind::status_429, "status_429", false, true, true, true},
    {FailureKind::status_4xx_ours, "status_4xx_ours", true, true, false, false},
    {FailureKind::status_4xx_there, "status_4xx_there", false, true, false, false},
    {FailureKind::status_400_client, "status_400_client", false, false, false, false},
    {FailureKind::status_500, "status_500", true, true, false, false},
    {FailureKind::status_502_503_504, "status_502_503_504", true, true, true, true},
    {FailureKind::stream_error, "stream_error", true, true, false, false},
    {FailureKind::bad_answer, "bad_answer", true, true, false, false},
    {FailureKind::client_cancelled, "client_cancelled", false, false, false, false},
    {FailureKind::refused_suspect, "refused_suspect", false, false, false, false},
}};

constexpr const FailureInfo& describe(FailureKind kind) {
  return failure_table[static_cast<std::size_t>(kind)];
}

// What an HTTP status that is not 200 means when an upstream answers with it. A body may say more:
// an upstream that writes "insufficient_quota" under a 429 means status_4xx_ours.
FailureKind failure_of_status(int status);

}  // namespace deepseek::gateway
