// What one attempt of one request used: one row of the ledger.
//
// A value; made by the request's coroutine and moved into the ledger. It holds no content and no
// key.
#pragma once

#include "protocol/event.hpp"

#include <cstdint>
#include <string>
#include <string_view>

namespace deepseek::ledger {

// Who counted the tokens.
enum class CountedBy : std::uint8_t {
  upstream,   // its own numbers, within bounds
  counted,    // by us, token by token
  estimated,  // from the length of the texts
};

enum class AttemptOutcome : std::uint8_t {
  ok,          // the answer, or the last part of it, came whole
  failed,      // the backend refused, broke or was too late
  cancelled,   // the client left
  hedge_lost,  // another attempt of the same request was faster
  continued,   // it broke after the first byte, and another attempt went on from there
  shadow,      // a copy whose answer nobody sees
};

std::string_view to_string(CountedBy counted_by);
std::string_view to_string(AttemptOutcome outcome);

struct UsageEntry {
  std::string request_id;
  std::int32_t attempt = 1;  // of that request, from 1
  std::string tenant;
  std::string backend;
  std::string model_asked;     // as the client named it
  std::string model_upstream;  // as the backend was asked for it; empty: the same
  std::string endpoint;        // a label, as "chat"
  std::int64_t time_ms = 0;    // since 1970; when the attempt ended
  protocol::Usage usage;
  CountedBy counted_by = CountedBy::upstream;
  AttemptOutcome outcome = AttemptOutcome::ok;
  std::int32_t http_status = 200;
  std::int64_t duration_ms = 0;
  std::int64_t first_token_ms = -1;  // from the attempt's start; negative: there was none
  std::int64_t cost_nano = 0;        // thousand-millionths of `currency`; 0 where there is no price
  std::string currency;
  bool cached = false;  // answered by the response cache
};

}  // namespace deepseek::ledger
